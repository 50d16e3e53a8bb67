import { describe, expect, test } from "vitest";
import {
  assignmentPatch,
  type EnvironmentPodInput,
  environmentPod,
  type PoolPodInput,
  poolHash,
  poolPod,
  resizePatch,
} from "./environment-pod.ts";

const input: EnvironmentPodInput = {
  function: { uid: "3f1c", name: "hello", namespace: "team" },
  suffix: "x7k2p",
  effective: { runtime: "python3.11", memorySize: 1769, ephemeralStorageMb: 512, architectures: ["x86_64"], environment: {} },
  version: "$LATEST",
  assignmentId: "3f1c/$LATEST/r1",
  images: { "python3.11": "kappa/runtime-python3.11:1" },
  placement: "public",
  settings: {
    overcommit: { memory: 0.5, cpu: 0.1 },
    agentAllowance: { memoryMb: 64, cpuMillis: 250 },
    gateway: { host: "gateways.kappa-system.svc", port: 8081 },
    imagePullPolicy: "IfNotPresent",
  },
};
const container = (pod: ReturnType<typeof environmentPod>) => pod.spec.containers[0];

describe("environmentPod", () => {
  test("limits a function to its memory and CPU share, and adds the agent's", () => {
    expect(container(environmentPod(input))?.resources.limits).toEqual({ memory: "1833Mi", cpu: "1250m" });
  });

  test("requests the overcommitted part of the function's share", () => {
    expect(container(environmentPod(input))?.resources.requests).toEqual({ memory: "885Mi", cpu: "100m" });
  });

  test.each([
    ["python3.11", {}, "0"],
    ["nodejs24.x", { GREETING: "hello" }, "1769"],
    ["nodejs24.x", { NODE_OPTIONS: "--enable-source-maps" }, undefined],
    ["java17", {}, undefined],
  ])("has a runtime of %s with %j started at once, for a heap of %s", (runtime, environment, heapMb) => {
    const effective = { ...input.effective, runtime, environment };
    const pod = environmentPod({ ...input, effective, images: { [runtime]: "kappa/runtime" } });
    expect(container(pod)?.env.filter(({ name }) => name === "KAPPA_ZYGOTE_HEAP_MB")).toEqual(
      heapMb === undefined ? [] : [{ name: "KAPPA_ZYGOTE_HEAP_MB", value: heapMb }],
    );
  });

  test("never requests nothing, which would make the pod the first to be evicted", () => {
    const settings = { ...input.settings, overcommit: { memory: 0, cpu: 0 } };
    expect(container(environmentPod({ ...input, settings }))?.resources.requests).toEqual({ memory: "1Mi", cpu: "1m" });
  });

  test("carries its placement, function and runtime as labels and its assignment as an annotation", () => {
    expect(environmentPod(input).metadata).toMatchObject({
      name: "hello-x7k2p",
      namespace: "team",
      labels: {
        "kappa.dev/component": "environment",
        "kappa.dev/function": "hello",
        "kappa.dev/runtime": "python3.11",
        "kappa.dev/placement": "public",
      },
      annotations: { "kappa.dev/assignment": "3f1c/$LATEST/r1", "kappa.dev/function": "hello", "kappa.dev/version": "$LATEST" },
      ownerReferences: [{ kind: "Function", name: "hello", uid: "3f1c", controller: true }],
    });
  });

  test("meets the restricted pod security standard", () => {
    const { spec } = environmentPod(input);
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 993,
      fsGroup: 993,
      seccompProfile: { type: "RuntimeDefault" },
    });
    expect(spec.containers[0]?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  test("holds no credential but the token for the gateway", () => {
    const { spec } = environmentPod(input);
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false, serviceAccountName: "kappa-environment" });
    expect(spec.volumes.find((volume) => volume.name === "token")).toEqual({
      name: "token",
      projected: { sources: [{ serviceAccountToken: { audience: "gateway.kappa.dev", expirationSeconds: 3600, path: "token" } }] },
    });
  });

  test("has a place in memory, where Kubernetes' clients look, for the role's token", () => {
    const { spec } = environmentPod(input);
    expect(spec.volumes.find((volume) => volume.name === "role")).toEqual({
      name: "role",
      emptyDir: { medium: "Memory", sizeLimit: "1Mi" },
    });
    expect(spec.containers[0]?.volumeMounts).toContainEqual({ name: "role", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" });
  });

  test("shows the function its code on read-only file systems, and lets the agent write it elsewhere", () => {
    const { env, volumeMounts } = environmentPod(input).spec.containers[0] ?? {};
    for (const [name, mountPath] of [
      ["task", "/var/task"],
      ["opt", "/opt"],
    ]) {
      expect(volumeMounts).toContainEqual({ name, mountPath, readOnly: true });
      expect(volumeMounts).toContainEqual({ name, mountPath: `/kappa/volumes/${name}` });
    }
    expect(env).toContainEqual({ name: "KAPPA_UNPACK_ROOT", value: "/kappa/volumes/task" });
  });

  test("has full names looked up once", () => {
    expect(environmentPod(input).spec.dnsConfig).toEqual({ options: [{ name: "ndots", value: "1" }] });
  });

  test("lets the longest event finish and never restarts in place", () => {
    expect(environmentPod(input).spec).toMatchObject({ restartPolicy: "Never", terminationGracePeriodSeconds: 930 });
  });

  test("bounds /tmp by ephemeralStorage, and tells the agent", () => {
    const { spec } = environmentPod({ ...input, effective: { ...input.effective, ephemeralStorageMb: 2048 } });
    expect(spec.volumes).toContainEqual({ name: "tmp", emptyDir: { sizeLimit: "2048Mi" } });
    expect(spec.containers[0]?.env).toContainEqual({ name: "KAPPA_EPHEMERAL_STORAGE_MB", value: "2048" });
  });

  test("keeps every node to avoid out, each once, in a stable order", () => {
    expect(environmentPod({ ...input, avoidNodes: ["b", "a", "b"] }).spec).toMatchObject({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              {
                matchFields: [
                  { key: "metadata.name", operator: "NotIn", values: ["a"] },
                  { key: "metadata.name", operator: "NotIn", values: ["b"] },
                ],
              },
            ],
          },
        },
      },
    });
  });

  test("has no affinity when there is no node to avoid", () => {
    expect(environmentPod(input).spec).not.toHaveProperty("affinity");
  });

  test("runs on nodes of the function's architecture, with the installation's selector", () => {
    const effective = { ...input.effective, architectures: ["arm64" as const] };
    const settings = { ...input.settings, nodeSelector: { pool: "functions" } };
    expect(environmentPod({ ...input, effective, settings }).spec.nodeSelector).toEqual({
      "kubernetes.io/arch": "arm64",
      pool: "functions",
    });
  });

  test("takes sandbox, priority, tolerations and spread from the installation", () => {
    const settings = {
      ...input.settings,
      runtimeClassName: "gvisor",
      priorityClassName: "functions",
      tolerations: [{ key: "functions", operator: "Exists" as const }],
      topologyKeys: ["topology.kubernetes.io/zone"],
    };
    expect(environmentPod({ ...input, settings }).spec).toMatchObject({
      runtimeClassName: "gvisor",
      priorityClassName: "functions",
      tolerations: [{ key: "functions", operator: "Exists" }],
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" }],
    });
  });

  test("names the installed runtimes when this one has no image", () => {
    const effective = { ...input.effective, runtime: "ruby3.3" };
    expect(() => environmentPod({ ...input, effective })).toThrow("Runtime ruby3.3 is not installed. Installed runtimes: python3.11");
  });

  test("does not take a property of every object for a runtime", () => {
    const effective = { ...input.effective, runtime: "constructor" };
    expect(() => environmentPod({ ...input, effective })).toThrow("not installed");
  });
});

describe("a pod of provisioned concurrency", () => {
  const pod = environmentPod({ ...input, version: "7", provisioned: { qualifier: "prod" } });

  test("names what declares it, and is ready once the gateway says that it has initialised", () => {
    expect(pod.metadata.annotations).toMatchObject({ "kappa.dev/version": "7", "kappa.dev/provisioned": "prod" });
    expect(pod.spec).toMatchObject({ readinessGates: [{ conditionType: "kappa.dev/Initialized" }] });
  });

  test("is else what any pod of the function is", () => {
    const { readinessGates: _, ...spec } = pod.spec as typeof pod.spec & { readinessGates: unknown };
    expect(spec).toEqual(environmentPod(input).spec);
  });
});

describe("poolPod", () => {
  const {
    function: _function,
    effective: _effective,
    version: _version,
    assignmentId: _assignmentId,
    placement: _placement,
    ...common
  } = input;
  const pooled: PoolPodInput = {
    ...common,
    pool: { namespace: "team", runtime: "python3.11", placement: "public", architecture: "x86_64", heapMb: 0 },
    size: { memoryMb: 1769, requestedMb: 128 },
    madeBy: "kappa-gateway-1",
    gatewayAddresses: ["10.0.0.1:8081"],
  };

  test("belongs to nobody: no function, no assignment, no owner", () => {
    const { metadata } = poolPod(pooled);
    expect(metadata).toEqual({
      name: "pool-python3-11-x7k2p",
      namespace: "team",
      labels: {
        "kappa.dev/component": "environment",
        "kappa.dev/runtime": "python3.11",
        "kappa.dev/placement": "public",
        "kappa.dev/pool": poolHash(pooled),
        "app.kubernetes.io/managed-by": "kappa",
      },
      annotations: { "kappa.dev/pool": "python3.11/public/x86_64/0", "kappa.dev/made-by": "kappa-gateway-1" },
    });
  });

  test("has room for any function that fits, and asks for that of a small one", () => {
    expect(poolPod(pooled).spec.containers[0]?.resources).toEqual({
      limits: { memory: "1833Mi", cpu: "1250m" },
      requests: { memory: "64Mi", cpu: "8m" },
    });
  });

  test("tells its agent that it waits, and for which heap", () => {
    const pod = poolPod({ ...pooled, pool: { ...pooled.pool, heapMb: 256 } });
    expect(pod.spec.containers[0]?.env).toContainEqual({ name: "KAPPA_POOLED", value: "1" });
    expect(pod.spec.containers[0]?.env).toContainEqual({ name: "KAPPA_ZYGOTE_HEAP_MB", value: "256" });
  });

  test.each<[string, Partial<PoolPodInput>]>([
    ["image", { images: { "python3.11": "kappa/runtime-python3.11:2" } }],
    ["size", { size: { memoryMb: 1024, requestedMb: 128 } }],
    ["policy", { settings: { ...input.settings, runtimeClassName: "gvisor" } }],
    ["heap", { pool: { ...pooled.pool, heapMb: 512 } }],
    ["place", { pool: { ...pooled.pool, placement: "vpc-1" } }],
  ])("is another pool's when made with another %s", (_, over) => {
    expect(poolHash({ ...pooled, ...over })).not.toBe(poolHash(pooled));
  });

  test("is of the same pool whoever made it, and wherever it dials first", () => {
    const other = poolPod({ ...pooled, madeBy: "kappa-gateway-2", gatewayAddresses: [], suffix: "other", avoidNodes: ["a"] });
    expect(other.metadata.labels).toMatchObject({ "kappa.dev/pool": poolHash(pooled) });
  });

  test("becomes a function's by annotations and an owner, with no label changed, and in this very pod only", () => {
    expect(assignmentPatch("uid-1", input.function, input)).toEqual({
      metadata: {
        uid: "uid-1",
        annotations: environmentPod(input).metadata.annotations,
        ownerReferences: environmentPod(input).metadata.ownerReferences,
      },
    });
  });

  test("is given the size that a pod of the function's own has", () => {
    const [container] = environmentPod(input).spec.containers;
    expect(resizePatch(input.effective.memorySize, input.settings)).toEqual({
      spec: { containers: [{ name: container?.name, resources: container?.resources }] },
    });
  });
});
