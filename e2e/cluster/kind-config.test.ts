import { describe, expect, test } from "vitest";
import { AUDIT_POLICY_DOCUMENT, type KindInput, kindConfiguration } from "./kind-config.ts";

const ports = { api: 16443, gateway: 18080, spare: 18090 };
const folders = { auditPolicyFile: "/s/audit-policy.json", auditFolder: "/s/audit", exchangeFolder: "/s/exchange" };
const ours: KindInput = {
  ports,
  ...folders,
  image: "localhost/kappa/node:1",
  cgroupfs: true,
  archives: { controlPlane: ["/c/control-plane.tar"], everyNode: ["/c/every-node.tar"] },
};
const published: KindInput = { ports, ...folders, image: undefined, cgroupfs: false, archives: { controlPlane: [], everyNode: [] } };

const parsed = (input: KindInput) => {
  const cluster = JSON.parse(kindConfiguration(input));
  const patches: Record<string, Record<string, unknown>> = {};
  for (const text of cluster.kubeadmConfigPatches) patches[JSON.parse(text).kind] = JSON.parse(text);
  return { cluster, patches };
};

test("API server, gateway and the spare port are published on the loopback only", () => {
  const { cluster } = parsed(ours);
  expect(cluster.networking).toMatchObject({ apiServerAddress: "127.0.0.1", apiServerPort: 16443 });
  expect(cluster.nodes[0].extraPortMappings).toEqual([
    { hostPort: 18080, containerPort: 30080, listenAddress: "127.0.0.1", protocol: "TCP" },
    { hostPort: 18090, containerPort: 30090, listenAddress: "127.0.0.1", protocol: "TCP" },
  ]);
});

test("the published node image brings its own network and cgroup driver; ours gets both from us", () => {
  expect(parsed(ours).cluster.networking.disableDefaultCNI).toBe(true);
  expect(parsed(ours).patches.KubeletConfiguration).toMatchObject({ cgroupDriver: "cgroupfs" });
  const { cluster, patches } = parsed(published);
  expect(cluster.networking.disableDefaultCNI).toBe(false);
  expect(cluster.nodes[0]).not.toHaveProperty("image");
  expect(patches.KubeletConfiguration).not.toHaveProperty("cgroupDriver");
});

test("a node sees the archives of what it runs, and no node can write what all share", () => {
  const [controlPlane, worker] = parsed(ours).cluster.nodes;
  const archives = (node: { extraMounts: { containerPath: string }[] }) =>
    node.extraMounts.map((mount) => mount.containerPath).filter((path) => path.startsWith("/kappa/images/"));
  expect(archives(controlPlane)).toEqual(["/kappa/images/control-plane.tar", "/kappa/images/every-node.tar"]);
  expect(archives(worker)).toEqual(["/kappa/images/every-node.tar"]);
  expect(worker.extraMounts).toContainEqual({ hostPath: "/s/exchange", containerPath: "/kappa/exchange", readOnly: true });
});

test("the control plane takes workloads, and its audit log is a folder of the machine", () => {
  const { cluster, patches } = parsed(ours);
  expect(patches.InitConfiguration).toMatchObject({ nodeRegistration: { taints: [] } });
  expect(cluster.nodes[0].extraMounts).toContainEqual({ hostPath: "/s/audit", containerPath: "/var/log/kubernetes/audit" });
  expect(patches.ClusterConfiguration).toMatchObject({
    apiServer: { extraArgs: expect.arrayContaining([{ name: "audit-log-path", value: "/var/log/kubernetes/audit/audit.log" }]) },
  });
});

test("the kubelet limits the processes of a pod, with every engine", () => {
  for (const input of [ours, published]) {
    expect(parsed(input).patches.KubeletConfiguration).toMatchObject({ podPidsLimit: 1_088, volumeStatsAggPeriod: "15s" });
  }
});

test("the kubelet accounts CPU in short periods, which it only does with its feature gate", () => {
  for (const input of [ours, published])
    expect(parsed(input).patches.KubeletConfiguration).toMatchObject({
      featureGates: { CustomCPUCFSQuotaPeriod: true },
      cpuCFSQuotaPeriod: "10ms",
    });
});

describe("what the audit log holds", () => {
  // First match wins (Kubernetes documentation, "Auditing").
  const levelOf = (request: { groups?: string[]; group?: string; verb: string }) =>
    AUDIT_POLICY_DOCUMENT.rules.find(
      (rule) =>
        (!rule.userGroups || rule.userGroups.some((group) => request.groups?.includes(group))) &&
        (!rule.resources || rule.resources.some((resource) => resource.group === request.group)) &&
        (!rule.verbs || rule.verbs.includes(request.verb)),
    )?.level;

  test.each([
    ["reads by Kappa's identities", { groups: ["system:serviceaccounts:kappa-system"], verb: "get" }, "Metadata"],
    ["reads of Kappa's resources by anybody", { group: "kappa.dev", verb: "list" }, "Metadata"],
    ["writes by anybody", { verb: "patch" }, "Metadata"],
    ["other reads", { groups: ["system:nodes"], verb: "get" }, "None"],
  ])("%s", (_name, request, level) => {
    expect(levelOf(request)).toBe(level);
  });
});
