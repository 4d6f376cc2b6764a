#!/usr/bin/env bash
# Docker's compose plugin for the tests that check docker-compose.yml; they need no engine.
#
#   compose.sh install      from Debian, as root; nothing to do where compose 2 is there already
set -euo pipefail

PLUGINS=/usr/local/lib/docker/cli-plugins

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

is_there() {
  docker compose version >/dev/null 2>&1 ||
    docker-compose version --short 2>/dev/null | grep -q '^v\?[2-9]'
}

# Debian 12's own package is compose 1, which knows neither the file's form nor `up --wait`. Debian
# 13's is one static program and needs a libc that Debian 12 has: taken from there, and only it.
install_plugin() {
  local work mirror
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # Its value now: the trap runs when the function is long over.
  trap "rm -rf '$work'" EXIT
  mirror=$(debian_mirror)
  mkdir -p "$work/lists/partial"
  printf 'deb [signed-by=%s] %s trixie main\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg "$mirror" >"$work/trixie.list"
  local from_trixie=(
    -qq
    -o "Dir::Etc::SourceList=$work/trixie.list" -o Dir::Etc::SourceParts=-
    -o "Dir::State::Lists=$work/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root
  )
  apt-get "${from_trixie[@]}" update
  (cd "$work" && apt-get "${from_trixie[@]}" download docker-compose)
  dpkg-deb -x "$work"/docker-compose_*.deb "$work/tree"
  install -D -m 755 "$work/tree/usr/libexec/docker/cli-plugins/docker-compose" \
    "$PLUGINS/docker-compose"
  # Also by itself, for machines without the docker command.
  ln -sf "$PLUGINS/docker-compose" /usr/local/bin/docker-compose
}

# The mirror that this machine takes Debian from.
debian_mirror() {
  apt-get -qq update
  apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)' 'Created-By: Packages' |
    sed -n 's/^Debian|//p' | sed '/security/d;q' | grep . ||
    { echo "compose.sh: no Debian mirror among the sources of apt" >&2 && return 1; }
}

case "${1-}:$#" in
  install:1) is_there || install_plugin ;;
  *) usage ;;
esac
