#!/usr/bin/env bash
# Installs what the tests run against: a Docker engine, Podman, Consul, etcd, ZooKeeper, BIND, Knot, dig, a static
# busybox, openssl, sshd, Chromium, dnsmasq, HAProxy, nginx, python-consul.
# Idempotent, and done at once when nothing is missing. Starts no service, and leaves no package source behind.
set -euo pipefail

# What must be there | the Debian package that brings it.
needs='
dockerd|docker.io
docker|docker.io
docker-compose|docker-compose
etcd|etcd-server
etcdctl|etcd-client
/usr/share/java/zookeeper.jar|zookeeper
java|default-jre-headless
dig|dnsutils
nsupdate|dnsutils
named|bind9
knotd|knot
/bin/busybox|busybox-static
ip|iproute2
podman|podman
iptables|iptables
openssl|openssl
ssh|openssh-client
sshd|openssh-server
pkill|procps
chromium|chromium
dnsmasq|dnsmasq-base
haproxy|haproxy
nginx|nginx-light
/usr/lib/python3/dist-packages/consul|python3-consul
consul|consul
'

PATH=$PATH:/usr/sbin:/sbin # where a user's PATH lacks dockerd and ip

missing_packages() {
  local what package
  while IFS='|' read -r what package; do
    [[ -z $what ]] && continue
    if [[ $what == /* ]]; then [[ -e $what ]]; else command -v "$what" >/dev/null; fi || echo "$package"
  done <<<"$needs" | sort -u
}

missing=$(missing_packages)
[[ -z $missing ]] && exit 0

list=$(echo $missing)
if ! grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
  echo "install.sh: the tests need what these Debian packages hold, and this is not Debian: $list. Install them by hand." >&2
  exit 1
fi
if [[ $(id -u) -ne 0 ]]; then
  echo "install.sh: the tests need the packages $list, and only root can install them: run sudo $0 for all of the tests. What needs them is left out." >&2
  [[ ${CI:-} != true ]]
  exit
fi

exec 9>/run/lock/registrator-test-install
flock 9 # npm scripts may run this twice at a time
missing=$(missing_packages)
[[ -z $missing ]] && exit 0
echo "install.sh: installing $(echo $missing)" >&2

work=$(mktemp -d)

# A policy-rc.d that says 101 keeps package scripts from starting what they installed; the machine's own comes back.
policy=/usr/sbin/policy-rc.d
mark='# for the time of registrator test/support/install.sh'
restore_policy() {
  if [[ -e $policy.registrator ]]; then
    mv -f "$policy.registrator" "$policy"
  elif grep -qsF "$mark" "$policy"; then
    rm -f "$policy"
  fi
}
finish() {
  restore_policy
  rm -rf "$work"
}
trap finish EXIT
restore_policy # what a killed run left
[[ -e $policy ]] && mv "$policy" "$policy.registrator"
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
# A bookworm machine's Consul is bullseye's, whose Release file may have expired.
apt_options=(-o DPkg::Lock::Timeout=600 -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 -o APT::Sandbox::User=root)
apt_install() { apt-get "${apt_options[@]}" "$@" install -y --no-install-recommends $packages >"$work/log" 2>&1 || {
  tail -n 30 "$work/log" >&2
  echo "install.sh: apt-get could not install $(echo $packages)." >&2
  exit 1
}; }

packages=$(grep -vx consul <<<"$missing" || true)
if [[ -n $packages ]]; then
  apt-get "${apt_options[@]}" update >/dev/null
  apt_install
fi

if grep -qx consul <<<"$missing"; then
  packages=consul
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # The machine's own source of its own suite, once more with the suite changed; in a private copy of apt's folders.
  mkdir -p "$work/sources" "$work/preferences" "$work/lists/partial"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
    [[ -f $file ]] || continue
    cp "$file" "$work/sources/"
    case $file in
    *.list)
      sed -nE "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)$codename /\1bullseye /p" "$file" >>"$work/bullseye.list"
      ;;
    *.sources)
      awk -v suite="$codename" 'BEGIN { RS = ""; FS = "\n" }
        $0 ~ "(^|\n)Suites:([^\n]* )?" suite "( [^\n]*)?(\n|$)" && $0 ~ "(^|\n)Types:[^\n]*deb( |\n|$)" {
          for (i = 1; i <= NF; i++) if ($i !~ /^#/) print ($i ~ /^Suites:/ ? "Suites: bullseye" : $i)
          print ""
        }' "$file" >>"$work/bullseye.sources"
      ;;
    esac
  done
  [[ -s $work/bullseye.list ]] && mv "$work/bullseye.list" "$work/sources/zz-bullseye.list"
  [[ -s $work/bullseye.sources ]] && mv "$work/bullseye.sources" "$work/sources/zz-bullseye.sources"
  if ! ls "$work"/sources/zz-bullseye.* >/dev/null 2>&1; then
    echo "install.sh: found no package source of $codename to take Consul's from (it is in bullseye). Install consul by hand." >&2
    exit 1
  fi
  cp /etc/apt/preferences.d/* "$work/preferences/" 2>/dev/null || true
  printf 'Package: *\nPin: release n=bullseye\nPin-Priority: 100\n' >"$work/preferences/zz-bullseye"
  private=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/sources"
    -o "Dir::Etc::preferencesparts=$work/preferences" -o "Dir::State::lists=$work/lists")
  apt-get "${apt_options[@]}" "${private[@]}" update >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  apt_install "${private[@]}"
fi

missing=$(missing_packages)
if [[ -n $missing ]]; then
  echo "install.sh: still missing after the install: $(echo $missing)" >&2
  exit 1
fi
