import { DNS_ADDRESS } from "../internet/addresses.ts";

/** One server on each node, by rule: kubeadm only prefers it, and a test that takes a node away must not take all of DNS. */
export const DNS_SPREADING = {
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "DoNotSchedule",
      nodeTaintsPolicy: "Honor",
      matchLabelKeys: ["pod-template-hash"],
      labelSelector: { matchLabels: { "k8s-app": "kube-dns" } },
    },
  ],
};

/** The Corefile with every question about names outside the cluster going to the local internet's name server, and to nobody else. */
export function corefileWithLocalInternet(corefile: string): string {
  const changed = corefile.replace(/forward \. \S+/, `forward . ${DNS_ADDRESS}`);
  if (!changed.includes(`forward . ${DNS_ADDRESS}`))
    throw new Error(`CoreDNS' Corefile has no "forward ." that could be changed:\n${corefile}`);
  return changed;
}
