#!/usr/bin/env bash
# newer.sh DIR: puts into DIR what of Debian trixie the tests run against beside the installed parts: Docker, etcd, Podman,
# ZooKeeper. DIR/bin goes first on the PATH, DIR/java holds ZooKeeper's jars. Idempotent, and done at once when it is there.
# Installs nothing, and leaves no package source behind.
set -euo pipefail
dir=${1:?usage: newer.sh DIR}

# What runs as it is on Debian bookworm; and Podman's parts, which need a newer C library.
plain='docker.io docker-cli containerd etcd-server etcd-client zookeeper libzookeeper-java'
podman='podman conmon netavark aardvark-dns'
libraries='libc6 libgcc-s1 libgpgme11t64 libassuan9 libgpg-error0 libsubid5 libglib2.0-0t64 libsqlite3-0 libseccomp2'

stamp=$(sha256sum "$0" | cut -d' ' -f1)
is_there() { [[ -e $dir/stamp && $(<"$dir/stamp") == "$stamp" ]]; }
is_there && exit 0

if ! grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release 2>/dev/null || [[ $(id -u) -ne 0 ]]; then
  echo "newer.sh: Docker, etcd, Podman and ZooKeeper of Debian trixie are set up by root on Debian bookworm only: tests against them are left out." >&2
  [[ ${CI:-} != true ]]
  exit
fi

exec 9>/run/lock/registrator-test-newer
flock 9
is_there && exit 0
echo "newer.sh: getting Docker, etcd, Podman and ZooKeeper of Debian trixie" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The machine's own sources, and those of its own suite once more as trixie; in a private copy of apt's folders.
mkdir -p "$work"/{sources,preferences,lists/partial,debs}
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
  [[ -f $file ]] || continue
  cp "$file" "$work/sources/"
  case $file in
  *.list) sed -nE 's/^(deb +(\[[^]]*\] +)?[^ ]+ +)bookworm /\1trixie /p' "$file" >>"$work/sources/zz-trixie.list" ;;
  *.sources)
    awk 'BEGIN { RS = ""; FS = "\n" }
      /(^|\n)Suites:([^\n]* )?bookworm( [^\n]*)?(\n|$)/ && /(^|\n)Types:[^\n]*deb( |\n|$)/ {
        for (i = 1; i <= NF; i++) if ($i !~ /^#/) print ($i ~ /^Suites:/ ? "Suites: trixie" : $i)
        print ""
      }' "$file" >>"$work/sources/zz-trixie.sources"
    ;;
  esac
done
cp /etc/apt/preferences.d/* "$work/preferences/" 2>/dev/null || true
printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' >"$work/preferences/zz-trixie"
apt=(apt-get -o Acquire::Retries=3 -o APT::Sandbox::User=root -o Dir::Etc::sourcelist=/dev/null
  -o "Dir::Etc::sourceparts=$work/sources" -o "Dir::Etc::preferencesparts=$work/preferences" -o "Dir::State::lists=$work/lists"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
run() { "$@" >"$work/log" 2>&1 || {
  tail -n 30 "$work/log" >&2
  echo "newer.sh: could not get the packages of trixie." >&2
  exit 1
}; }
run "${apt[@]}" update
cd "$work/debs"
# shellcheck disable=SC2086
run "${apt[@]}" download patchelf $(printf '%s/trixie ' $plain $podman $libraries)

unpack() {
  local root=$1 package
  shift
  for package; do dpkg -x "$work/debs/${package}"_*.deb "$root"; done
}
rm -rf "$dir"
mkdir -p "$dir"/{bin,java}
# shellcheck disable=SC2086
{
  unpack "$dir/root" $plain $podman
  unpack "$dir/libraries" $libraries
  unpack "$work/patchelf" patchelf
}

cd "$dir"
for program in docker containerd containerd-shim-runc-v2 etcd etcdctl; do ln -s "$dir/root/usr/bin/$program" bin/; done
# runc stays the installed one; containers' proxy is not looked for on the PATH.
printf '#!/bin/sh\nexec %s --userland-proxy-path=%s "$@"\n' "$dir/root/usr/sbin/dockerd" "$dir/root/usr/sbin/docker-proxy" >bin/dockerd

# Its jars name each other relative to where they are.
ln -s /usr/share/java/*.jar java/
ln -sf "$dir"/root/usr/share/java/*.jar java/

# Podman starts itself anew as what it is, so the loader stands in the programs, not before them.
loader=$(echo libraries/usr/lib/*/ld-linux-*.so.?)
for program in root/usr/bin/{podman,conmon} root/usr/lib/podman/{netavark,aardvark-dns}; do
  "$work/patchelf/usr/bin/patchelf" --set-interpreter "$dir/$loader" --force-rpath --set-rpath "$dir/$(dirname "$loader")" "$program"
done
cat >podman.conf <<EOF
[engine]
conmon_path = ["$dir/root/usr/bin/conmon"]
helper_binaries_dir = ["$dir/root/usr/lib/podman"]
[network]
# The tests look at what is published, not through it.
firewall_driver = "none"
EOF
printf '#!/bin/sh\nCONTAINERS_CONF_OVERRIDE=%s exec %s "$@"\n' "$dir/podman.conf" "$dir/root/usr/bin/podman" >bin/podman
chmod +x bin/dockerd bin/podman
echo "$stamp" >stamp
