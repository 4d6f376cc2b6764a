#!/usr/bin/env bash
# The programs that the tests of clients drive: curl, aria2, a browser, reverse proxies.
#
#   clients.sh install       Debian packages, as root; nothing to do for what is there
#   clients.sh missing       names what is not there, one program a line
#   clients.sh node          packages of npm, into .node-clients, where there is an npm
set -euo pipefail

missing() {
  local program
  for program in curl aria2c chromium nginx haproxy; do
    command -v "$program" >/dev/null || echo "$program"
  done
}

install_packages() {
  local packages
  mapfile -t packages < <(missing | sed 's/^aria2c$/aria2/') # but for it, packages are called like their programs
  if [ "${#packages[@]}" = 0 ]; then return; fi
  # Two test workers may come here at once: the second waits for the first.
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update
  # A run level that starts no services: the tests start an nginx of their own, on loopback.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    "${apt[@]}" install -y --no-install-recommends "${packages[@]}"
}

# Packages that read what we serve, in JavaScript.
node_packages=(zarrita@0.7.5)

install_node() {
  cd "$(dirname "${BASH_SOURCE[0]}")/.."
  # One at a time installs them; they are whole when their stamp is there.
  exec 9<scripts/clients.sh
  flock 9
  if [ "$(cat .node-clients/stamp 2>/dev/null)" = "${node_packages[*]}" ]; then return; fi
  mkdir -p .node-clients
  timeout 120 npm install --prefix .node-clients --silent --no-audit --no-fund --ignore-scripts \
    "${node_packages[@]}"
  printf '%s' "${node_packages[*]}" >.node-clients/stamp
}

case "${1-}:$#" in
  install:1) install_packages ;;
  missing:1) missing ;;
  node:1) install_node ;;
  *)
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
