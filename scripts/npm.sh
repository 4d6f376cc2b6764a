#!/usr/bin/env bash
# The packages of npm that tests drive with node, each version in a folder of its own.
#
#   npm.sh PACKAGE VERSION   the path of its node_modules, where it is installed once
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# != 2 ]; then
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
folder=$PWD/.venv-npm/$1-$2
command -v npm >/dev/null || { echo "npm: it is not here" >&2 && exit 1; }
mkdir -p "$folder"
# One at a time installs it; it is whole when its stamp is there.
exec 9>"$folder/.lock"
flock 9
if [ ! -e "$folder/.stamp" ]; then
  timeout 120 npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" "$1@$2" >&2
  touch "$folder/.stamp"
fi
echo "$folder/node_modules"
