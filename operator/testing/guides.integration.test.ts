/** What README and guides tell people to type works: objects are applied, commands run, the chart takes the values. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { unzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { run } from "../../e2e/cluster/run.ts";
import { type Rendered, renderChart } from "../images/testing/chart.ts";
import { type AccessKeySecret, AccessKeys } from "../src/gateway/access-keys.ts";
import { createLogger } from "../src/telemetry/log.ts";
import { binary } from "./binaries.ts";
import { kubectl, useApiServer } from "./index.ts";

const ROOT = join(import.meta.dirname, "../..");
const GUIDES = readdirSync(join(ROOT, "docs/guides")).map((name) => `docs/guides/${name}`);
const REGISTRY = "registry.example:5000/team";

const server = useApiServer();

interface Block {
  page: string;
  /** Counts the page's blocks from 1. */
  number: number;
  language: string;
  text: string;
}

const blocks = ["README.md", ...GUIDES].flatMap((page): Block[] =>
  [...readFileSync(join(ROOT, page), "utf8").matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", text = ""], index) => ({
    page,
    number: index + 1,
    language,
    text,
  })),
);
const yaml = blocks.filter(({ language }) => language === "yaml");

/** The only shell block of a page with these words. */
function shell(page: string, words: string): string {
  const found = blocks.filter((block) => block.page === page && block.language === "sh" && block.text.includes(words));
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${page} has ${found.length} shell blocks with "${words}", not one`);
  return found[0].text;
}

/** What bash prints, with the programs of the parts cache and an administrator's kubeconfig. */
const bash = (script: string): Promise<string> =>
  run(["bash", "-euc", script], {
    cwd: ROOT,
    env: { PATH: `${dirname(binary("kubectl"))}:${process.env.PATH}`, KUBECONFIG: server().kubeconfigPath },
  });

describe("objects", () => {
  test.each(yaml)("the API server accepts block $number of $page", async ({ text }) => {
    const { code, stderr } = await kubectl(server().kubeconfigPath, ["create", "--dry-run=server", "-f", "-"], text);
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });

  const functions = yaml
    .flatMap(({ text }) => parseAllDocuments(text).map((document) => document.toJS()))
    .filter((object) => object.kind === "Function");

  test("every source that is served is shown", () => {
    const sources = new Set(functions.flatMap((fn) => Object.keys(fn.spec.code)));
    expect([...sources].sort()).toEqual(["configMap", "inline", "object", "url", "zip"]);
  });

  test("an archive holds the file that its handler names", () => {
    const zipped = functions.filter((fn) => fn.spec.code.zip !== undefined);
    expect(zipped).not.toHaveLength(0);
    for (const { spec } of zipped) {
      const files = Object.keys(unzipSync(Buffer.from(spec.code.zip, "base64")));
      expect(files).toContain(`${spec.handler.slice(0, spec.handler.lastIndexOf("."))}.py`);
    }
  });
});

describe("installing", () => {
  const page = "docs/guides/install.md";

  test("the chart takes the guide's command, and every image comes from the registry that it names", async () => {
    const command = shell(page, "helm upgrade")
      .replace("helm upgrade --install", "helm template")
      .replaceAll("REGISTRY", REGISTRY)
      .replaceAll("TAG", "1.2.3");
    const rendered = parseAllDocuments(await bash(command)).map((document): Rendered | null => document.toJS());
    const workloads = rendered.filter((object) => ["Deployment", "StatefulSet", "Job"].includes(object?.kind ?? ""));
    const images = [...JSON.stringify(workloads).matchAll(/"image":"([^"]+)"/g)].map(([, image]) => image);
    expect(new Set(images)).toEqual(new Set([`${REGISTRY}/kappa/operator:1.2.3`, `${REGISTRY}/kappa/nats:1.2.3`]));
    const runtimes = /"name":"KAPPA_RUNTIME_IMAGES","value":("(?:[^"\\]|\\.)*")/.exec(JSON.stringify(workloads))?.[1] ?? '"{}"';
    expect(JSON.parse(JSON.parse(runtimes))).toEqual(
      Object.fromEntries(["nodejs24.x", "python3.11"].map((runtime) => [runtime, `${REGISTRY}/kappa/runtime-${runtime}:1.2.3`])),
    );
  });

  test("the gateway takes the access key that the guide makes, and the guide hands out that key", async () => {
    await bash(shell(page, "kubectl label namespace default"));
    await bash(shell(page, "kubectl create secret"));
    const exported = await bash(`${shell(page, "export AWS_ACCESS_KEY_ID")}\nprintf '%s\\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"`);
    const [accessKeyId = "", secretAccessKey = ""] = exported.trim().split("\n");
    const secret: AccessKeySecret = JSON.parse(await bash("kubectl get secret caller-key -o json"));
    expect(secret.type).toBe("kappa.dev/access-key");
    const keys = new AccessKeys(createLogger({ component: "test", level: "silent" }));
    keys.put(secret);
    expect(keys.get(accessKeyId)?.caller.username).toBe("system:serviceaccount:default:caller");
    expect(Buffer.from(secret.data?.secretAccessKey ?? "", "base64").toString()).toBe(secretAccessKey);
  });

  test("the role that the guide binds may invoke, and nothing else", async () => {
    const binding = JSON.parse(await bash("kubectl get rolebinding caller-invokes -o json"));
    const role = (await renderChart()).find(({ kind, metadata }) => kind === "ClusterRole" && metadata.name === binding.roleRef.name);
    expect(role?.rules).toEqual([{ apiGroups: ["kappa.dev"], resources: ["functions/invoke"], verbs: ["create"] }]);
  });

  test("removing everything names every kind, and kubectl takes the commands", async () => {
    const text = shell(page, "kubectl delete crd");
    const crds = (await bash("kubectl get crd -o name")).trim().split("\n");
    for (const name of crds.map((line) => line.slice(line.indexOf("/") + 1))) {
      expect(text).toContain(name);
      expect(text).toMatch(new RegExp(`^kubectl delete \\S*\\b${name.slice(0, name.indexOf("."))}\\b`, "m"));
    }
    const [before = "", after = ""] = text.split(/^helm uninstall.*\n/m);
    await bash(before);
    expect(await bash("kubectl get namespace default --show-labels")).not.toContain("kappa.dev/enabled");
    await bash(`kubectl create namespace kappa-system\n${after.replaceAll("kubectl delete", "kubectl delete --dry-run=server")}`);
  });
});
