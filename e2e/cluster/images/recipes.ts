import type { DebianSystem } from "./debian.ts";

/**
 * The node's system: what kind's own Dockerfile installs (images/base/Dockerfile of the module), without what serves network block devices,
 * and with Debian's runc and CNI plugins. The finishing touches are that Dockerfile's too.
 */
export const NODE_SYSTEM: DebianSystem = {
  name: "node",
  packages: [
    ...["systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount", "kmod", "libseccomp2"],
    ...["bash", "ca-certificates", "curl", "jq", "procps", "runc", "containernetworking-plugins"],
  ],
  finish: `cd "$1"
find usr/lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f usr/lib/systemd/system/multi-user.target.wants/* etc/systemd/system/*.wants/* usr/lib/systemd/system/local-fs.target.wants/*
rm -f usr/lib/systemd/system/sockets.target.wants/*udev* usr/lib/systemd/system/sockets.target.wants/*initctl* usr/lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >>etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd usr/sbin/init
mkdir -p opt/cni/bin
for plugin in host-local loopback portmap ptp; do cp "usr/lib/cni/$plugin" opt/cni/bin/; done
rm -rf usr/lib/cni var/cache/apt/*.bin
`,
};

/**
 * The system below kube-proxy and Cilium: tools that write packet filters, and the compiler that Cilium calls at run time. Of clang and LLVM
 * only \`clang\`, \`llc\` and what these load stays: nothing is compiled for the host, so its headers and libraries go.
 */
export const NETWORK_SYSTEM: DebianSystem = {
  name: "network",
  packages: ["clang-19", "llvm-19", "iproute2", "iptables", "nftables", "conntrack", "ipset", "ethtool", "kmod", "mount"],
  finish: `cd "$1"
find usr/lib/llvm-19/bin -type f ! -name clang ! -name llc -delete
find usr/lib/llvm-19/bin -xtype l -delete
rm -rf usr/lib/gcc usr/include usr/share/perl usr/share/perl5 usr/lib/*-linux-gnu/perl usr/lib/*-linux-gnu/*.a usr/lib/*-linux-gnu/gconv var/cache/apt/*.bin
rm -f usr/lib/*-linux-gnu/libclang-19.so* usr/lib/*-linux-gnu/lib?san.so* usr/lib/*-linux-gnu/libgprofng* usr/lib/*-linux-gnu/libperl.so*
chroot . /usr/lib/llvm-19/bin/clang --version >/dev/null
chroot . /usr/lib/llvm-19/bin/llc --version >/dev/null
`,
};

/** containerd's configuration of kind's, made to run without CAP_SYS_RESOURCE, without AppArmor and with cgroups that it makes itself. */
export function containerdConfiguration(kinds: string): string {
  const changes: readonly (readonly [string, string])[] = [
    ["restrict_oom_score_adj = false", "restrict_oom_score_adj = true\n  disable_apparmor = true"],
    ["SystemdCgroup = true", "SystemdCgroup = false"],
  ];
  let text = kinds;
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`kind's containerd configuration has no "${from}" any more`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** The image that containerd uses for pods' sandboxes, as kind's containerd configuration names it. */
export function sandboxImage(containerdToml: string): string {
  const name = /sandbox_image = "([^"]+)"/.exec(containerdToml)?.[1];
  if (name === undefined) throw new Error("kind's containerd configuration names no sandbox_image");
  return name;
}

/** The drop-in for containerd.service. \`openFiles\`: no more than the machine's hard limit, which systemd may not be able to raise. */
export const containerdDropIn = (openFiles: number) => `[Service]
OOMScoreAdjust=0
LimitNOFILE=${openFiles}
ExecStartPost=/kappa/bin/import-images
TimeoutStartSec=10min
`;

/** The base of every pod's container: \`ctr oci spec\` with kind's hook, and no limits of its own. */
export function criBaseSpec(ociSpec: string): string {
  const spec = JSON.parse(ociSpec);
  spec.hooks = { createContainer: [{ path: "/kind/bin/mount-product-files.sh" }] };
  delete spec.process.rlimits;
  return JSON.stringify(spec);
}
