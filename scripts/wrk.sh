#!/usr/bin/env bash
# The load generator of the bench's throughput rows; without it the bench asks with its own client.
#
#   wrk.sh install       a Debian package, as root; nothing to do where it is there
set -euo pipefail

case "${1:-}" in
  install)
    if ! command -v wrk >/dev/null; then
      apt-get update -qq
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null
    fi
    ;;
  *)
    sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
