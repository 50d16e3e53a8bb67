#!/bin/sh
# Last step of mmdebstrap (--customize-hook or --extract-hook): $1 is the root file system. Takes out what a container has no use for and what
# tells about the machine it was made on, and adds the one user. Licences (copyright) and the list of packages (for scanners) stay.
#   $2: user name, $3: numeric id of user and group, $4...: directories the user's mounts go to
set -eu
root=$1 name=$2 id=$3
shift 3

# Package manager and its state; what is left of dpkg says which packages and versions are in here.
rm -rf "$root"/etc/apt "$root"/etc/dpkg "$root"/var/lib/apt "$root"/var/cache/apt "$root"/var/cache/debconf "$root"/var/log/* "$root"/var/lib/dpkg/info
rm -f "$root"/usr/bin/apt* "$root"/usr/bin/dpkg* "$root"/usr/sbin/dpkg* "$root"/usr/bin/update-alternatives "$root"/usr/sbin/start-stop-daemon
rm -rf "$root"/usr/lib/dpkg "$root"/usr/lib/apt "$root"/usr/share/debconf "$root"/var/cache/ldconfig

rm -rf "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/locale "$root"/usr/share/lintian "$root"/usr/share/bash-completion
find "$root/usr/share/doc" -mindepth 2 ! -name copyright -delete 2>/dev/null || true

# The machine's own: Kubernetes mounts the right ones into each pod.
rm -f "$root"/etc/resolv.conf "$root"/etc/hostname "$root"/etc/machine-id

# Nobody becomes somebody else here (the pods forbid it too).
find "$root" -xdev -type f -perm /6000 -exec chmod a-s {} +

printf 'hosts: files dns\npasswd: files\ngroup: files\n' > "$root/etc/nsswitch.conf"
[ -s "$root/etc/passwd" ] || printf 'root:x:0:0:root:/root:/sbin/nologin\n' > "$root/etc/passwd"
[ -s "$root/etc/group" ] || printf 'root:x:0:\n' > "$root/etc/group"
printf '%s:x:%s:%s::/tmp:/sbin/nologin\n' "$name" "$id" "$id" >> "$root/etc/passwd"
printf '%s:x:%s:\n' "$name" "$id" >> "$root/etc/group"

mkdir -p "$root/tmp" "$@"
chmod 1777 "$root/tmp"
