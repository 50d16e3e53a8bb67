/** What the chart installs, rendered by helm and judged by a real API server. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { authConf } from "../src/bootstrap/auth-conf.ts";
import { createUserKey } from "../src/bus/nkeys.ts";
import { controllerSettings, gatewaySettings } from "../src/config.ts";
import { environmentServiceAccount, gatewayRoleBinding } from "../src/resources/account.ts";
import { assignmentPatch, environmentPod } from "../src/resources/environment-pod.ts";
import { accountNetworkPolicies, internetExceptions } from "../src/resources/network-policies.ts";
import { binary } from "../testing/binaries.ts";
import { kubectl, useApiServer } from "../testing/index.ts";
import { lintChart, NAMESPACE, type Rendered, renderChart } from "./testing/chart.ts";

let objects: Rendered[];
beforeAll(async () => {
  objects = await renderChart();
});

interface Container {
  name: string;
  image: string;
  args: string[];
  env?: { name: string; value?: string }[];
  securityContext: Record<string, unknown>;
  resources: { requests?: Record<string, string>; limits?: Record<string, string> };
  livenessProbe?: object;
  readinessProbe?: object;
  startupProbe?: object;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
}
interface PodTemplate {
  metadata: { labels: Record<string, string> };
  spec: { containers: Container[]; securityContext: Record<string, unknown>; automountServiceAccountToken?: boolean };
}

const ofKind = (...kinds: string[]): Rendered[] => objects.filter((object) => kinds.includes(object.kind));
const workloads = (): Rendered[] => ofKind("Deployment", "StatefulSet", "Job");
const template = (object: Rendered): PodTemplate => object.spec?.template as PodTemplate;
const title = (object: Rendered): string => `${object.kind} ${object.metadata.name}`;
const named = (kind: string, name: string): Rendered => {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`the chart has no ${kind} ${name}`);
  return found;
};
const environment = (name: string): Record<string, string | undefined> =>
  Object.fromEntries((template(named("Deployment", name)).spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value]));

test("helm lint has no complaint", async () => {
  expect(await lintChart()).toBe("");
});

test("there are two controllers, two gateways and one NATS server", () => {
  expect(ofKind("Deployment", "StatefulSet").map((object) => [object.metadata.name, object.spec?.replicas])).toEqual([
    ["kappa-controller", 2],
    ["kappa-gateway", 2],
    ["kappa-nats", 1],
  ]);
});

test("every object that has a namespace is in the release's, but for the right to see the API server's addresses", () => {
  const elsewhere = objects.filter((object) => object.metadata.namespace !== undefined && object.metadata.namespace !== NAMESPACE);
  expect(elsewhere.map(title)).toEqual(["Role kappa-controller", "RoleBinding kappa-controller"]);
});

test("no Secret is rendered: credentials would end up in Helm's history and in Git", () => {
  expect(ofKind("Secret")).toEqual([]);
});

test("the custom resources are those of the checkout, and are kept when the release is removed", () => {
  const folder = join(import.meta.dirname, "../../crds");
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => parse(readFileSync(join(folder, name), "utf8")) as Rendered);
  const keep = { "helm.sh/resource-policy": "keep" };
  const wanted = sources.map((crd) => ({ ...crd, metadata: { ...crd.metadata, annotations: { ...crd.metadata.annotations, ...keep } } }));
  const byName = (a: Rendered, b: Rendered): number => a.metadata.name.localeCompare(b.metadata.name);
  expect(ofKind("CustomResourceDefinition").toSorted(byName)).toEqual(wanted.toSorted(byName));
});

describe("pods", () => {
  test("of every workload keep to the restricted Pod Security Standard, with a read-only root", () => {
    for (const workload of workloads()) {
      const { spec } = template(workload);
      expect(spec.securityContext, title(workload)).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
      for (const container of spec.containers)
        expect(container.securityContext, title(workload)).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
    }
  });

  test("that serve have probes, requests and a memory limit, and a PodDisruptionBudget that lets a node be drained", () => {
    const budgets = ofKind("PodDisruptionBudget");
    for (const workload of ofKind("Deployment", "StatefulSet")) {
      const { containers } = template(workload).spec;
      expect(containers).toHaveLength(1);
      for (const container of containers) {
        expect(container, title(workload)).toMatchObject({ livenessProbe: {}, readinessProbe: {}, startupProbe: {} });
        expect(container.resources.requests, title(workload)).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) });
        expect(container.resources.limits?.memory, title(workload)).toBeDefined();
      }
      const budget = budgets.filter((candidate) => candidate.metadata.name === workload.metadata.name);
      expect(
        budget.map((found) => found.spec),
        title(workload),
      ).toEqual([{ maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow", selector: workload.spec?.selector }]);
    }
  });

  test("carry exactly the labels that their workload, Services and policies select", () => {
    for (const workload of workloads()) {
      const { labels } = template(workload).metadata;
      const selector = workload.spec?.selector as { matchLabels: Record<string, string> } | undefined;
      if (selector !== undefined) expect(labels, title(workload)).toEqual(selector.matchLabels);
      expect(labels["kappa.dev/component"], title(workload)).toBe(labels["app.kubernetes.io/component"]);
    }
    const all = workloads().map((workload) => template(workload).metadata.labels);
    for (const service of ofKind("Service")) {
      const selector = Object.entries(service.spec?.selector as Record<string, string>);
      const selected = all.filter((labels) => selector.every(([key, value]) => labels[key] === value));
      expect(selected, title(service)).toHaveLength(1);
    }
  });

  test("hold no credential in their environment, only files", () => {
    for (const workload of workloads())
      for (const { env = [] } of template(workload).spec.containers)
        for (const variable of env) expect(JSON.stringify(variable)).not.toMatch(/secretKeyRef/);
    expect(template(named("StatefulSet", "kappa-nats")).spec.automountServiceAccountToken).toBe(false);
  });

  test("that read a Secret mount it read-only", () => {
    for (const workload of workloads())
      for (const { volumeMounts = [] } of template(workload).spec.containers)
        for (const mount of volumeMounts.filter(({ mountPath }) => /secrets|\/etc\//.test(mountPath)))
          expect(mount.readOnly, title(workload)).toBe(true);
  });
});

describe("values", () => {
  test("reach the processes", async () => {
    objects = await renderChart({
      region: "eu-test-1",
      images: { operator: { tag: "abc" }, runtimes: { "nodejs24.x": "registry.test/n:1" } },
      cluster: { cidrs: ["100.64.0.0/10", "fd00::/8"] },
      controller: { workers: 7, urlAllowCidrs: ["10.1.0.0/16"] },
      gateway: { service: { type: "NodePort", nodePort: 30080 }, resources: { limits: { memory: "1Gi" } } },
      environments: { keepAliveSeconds: 30, overcommit: { memory: 1, cpu: 0.25 }, runtimeClassName: "gvisor" },
    });
    try {
      expect(environment("kappa-controller")).toMatchObject({
        KAPPA_REGION: "eu-test-1",
        KAPPA_WORKERS: "7",
        KAPPA_CLUSTER_CIDRS: "100.64.0.0/10,fd00::/8",
        KAPPA_URL_ALLOW_CIDRS: "10.1.0.0/16",
        KAPPA_OVERCOMMIT_CPU: "0.25",
        KAPPA_RUNTIME_CLASS: "gvisor",
      });
      expect(JSON.parse(environment("kappa-controller").KAPPA_RUNTIME_IMAGES ?? "")).toMatchObject({ "nodejs24.x": "registry.test/n:1" });
      expect(environment("kappa-gateway")).toMatchObject({
        KAPPA_REGION: "eu-test-1",
        KAPPA_KEEP_ALIVE_SECONDS: "30",
        KAPPA_OVERCOMMIT_MEMORY: "1",
        KAPPA_OVERCOMMIT_CPU: "0.25",
        KAPPA_RUNTIME_CLASS: "gvisor",
        // Three quarters of the limit.
        NODE_OPTIONS: "--max-semi-space-size=2 --max-old-space-size=768",
      });
      expect(JSON.parse(environment("kappa-gateway").KAPPA_RUNTIME_IMAGES ?? "")).toMatchObject({ "nodejs24.x": "registry.test/n:1" });
      expect(template(named("Deployment", "kappa-gateway")).spec.containers[0]?.image).toBe("kappa/operator:abc");
      expect(named("Service", "kappa-gateway").spec).toMatchObject({
        type: "NodePort",
        ports: [{ port: 80, targetPort: "api", nodePort: 30080 }],
      });
    } finally {
      objects = await renderChart();
    }
  });

  test("that are unset leave no empty variable behind", () => {
    expect(environment("kappa-gateway")).not.toHaveProperty("KAPPA_RUNTIME_CLASS");
    expect(environment("kappa-gateway").KAPPA_CACHE_BYTES).toBe("2147483648");
  });

  test.each([
    ["a misspelt value", { gateway: { replica: 3 } }, /gateway.*replica/s],
    ["a share above 1", { environments: { overcommit: { memory: 1.5 } } }, /overcommit\/memory.*1/s],
    ["an unknown level", { logLevel: "loud" }, /logLevel.*info/s],
    ["a region that is none", { region: "EU West" }, /region.*pattern/s],
    ["a range that is none", { cluster: { cidrs: ["10.0.0.0"] } }, /cidrs.*pattern/s],
    ["no replica", { gateway: { replicas: 0 } }, /gateway\/replicas.*minimum/s],
    ["an amount of memory that is none", { gateway: { resources: { limits: { memory: "lots" } } } }, /'lots' is no amount of memory/],
  ])("with %s are refused by name", async (_, values, message) => {
    await expect(renderChart(values)).rejects.toThrow(message);
  });
});

describe("rights", () => {
  interface Rule {
    apiGroups?: string[];
    resources?: string[];
    resourceNames?: string[];
    nonResourceURLs?: string[];
    verbs: string[];
  }
  const rules = (): { role: string; rule: Rule }[] =>
    ofKind("ClusterRole", "Role").flatMap((role) => (role.rules as Rule[]).map((rule) => ({ role: title(role), rule })));

  test("have no wildcard anywhere", () => {
    for (const { role, rule } of rules())
      for (const list of [rule.apiGroups, rule.resources, rule.verbs, rule.nonResourceURLs, rule.resourceNames])
        expect(list ?? [], role).not.toContain("*");
  });

  test("never include impersonation, escalation, executing in pods or writing roles", () => {
    for (const { role, rule } of rules()) {
      expect(rule.verbs, role).not.toEqual(expect.arrayContaining(["impersonate"]));
      expect(rule.verbs, role).not.toEqual(expect.arrayContaining(["escalate"]));
      for (const resource of rule.resources ?? []) {
        expect(resource, role).not.toMatch(/^pods\/(exec|attach|portforward)$/);
        if (/^(cluster)?roles$/.test(resource))
          expect(rule, role).toMatchObject({ verbs: ["bind"], resourceNames: ["kappa-gateway-account"] });
      }
    }
  });

  test("to read Secrets are nobody's in the whole cluster", () => {
    const bound = ofKind("ClusterRoleBinding").map((binding) => (binding.roleRef as { name: string }).name);
    expect(bound.toSorted()).toEqual(["kappa-controller", "kappa-gateway"]);
    for (const name of bound)
      for (const rule of named("ClusterRole", name).rules as Rule[]) expect(rule.resources ?? [], name).not.toContain("secrets");
  });
});

describe("a real API server", () => {
  const server = useApiServer();
  const run = (args: string[], input = "") => kubectl(server().kubeconfigPath, args, input);

  beforeAll(async () => {
    const namespace = {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: NAMESPACE, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    };
    const account = { apiVersion: "v1", kind: "Namespace", metadata: { name: "team-a", labels: { "kappa.dev/enabled": "true" } } };
    const all = [namespace, account, ...objects].map((object) => stringify(object)).join("---\n");
    const { code, stderr } = await run(["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"], all);
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  test("admits the pods of every workload under the restricted profile", async () => {
    for (const workload of workloads()) {
      const { metadata, spec } = template(workload);
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, name: "pod", namespace: NAMESPACE },
        spec: { ...spec, serviceAccountName: "default" },
      };
      await run(["create", "serviceaccount", "default", "-n", NAMESPACE]);
      // A StatefulSet's pod gets its claimed volumes from the controller manager, which is not here.
      const mounts = new Set(spec.containers.flatMap((container) => (container.volumeMounts ?? []).map((mount) => mount.name)));
      const volumes = ((spec as { volumes?: { name: string }[] }).volumes ?? []).filter((volume) => mounts.delete(volume.name));
      const withClaims = { ...pod, spec: { ...pod.spec, volumes: [...volumes, ...[...mounts].map((name) => ({ name, emptyDir: {} }))] } };
      const { code, stderr } = await run(["create", "--dry-run=server", "-f", "-"], stringify(withClaims));
      expect(`${code} ${stderr}`, title(workload)).toBe("0 ");
    }
  });

  const may = async (who: string, ...question: string[]): Promise<boolean> => {
    const { stdout } = await run(["auth", "can-i", ...question, `--as=system:serviceaccount:${NAMESPACE}:${who}`]);
    return stdout.trim() === "yes";
  };

  test.each<[string, string[], boolean]>([
    ["kappa-controller", ["list", "functions.kappa.dev", "--all-namespaces"], true],
    ["kappa-controller", ["patch", "functions.kappa.dev", "--subresource=status", "-n", "team-a"], true],
    ["kappa-controller", ["patch", "functions.kappa.dev", "-n", "team-a"], false],
    ["kappa-controller", ["patch", "networkpolicies/kappa-default-deny", "-n", "team-a"], true],
    ["kappa-controller", ["patch", "networkpolicies/other", "-n", "team-a"], false],
    ["kappa-controller", ["delete", "serviceaccounts/default", "-n", "team-a"], false],
    ["kappa-controller", ["update", "leases.coordination.k8s.io/kappa-controller", "-n", NAMESPACE], true],
    ["kappa-controller", ["update", "leases.coordination.k8s.io/other", "-n", NAMESPACE], false],
    ["kappa-controller", ["watch", "endpointslices.discovery.k8s.io", "-n", "default"], true],
    ["kappa-controller", ["watch", "endpointslices.discovery.k8s.io", "-n", "team-a"], false],
    ["kappa-controller", ["get", "secrets", "-n", "team-a"], false],
    ["kappa-controller", ["get", "secrets", "-n", NAMESPACE], false],
    ["kappa-controller", ["create", "pods", "-n", "team-a"], true],
    ["kappa-controller", ["patch", "pods", "-n", "team-a"], false],
    ["kappa-controller", ["get", "functions.kappa.dev", "-n", "team-a"], true],
    ["kappa-controller", ["patch", "versions.kappa.dev", "-n", "team-a"], true],
    ["kappa-controller", ["delete", "versions.kappa.dev", "-n", "team-a"], false],
    ["kappa-controller", ["patch", "configmaps/kappa-version-numbers-a", "-n", "team-a"], true],
    ["kappa-controller", ["patch", "configmaps/other", "-n", "team-a"], false],
    ["kappa-controller", ["create", "configmaps", "-n", "team-a"], false],
    ["kappa-gateway", ["get", "secrets", "-n", NAMESPACE], false],
    ["kappa-gateway", ["get", "secrets", "-n", "team-a"], false],
    ["kappa-gateway", ["create", "pods", "-n", "team-a"], false],
    ["kappa-gateway", ["create", "subjectaccessreviews.authorization.k8s.io"], true],
    ["kappa-gateway", ["get", "/openid/v1/jwks"], true],
    ["kappa-gateway", ["patch", "functions.kappa.dev", "--subresource=status", "-n", "team-a"], false],
    ["kappa-bootstrap", ["get", "secrets/kappa-nats-server", "-n", NAMESPACE], true],
    ["kappa-bootstrap", ["list", "secrets", "-n", NAMESPACE], false],
    ["kappa-bootstrap", ["get", "secrets/other", "-n", NAMESPACE], false],
    ["kappa-bootstrap", ["get", "secrets", "-n", "team-a"], false],
  ])("%s: may it %j? %s", async (who, question, answer) => {
    expect(await may(who, ...question)).toBe(answer);
  });

  const asServiceAccount = (name: string): string => `--as=system:serviceaccount:${NAMESPACE}:${name}`;
  const applyAs = async (who: string, ...applied: object[]): Promise<string> =>
    (await run(["apply", "--server-side", asServiceAccount(who), "-f", "-"], applied.map((object) => stringify(object)).join("---\n")))
      .stderr;

  test("lets the controller make what an account needs, and nothing under another name", async () => {
    const network = {
      systemNamespace: NAMESPACE,
      gatewayAgentPort: 8081,
      gatewayApiPort: 8080,
      dns: { namespace: "kube-system", podLabels: { "k8s-app": "kube-dns" } },
    };
    const policies = accountNetworkPolicies("team-a", network, internetExceptions([]));
    const serviceAccount = environmentServiceAccount("team-a");
    expect(await applyAs("kappa-controller", ...policies, serviceAccount)).toBe("");
    for (const object of [policies[0], serviceAccount] as { metadata: object }[])
      expect(await applyAs("kappa-controller", { ...object, metadata: { ...object.metadata, name: "other" } })).toMatch(/forbidden/);
  });

  test("lets the gateway into a namespace once the controller's RoleBinding is there, and only there", async () => {
    const binding = gatewayRoleBinding("team-a", { serviceAccount: "kappa-gateway", namespace: NAMESPACE });
    expect(await applyAs("kappa-controller", binding)).toBe("");
    for (const question of [
      ["create", "pods"],
      ["watch", "secrets"],
      ["create", "serviceaccounts/orders", "--subresource=token"],
    ]) {
      await expect.poll(() => may("kappa-gateway", ...question, "-n", "team-a"), { timeout: 10_000 }).toBe(true);
      expect(await may("kappa-gateway", ...question, "-n", "default")).toBe(false);
    }
    // Nor can the controller hand out anything else, under whatever name.
    const admin = { ...binding, roleRef: { ...binding.roleRef, name: "cluster-admin" } };
    await run(["delete", "rolebinding", "kappa-gateway-account", "-n", "team-a"]);
    expect(await applyAs("kappa-controller", admin)).toMatch(/attempting to grant RBAC permissions/);
    expect(await applyAs("kappa-controller", { ...binding, metadata: { ...binding.metadata, name: "other" } })).toMatch(/forbidden/);
    expect(await applyAs("kappa-controller", binding)).toBe("");
  });

  test("lets the gateway make and assign environments and no other pod, nor run anything else in them, and the controller make them", async () => {
    expect(
      await applyAs(
        "kappa-controller",
        environmentServiceAccount("team-a"),
        gatewayRoleBinding("team-a", { serviceAccount: "kappa-gateway", namespace: NAMESPACE }),
      ),
    ).toBe("");
    await run(["create", "serviceaccount", "default", "-n", "team-a"]);
    const pod = environmentPod({
      function: { uid: "b4b3b9a0-0000-4000-8000-000000000000", name: "fn", namespace: "team-a" },
      suffix: "abcde",
      effective: { runtime: "python3.11", memorySize: 128, ephemeralStorageMb: 512, architectures: ["x86_64"], environment: {} },
      version: "$LATEST",
      assignmentId: "a/$LATEST/b",
      images: { "python3.11": "image" },
      placement: "public",
      settings: {
        overcommit: { memory: 0.5, cpu: 0.1 },
        agentAllowance: { memoryMb: 64, cpuMillis: 250 },
        gateway: { host: "gateway.", port: 8081 },
        imagePullPolicy: "Never",
      },
    });
    const createAs = async (who: string, created: object): Promise<string> =>
      (await run(["create", asServiceAccount(who), "-f", "-"], stringify(created))).stderr;
    // A policy takes effect some moments after it was created.
    const plain = { ...pod, metadata: { ...pod.metadata, name: "plain", labels: {} } };
    await expect
      .poll(
        () =>
          createAs("kappa-gateway", { ...plain, metadata: { ...plain.metadata, name: `plain-${Math.random().toString(36).slice(2)}` } }),
        { timeout: 30_000 },
      )
      .toMatch(/labelled kappa.dev\/component=environment only/);
    expect(await createAs("kappa-gateway", pod)).toBe("");
    const named = (name: string) => ({ ...pod.metadata, name });
    expect(await createAs("kappa-gateway", { ...pod, metadata: named("a"), spec: { ...pod.spec, serviceAccountName: "default" } })).toMatch(
      /ServiceAccount kappa-environment only/,
    );
    expect(
      await createAs("kappa-gateway", {
        ...pod,
        metadata: named("b"),
        spec: { ...pod.spec, volumes: [...pod.spec.volumes, { name: "x", secret: { secretName: "of-somebody" } }] },
      }),
    ).toMatch(/empty directories and a projected token only/);
    expect(
      await createAs("kappa-gateway", { ...pod, metadata: named("c"), spec: { ...pod.spec, automountServiceAccountToken: true } }),
    ).toMatch(/empty directories and a projected token only/);
    const [container] = pod.spec.containers;
    const privileged = {
      ...container,
      securityContext: { ...container?.securityContext, privileged: true, allowPrivilegeEscalation: true },
    };
    for (const [name, over] of Object.entries({
      d: { hostNetwork: true },
      e: { hostPID: true },
      f: { containers: [privileged] },
      g: { initContainers: [{ ...privileged, name: "first" }] },
    }))
      expect(await createAs("kappa-gateway", { ...pod, metadata: named(name), spec: { ...pod.spec, ...over } }), name).toMatch(
        /share nothing with their node/,
      );

    const patchAs = async (name: string, patch: object, type: "merge" | "strategic", ...subresource: string[]): Promise<string> =>
      (
        await run([
          "patch",
          "pod",
          name,
          "-n",
          "team-a",
          "--type",
          type,
          ...subresource,
          "-p",
          JSON.stringify(patch),
          asServiceAccount("kappa-gateway"),
        ])
      ).stderr;
    const { name } = pod.metadata;
    const fn = { uid: "b4b3b9a0-0000-4000-8000-000000000000", name: "fn", namespace: "team-a" };
    const uid = (await run(["get", "pod", name, "-n", "team-a", "-o", "jsonpath={.metadata.uid}"])).stdout;
    expect(await patchAs(name, assignmentPatch(uid, fn, { version: "1", assignmentId: "a/1/b" }), "merge")).toBe("");
    expect(await patchAs(name, assignmentPatch(fn.uid, fn, { version: "1", assignmentId: "a/1/b" }), "merge")).toMatch(/uid/i);
    // kubectl would read the subresource first, which nobody needs.
    for (const subresource of ["status", "resize"])
      expect(await may("kappa-gateway", "patch", "pods", `--subresource=${subresource}`, "-n", "team-a")).toBe(true);
    expect(await patchAs(name, { metadata: { labels: { "kappa.dev/placement": "other" } } }, "merge")).toMatch(
      /the annotations, the owner/,
    );
    expect(await patchAs(name, { spec: { containers: [{ name: "environment", image: "other" }] } }, "strategic")).toMatch(
      /the annotations, the owner/,
    );

    expect((await run(["create", "-f", "-"], stringify({ ...plain, spec: { ...plain.spec, serviceAccountName: "default" } }))).stderr).toBe(
      "",
    );
    expect(await patchAs("plain", { metadata: { annotations: { "kappa.dev/assignment": "x" } } }, "merge")).toMatch(/environment only/);
    expect(await createAs("kappa-controller", { ...plain, metadata: { ...plain.metadata, name: "plain-too" } })).toMatch(
      /environment only/,
    );
    expect(await createAs("kappa-controller", { ...pod, metadata: named("declared") })).toBe("");
    for (const who of ["kappa-controller", "kappa-gateway"])
      expect((await run(["delete", "pod", "plain", "-n", "team-a", "--wait=false", asServiceAccount(who)])).stderr).toMatch(/only/);
    expect(
      (await run(["delete", "pod", pod.metadata.name, "-n", "team-a", "--wait=false", asServiceAccount("kappa-controller")])).stderr,
    ).toBe("");
  });
});

describe("the processes' settings", () => {
  /** The environment as a pod gets it: fields of the pod filled in, files of Secrets in a folder. */
  function podEnvironment(name: string, folder: string): Record<string, string> {
    // The kubelet tells every pod where the API server is.
    const env: Record<string, string> = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
    for (const variable of template(named("Deployment", name)).spec.containers[0]?.env ?? [])
      env[variable.name] = variable.value ?? "10.0.0.1";
    for (const [key, value] of Object.entries(env)) {
      if (!key.endsWith("_FILE")) continue;
      const file = join(folder, key);
      writeFileSync(file, "content");
      env[key] = value === "" ? "" : file;
    }
    return env;
  }

  test.each([
    ["kappa-controller", controllerSettings],
    ["kappa-gateway", gatewaySettings],
  ] as const)("that the chart writes are the ones %s reads: none is missing, none is for nobody", (name, settings) => {
    const folder = mkdtempSync(join(tmpdir(), "kappa-settings-"));
    try {
      const env = podEnvironment(name, folder);
      const read = settings(env);
      const elsewhere = ["NODE_OPTIONS", "POD_IP"];
      expect(Object.keys(env).filter((key) => !(key in read) && !elsewhere.includes(key))).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("NATS's configuration", () => {
  test("is one that the server accepts, together with the accounts", () => {
    const folder = mkdtempSync(join(tmpdir(), "kappa-nats-conf-"));
    try {
      const [controller, gateway, controllerInUser, userAdmin] = Array.from({ length: 4 }, () => createUserKey().publicKey) as [
        string,
        string,
        string,
        string,
      ];
      const { data } = named("ConfigMap", "kappa-nats") as unknown as { data: Record<string, string> };
      writeFileSync(join(folder, "nats.conf"), data["nats.conf"] ?? "");
      writeFileSync(join(folder, "auth.conf"), authConf({ controller, gateway, controllerInUser, userAdmin }));
      const { status, stderr } = spawnSync(binary("nats-server"), ["-t", "--config", join(folder, "nats.conf")], {
        encoding: "utf8",
        env: { POD_NAME: "kappa-nats-0" },
      });
      expect(stderr).toMatch(/configuration file .* is valid/);
      expect(status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
