#!/bin/sh
# First process of the capsule: the namespaces are new, their contents are still the machine's. Arguments: the file to write when all is
# set up, the name server to ask, then for each cgroup hierarchy mount point, type and options ("-" for none).
set -eu
ready=$1 nameserver=$2
shift 2
mount --make-rprivate /
mount -t proc proc /proc
# Inside this cgroup namespace a fresh mount shows the cluster's own cgroup as the root, so whatever is made lies below it.
while [ $# -gt 0 ]; do
  umount "$1"
  if [ "$3" = - ]; then mount -t "$2" "$2" "$1"; else mount -t "$2" -o "$3" "$2" "$1"; fi
  shift 3
done
# netavark, aardvark-dns, runc, ip and iptables keep state and locks below /run, whatever podman is configured to: with one of our own they never
# meet those of the machine or of another cluster, and vanish with the capsule.
mount -t tmpfs -o mode=755 kappa-run /run
mkdir -p /run/netns /run/lock
# The machine's name servers cannot be reached from here, and waiting for them would make every unknown name slow.
echo "nameserver $nameserver" >/run/kappa-resolv.conf
resolv=$(readlink -m /etc/resolv.conf)
mkdir -p "$(dirname "$resolv")"
[ -e "$resolv" ] || : >"$resolv"
mount --bind /run/kappa-resolv.conf "$resolv"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready >"$ready"
# Reaps whatever is orphaned in the capsule, and waits for ever.
exec catatonit -P </dev/null >/dev/null 2>&1
