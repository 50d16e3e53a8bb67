import { CONTROL_PLANE } from "../settings.ts";

/**
 * Cilium as a plain CNI that enforces NetworkPolicies: kube-proxy stays, pods' addresses come from the nodes' ranges, pods are routed without
 * tunnels (all nodes share a network), and its operator is not needed (identities are CRDs, allocated by the agents).
 */
const CONFIG: Readonly<Record<string, string>> = {
  ipam: "kubernetes",
  "routing-mode": "native",
  "ipv4-native-routing-cidr": "10.244.0.0/16",
  "auto-direct-node-routes": "true",
  "enable-ipv4": "true",
  "enable-ipv6": "false",
  "enable-ipv4-masquerade": "true",
  "kube-proxy-replacement": "false",
  "enable-l7-proxy": "false",
  "enable-envoy-config": "false",
  "enable-policy": "default",
  "enable-k8s-networkpolicy": "true",
  "install-iptables-rules": "true",
  "cluster-name": "default",
  "cluster-id": "0",
  "identity-allocation-mode": "crd",
  "cgroup-root": "/run/cilium/cgroupv2",
  "bpf-root": "/sys/fs/bpf",
  "enable-hubble": "false",
  "enable-health-checking": "false",
  "enable-endpoint-health-checking": "false",
  devices: "eth0",
  "direct-routing-device": "eth0",
  "cni-exclusive": "false",
  "skip-crd-creation": "true",
  "write-cni-conf-when-ready": "/host/etc/cni/net.d/05-cilium.conflist",
};

const metadata = { name: "cilium", namespace: "kube-system" };
const mount = (name: string, mountPath: string, mountPropagation?: string) => ({
  name,
  mountPath,
  ...(mountPropagation && { mountPropagation }),
});
const hostPath = (name: string, path: string) => ({ name, hostPath: { path, type: "DirectoryOrCreate" } });

/** Everything but the CRDs, which come from Cilium's module. */
export function ciliumObjects(image: string): object[] {
  const labels = { "k8s-app": "cilium" };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "cilium" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "ServiceAccount", ...metadata }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, name: "cilium-config" }, data: CONFIG },
    {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: "cilium",
            hostNetwork: true,
            priorityClassName: "system-node-critical",
            tolerations: [{ operator: "Exists" }],
            containers: [
              {
                name: "agent",
                image,
                imagePullPolicy: "Never",
                securityContext: { privileged: true },
                env: [
                  { name: "K8S_NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
                  // The Service's address works only once kube-proxy does; the node's name also survives a change of its address.
                  { name: "KUBERNETES_SERVICE_HOST", value: CONTROL_PLANE },
                  { name: "KUBERNETES_SERVICE_PORT", value: "6443" },
                ],
                volumeMounts: [
                  mount("config", "/etc/cilium-config"),
                  mount("run", "/var/run/cilium", "Bidirectional"),
                  mount("bpf", "/sys/fs/bpf", "Bidirectional"),
                  mount("cni", "/host/etc/cni/net.d"),
                  mount("cni-programs", "/host/opt/cni/bin"),
                  mount("netns", "/var/run/netns", "HostToContainer"),
                ],
              },
            ],
            volumes: [
              { name: "config", configMap: { name: "cilium-config" } },
              hostPath("run", "/var/run/cilium"),
              { name: "bpf", hostPath: { path: "/sys/fs/bpf" } },
              hostPath("cni", "/etc/cni/net.d"),
              hostPath("cni-programs", "/opt/cni/bin"),
              hostPath("netns", "/var/run/netns"),
            ],
          },
        },
      },
    },
  ];
}
