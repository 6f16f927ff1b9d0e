#!/bin/sh
# Installs QazTech from this folder, without a network: sh install.sh [DIRECTORY], by default /opt/qaztech-VERSION.
# Changes nothing outside that directory. The one before stays as it is: a symbolic link says which is used.
set -eu
cd "$(dirname "$0")"
version=$(cat VERSION)
target=${1:-/opt/qaztech-$version}
python=${PYTHON:-python3}

sha256sum --check --quiet SHA256SUMS || { echo "This folder is not as it was made: nothing was installed." >&2; exit 1; }
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
