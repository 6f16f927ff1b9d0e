#!/bin/sh
# Installs QazTech from this folder, without a network: sh install.sh [DIRECTORY], by default /opt/qaztech-VERSION.
# Changes nothing outside that directory. The one before stays as it is: a symbolic link says which is used.
# RELEASE_KEY=FILE names the release key's public half (.vkey): then nothing is installed that it has not signed.
set -eu
cd "$(dirname "$0")"
version=$(cat VERSION)
target=${1:-/opt/qaztech-$version}
python=${PYTHON:-python3}

sha256sum --check --quiet SHA256SUMS || { echo "This folder is not as it was made: nothing was installed." >&2; exit 1; }
if [ -n "${RELEASE_KEY:-}" ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # A vkey ends in base64 of one byte and the key; a signature line in base64 of four bytes and the signature.
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; cut -d+ -f3- "$RELEASE_KEY" | base64 -d | tail -c 32; } >"$work/key"
  tail -n 1 SHA256SUMS.note 2>/dev/null | cut -d' ' -f3 | base64 -d 2>/dev/null | tail -c 64 >"$work/signature"
  openssl pkeyutl -verify -pubin -inkey "$work/key" -keyform DER -rawin -in SHA256SUMS -sigfile "$work/signature" \
    >/dev/null 2>&1 || { echo "$RELEASE_KEY has not signed this folder: nothing was installed." >&2; exit 1; }
elif [ ! -f SHA256SUMS.note ]; then
  echo "NOT SIGNED: nobody can tell who made this folder." >&2
else
  echo "Signed, and not checked: RELEASE_KEY=FILE sh install.sh checks it." >&2
fi
"$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
  echo "Python 3.11 or later with its venv module is needed, and '$python' is not that (PYTHON=... names another)." >&2
  exit 1
}
if [ -e "$target" ]; then
  echo "$target is there already: nothing was installed." >&2
  exit 1
fi
"$python" -m venv "$target"
pip="$target/bin/python -m pip --disable-pip-version-check --quiet"
$pip install --no-index --find-links wheels --only-binary :all: --require-hashes -r run.lock || {
  rm -rf "$target"
  echo "These wheels are for $(cat PLATFORM), and do not fit this machine: nothing was installed." >&2
  exit 1
}
$pip install --no-index --no-deps wheels/qaztech-"$version"-*.whl
"$target/bin/qaztech" --help >/dev/null
echo "Installed: $target/bin/qaztech. Use it: ln -sfn $target /opt/qaztech (docs/howto/deploy.md)."
