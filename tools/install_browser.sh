#!/usr/bin/env bash
# Installs what the tests of the console need from Debian's packages: Chromium and npm, and the packages that are named. Does nothing if
# they are there.
set -euo pipefail
packages=()
command -v chromium >/dev/null || packages+=(chromium fonts-liberation)
command -v npm >/dev/null || packages+=(npm)
for package in "$@"; do
    dpkg-query --show "$package" >/dev/null 2>&1 || packages+=("$package")
done
[ ${#packages[@]} -eq 0 ] && exit
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of the console need Chromium and npm, so that the commands chromium and npm are found." >&2
    echo "On Debian, run as root: apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
