#!/bin/sh
# First process of the capsule: the namespaces are new, their contents are still the machine's. Arguments: the file to write when all is
# set up, then for each cgroup hierarchy mount point, type and options ("-" for none).
set -eu
ready=$1; shift
mount --make-rprivate /
mount -t proc proc /proc
# Inside this cgroup namespace a fresh mount shows the cluster's own cgroup as the root, so whatever is made lies below it.
while [ $# -gt 0 ]; do
  umount "$1"
  if [ "$3" = - ]; then mount -t "$2" "$2" "$1"; else mount -t "$2" -o "$3" "$2" "$1"; fi
  shift 3
done
# podman and ip keep their network namespaces as mounts here: with a folder of our own they vanish with the capsule.
mkdir -p /run/netns
mount -t tmpfs -o mode=755 kappa-netns /run/netns
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready >"$ready"
# Reaps whatever is orphaned in the capsule, and waits for ever.
exec catatonit -P </dev/null >/dev/null 2>&1
