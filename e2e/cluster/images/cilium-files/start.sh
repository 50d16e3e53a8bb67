#!/bin/sh
# Entry point of the Cilium image: what Cilium's own chart does in init containers, then the agent.
set -eu
mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/cilium/cgroupv2
mount | grep -q ' /run/cilium/cgroupv2 ' || mount -t cgroup2 none /run/cilium/cgroupv2
# Renamed into place: kubelet may be running the old one.
cp /usr/local/bin/cilium-cni /host/opt/cni/bin/cilium-cni.new
mv /host/opt/cni/bin/cilium-cni.new /host/opt/cni/bin/cilium-cni
export PATH="/usr/lib/llvm-19/bin:$PATH"
exec cilium-agent --config-dir=/etc/cilium-config
