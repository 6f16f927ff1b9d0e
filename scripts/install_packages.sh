#!/bin/sh
# Install the Debian packages of packages.txt that are missing, where that is possible (root, apt-get). Where it is not,
# name them and go on: the tests that need them skip, and say so; with CI=true such a skip is a failure.
set -eu
cd "$(dirname "$0")/.."

wanted() { sed 's/#.*//' packages.txt | tr -s '[:space:]' '\n' | sed '/^$/d'; }

missing() {
  for package in $(wanted); do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || printf '%s ' "$package"
  done
}

[ -f packages.txt ] || exit 0
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "== Debian packages: this is not a Debian system. What the tests use: $(wanted | tr '\n' ' ')"
  exit 0
fi
names=$(missing)
[ -n "$names" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "== Debian packages: missing, and only root may install them. Tests that need them skip. To have them:"
  echo "     sudo apt-get install --no-install-recommends $names"
  exit 0
fi

echo "== Debian packages: installing $names"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$log" 2>&1; }
# shellcheck disable=SC2086  # names are words
if ! install $names && ! { apt-get update -qq >"$log" 2>&1 && install $names; }; then
  for package in $names; do install "$package" || tail -n 2 "$log"; done
fi
left=$(missing)
[ -z "$left" ] || echo "   could not install: $left(tests that need them skip)"
