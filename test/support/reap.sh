#!/bin/sh
# reap.sh DIR: waits until its standard input ends, which it also does when the test process is killed, then ends every
# process that was started with REGISTRATOR_TEST_DIR=DIR, and removes DIR with its mounts, bridges and cgroups.
# reap.sh DIR now [NAME]: ends such processes at once (those called NAME, where given), and keeps DIR.
dir=$1
PATH=$PATH:/usr/sbin:/sbin

marked() {
  for environ in $(grep -lzxF "REGISTRATOR_TEST_DIR=$dir" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${environ#/proc/}
    pid=${pid%/environ}
    [ "$pid" = $$ ] || [ -z "$(tr -d '\0' <"/proc/$pid/cmdline" 2>/dev/null)" ] || echo "$pid"
  done
}

end() {
  for pid in $(marked); do
    [ -n "$1" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$1" ] && continue
    # A container's own process is the child of a shim, or of Podman's conmon, and does not carry the mark.
    case $(cat "/proc/$pid/comm" 2>/dev/null) in
    containerd-shim* | conmon) kill -9 $(cat "/proc/$pid/task/$pid/children") ;;
    esac
    kill -9 "$pid"
  done 2>/dev/null
}

if [ "$2" = now ]; then
  end "$3"
  exit 0
fi

cat >/dev/null
tries=0
while [ -n "$(marked)" ] && [ $tries -lt 50 ]; do
  end
  sleep 0.05
  tries=$((tries + 1))
done
awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
for bridge in $(cat "$dir/bridge" 2>/dev/null) \
  $(grep -aoEh 'br-[0-9a-f]{12}' "$dir/data/network/files/local-kv.db" 2>/dev/null | sort -u); do
  ip link delete "$bridge" 2>/dev/null
done
[ -e "$dir/network" ] && ip netns delete "$(cat "$dir/network")" 2>/dev/null
for container in "$dir"/data/containers/*; do
  rmdir /sys/fs/cgroup/*/docker/"${container##*/}" /sys/fs/cgroup/docker/"${container##*/}" 2>/dev/null
done
rm -rf "$dir"
