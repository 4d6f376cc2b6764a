#!/usr/bin/env bash
# A real S3 on loopback for tests: Ceph's gateway, which checks signatures and bucket policies.
#
#   radosgw.sh install                       Debian packages, as root
#   radosgw.sh start DIR PORT                one monitor, one in-memory OSD, one gateway on PORT;
#                                            the monitor takes PORT+1 and PORT+2
#   radosgw.sh user DIR NAME KEY SECRET      a user of the gateway
#   radosgw.sh stop DIR                      ends what `start` began in DIR, nothing else
#
# DIR holds all state: configuration, logs in DIR/log, process ids in DIR/run.
set -euo pipefail

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

install_packages() {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    radosgw ceph-mon ceph-osd ceph-common
}

write_config() {
  local dir=$1 port=$2 fsid=$3
  cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
keyring = $dir/keyring
mon host = [v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]
mon initial members = one
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
run dir = $dir/run
pid file = $dir/run/\$name.pid
admin socket = $dir/run/\$name.\$pid.asok
log file = $dir/log/\$name.log
crash dir = $dir/crash
mon allow pool size one = true
mon warn on pool no redundancy = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
[mon.one]
mon data = $dir/mon
[osd.0]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 1073741824
[client.gateway]
rgw data = $dir/rgw
# Without tcp_nodelay each small answer waits 40 ms for a delayed acknowledgement.
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw thread pool size = 32
rgw enable usage log = false
CONF
}

make_keys() {
  local ring=$1/keyring
  ceph-authtool --create-keyring "$ring" --gen-key -n mon. --cap mon 'allow *'
  ceph-authtool "$ring" --gen-key -n client.admin \
    --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  ceph-authtool "$ring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
  ceph-authtool "$ring" --gen-key -n client.gateway --cap mon 'allow rw' --cap osd 'allow rwx'
}

start_monitor() {
  local dir=$1 port=$2 fsid=$3
  monmaptool --create --fsid "$fsid" "$dir/monmap" \
    --addv one "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]"
  ceph-mon -i one --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
  ceph-mon -i one
}

start_osd() {
  local id
  id=$(cat /proc/sys/kernel/random/uuid)
  ceph --connect-timeout 30 osd new "$id" 0
  ceph-osd -i 0 --mkfs --osd-uuid "$id"
  ceph-osd -i 0
}

start_gateway() {
  local port=$1 as=()
  # As root it would look for a user called ceph.
  if [ "$(id -u)" = 0 ]; then as=(--setuser root --setgroup root); fi
  radosgw -n client.gateway "${as[@]}"
  for _ in $(seq 240); do
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
    sleep 0.25
  done
  return 1
}

start() {
  local port=$2 fsid
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  mkdir -p "$dir"/{mon,osd,rgw,run,log,crash}
  fsid=$(cat /proc/sys/kernel/random/uuid)
  export CEPH_CONF=$dir/ceph.conf
  write_config "$dir" "$port" "$fsid"
  # Not in an `if` or with `||`: there, bash would go on after a failing line.
  exec 3>&2
  trap 'give_up "$dir"' EXIT
  {
    make_keys "$dir"
    start_monitor "$dir" "$port" "$fsid"
    start_osd
    start_gateway "$port"
  } >"$dir/log/start.log" 2>&1
  trap - EXIT
  echo "http://127.0.0.1:$port"
}

give_up() {
  tail -n 20 "$1/log/start.log" >&3
  stop "$1"
  exit 1
}

add_user() {
  local dir
  dir=$(cd "$1" && pwd)
  CEPH_CONF=$dir/ceph.conf radosgw-admin user create --uid="$2" --display-name="$2" \
    --access-key="$3" --secret-key="$4" >>"$dir/log/users.log" 2>&1
}

is_ours() {
  # A process id may have been given to another program since; the environment tells.
  tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" |
    grep -qxF "CEPH_CONF=$2/ceph.conf"
}

stop() {
  local dir file pid
  dir=$(cd "$1" && pwd)
  for file in "$dir"/run/client.gateway.pid "$dir"/run/osd.0.pid "$dir"/run/mon.one.pid; do
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    if is_ours "$pid" "$dir"; then end "$pid" "$dir"; fi
    rm -f "$file"
  done
}

end() {
  kill "$1" 2>/dev/null || return 0
  for _ in $(seq 40); do
    is_ours "$1" "$2" || return 0
    sleep 0.1
  done
  kill -9 "$1" 2>/dev/null || true
}

case "${1-}:$#" in
  install:1) install_packages ;;
  start:3) start "$2" "$3" ;;
  user:5) add_user "$2" "$3" "$4" "$5" ;;
  stop:2) stop "$2" ;;
  *) usage ;;
esac
