import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readCrds, rootSchema, type Schema } from "../../scripts/generate/crds.ts";
import { kubectl, useApiServer } from "./index.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXAMPLES = join(ROOT, "examples");
const INVALID = join(EXAMPLES, "invalid");

const server = useApiServer();
const run = (args: string[], input?: string) => kubectl(server().kubeconfigPath, args, input);
const yamlFiles = (folder: string) => readdirSync(folder).filter((file) => file.endsWith(".yaml"));

/** What an invalid example says of itself: `# Sentence.`, `# Refused at FIELD: MESSAGE`, then one object, or one and its change. */
function invalidExample(file: string) {
  const text = readFileSync(join(INVALID, file), "utf8");
  const [, why, field, message] = /^# (.+)\n# Refused at (\S+): (.+)\n/.exec(text) ?? [];
  if (why === undefined || field === undefined || message === undefined)
    throw new Error(`${file} begins with "# Sentence." and "# Refused at FIELD: MESSAGE"`);
  const documents = text.split("\n---\n");
  return { file, why, field, message, documents };
}

describe("valid examples", () => {
  test.each(yamlFiles(EXAMPLES))("the API server accepts %s", async (file) => {
    expect(await run(["create", "-f", join(EXAMPLES, file)])).toMatchObject({ code: 0, stderr: "" });
  });

  test("there is one of every kind", () => {
    const kinds = new Set(yamlFiles(EXAMPLES).map((file) => parse(readFileSync(join(EXAMPLES, file), "utf8")).kind));
    expect([...kinds].sort()).toEqual(["Alias", "EventSourceMapping", "Function", "LayerVersion", "Version", "Vpc"]);
  });
});

describe("invalid examples are refused with field, rule and remedy", () => {
  test.for(yamlFiles(INVALID).map(invalidExample))("$why ($file)", async ({ field, message, documents }) => {
    const [first = "", change] = documents;
    if (change !== undefined) expect(await run(["create", "-f", "-"], first)).toMatchObject({ code: 0 });
    const refused = await (change === undefined ? run(["create", "-f", "-"], first) : run(["replace", "-f", "-"], change));
    expect(refused.code).not.toBe(0);
    const line = refused.stderr.split("\n").find((candidate) => candidate.includes(field) && candidate.includes(message));
    expect(line, refused.stderr).toBeDefined();
  });
});

describe("sizes, at the limit and one beyond", () => {
  const functionOf = (name: string, spec: object) =>
    JSON.stringify({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Function",
      metadata: { name },
      spec: { runtime: "python3.11", handler: "index.handler", code: { inline: "pass" }, ...spec },
    });
  const create = (spec: object) => run(["create", "--dry-run=server", "-f", "-"], functionOf("sized", spec));

  test.for([
    ["inline code of 65,536 bytes", { code: { inline: "#".repeat(65_536) } }],
    ["a package of 180,000 characters", { code: { zip: "QUJD".repeat(45_000) } }],
    ["a package in lines, as base64 writes it", { code: { zip: `${"QUJD".repeat(19)}\n${"QUJD".repeat(18)}QQ==\n` } }],
    [
      "environment variables of 4,096 bytes as JSON text",
      { environment: { variables: { NAME: "x".repeat(4_096 - '{"NAME":""}'.length) } } },
    ],
    ["a name of 64 characters", { functionName: "f".repeat(64) }],
    ["a description of 256 characters", { description: "d".repeat(256) }],
    ["a handler of 128 characters", { handler: "h".repeat(128) }],
  ] as const)("%s: accepted", async ([, spec]) => {
    expect(await create(spec)).toMatchObject({ code: 0 });
  });

  test.for([
    [
      "inline code of 65,537 bytes",
      { code: { inline: "#".repeat(65_537) } },
      /spec\.code\.inline: Too long: may not be more than 65536 bytes/,
    ],
    [
      "inline code of 65,538 bytes in fewer characters",
      { code: { inline: "é".repeat(32_769) } },
      /spec\.code\.inline has at most 65,536 bytes/,
    ],
    [
      "a package of 180,004 characters",
      { code: { zip: "QUJD".repeat(45_001) } },
      /spec\.code\.zip: Too long: may not be more than 180000 bytes/,
    ],
    [
      "environment variables of 4,097 bytes as JSON text",
      { environment: { variables: { NAME: "x".repeat(4_097 - '{"NAME":""}'.length) } } },
      /spec\.environment\.variables has at most 4 KB in all/,
    ],
    ["a name of 65 characters", { functionName: "f".repeat(65) }, /spec\.functionName: Too long: may not be more than 64 bytes/],
    ["a description of 257 characters", { description: "d".repeat(257) }, /spec\.description: Too long: may not be more than 256 bytes/],
    ["a handler of 129 characters", { handler: "h".repeat(129) }, /spec\.handler: Too long: may not be more than 128 bytes/],
  ] as const)("%s: refused", async ([, spec, message]) => {
    const { code, stderr } = await create(spec);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});

describe("every name that Lambda's runtime sets itself is refused", () => {
  test.for([
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
  ])("%s", async (name) => {
    const { code, stderr } = await run(["create", "--dry-run=server", "-f", "-"], withVariable(name));
    expect(code).not.toBe(0);
    expect(stderr).toContain("spec.environment.variables contains reserved keys");
  });

  test.for(["AWS_LAMBDA_EXEC_WRAPPER", "TZ", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "NODE_OPTIONS"])(
    "%s is not reserved",
    async (name) => {
      expect(await run(["create", "--dry-run=server", "-f", "-"], withVariable(name))).toMatchObject({ code: 0 });
    },
  );

  function withVariable(name: string): string {
    const example = parse(readFileSync(join(EXAMPLES, "hello-python.yaml"), "utf8"));
    return JSON.stringify({
      ...example,
      metadata: { name: "variable" },
      spec: { ...example.spec, environment: { variables: { [name]: "value" } } },
    });
  }
});

describe("what may change of a version", () => {
  const restored = () => parse(readFileSync(join(EXAMPLES, "version-restored.yaml"), "utf8"));

  test("provisioned concurrency, asynchronous settings and permissions may, the rest stays", async () => {
    const version = { ...restored(), metadata: { name: "mutable" } };
    expect(await run(["create", "-f", "-"], JSON.stringify(version))).toMatchObject({ code: 0 });
    const changed = {
      ...version,
      spec: {
        ...version.spec,
        provisionedConcurrentExecutions: 3,
        eventInvokeConfig: { maximumRetryAttempts: 0 },
        permissions: [{ statementId: "all", action: "lambda:InvokeFunction", principal: "*" }],
      },
    };
    expect(await run(["replace", "-f", "-"], JSON.stringify(changed))).toMatchObject({ code: 0 });
  });

  test("what was left out is filled in once, and is frozen then", async () => {
    const { spec, ...rest } = restored();
    const version = { ...rest, metadata: { name: "published" } };
    expect(await run(["create", "-f", "-"], JSON.stringify({ ...version, spec: { functionName: spec.functionName } }))).toMatchObject({
      code: 0,
    });
    expect(await run(["replace", "-f", "-"], JSON.stringify({ ...version, spec }))).toMatchObject({ code: 0 });
    const again = await run(["replace", "-f", "-"], JSON.stringify({ ...version, spec: { ...spec, timeout: 4 } }));
    expect(again.stderr).toContain("spec.timeout of a published version cannot change");
  });
});

describe("defaults that the API server fills in are Lambda's", () => {
  test("for a function that says nothing but its code", async () => {
    const { stdout } = await run(["create", "--dry-run=server", "-o", "json", "-f", "-"], minimal());
    expect(JSON.parse(stdout).spec).toMatchObject({
      memorySize: 128,
      timeout: 3,
      ephemeralStorage: { size: 512 },
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text" },
      tracingConfig: { mode: "PassThrough" },
      role: "default",
      environment: { variables: {} },
      tags: {},
    });
  });

  function minimal(): string {
    const example = parse(readFileSync(join(EXAMPLES, "hello-python.yaml"), "utf8"));
    return JSON.stringify({ ...example, metadata: { name: "minimal" } });
  }
});

describe("kubectl", () => {
  beforeAll(async () => {
    expect(await run(["apply", "--server-side", "--force-conflicts", "-f", EXAMPLES])).toMatchObject({ code: 0 });
  });

  test.for([
    ["fn", "function", "NAME RUNTIME MEMORY STATE LAST UPDATE AGE"],
    ["ver", "version", "NAME FUNCTION VERSION STATE REASON PROVISIONED AGE"],
    ["alias", "alias", "NAME FUNCTION ALIAS VERSION REASON PROVISIONED AGE"],
    ["esm", "eventsourcemapping", "NAME FUNCTION SOURCE ENABLED STATE AGE"],
    ["lv", "layerversion", "NAME LAYER VERSION SIZE RUNTIMES AGE"],
    ["vpc", "vpc", "NAME READY RANGES AGE"],
  ])("get %s lists the kind %s with its columns", async ([shortName = "", singular = "", columns]) => {
    const { stdout } = await run(["get", shortName]);
    expect(stdout.split("\n")[0]?.replaceAll(/\s+/g, " ").trim()).toBe(columns);
    expect((await run(["get", shortName, "-o", "name"])).stdout).toContain(`${singular}.kappa.dev/`);
  });

  test("get kappa lists all six kinds", async () => {
    const { stdout } = await run(["get", "kappa", "-o", "name"]);
    expect([...new Set(stdout.split("\n").map((line) => line.split(".")[0]))].filter(Boolean).sort()).toEqual([
      "alias",
      "eventsourcemapping",
      "function",
      "layerversion",
      "version",
      "vpc",
    ]);
  });

  test.for([
    ["fn.spec.memorySize", "Memory of one execution environment in MB"],
    ["ver.spec.code.package.sha256", "SHA-256 of the zip archive"],
    ["alias.spec.routingConfig.additionalVersionWeights", "a decimal number from 0 to 1"],
    ["esm.spec.maximumBatchingWindowInSeconds", "Seconds to wait for a batch to fill"],
    ["lv.spec.content", "exactly one of zip, configMap, object and url"],
    ["vpc.spec.securityGroups.egress.cidrIp", "An IPv4 range in CIDR notation"],
    ["fn.status.state", "Lambda: State."],
  ])("explain %s says what it is", async ([path = "", words]) => {
    const { stdout } = await run(["explain", path]);
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(words);
  });
});

describe("status", () => {
  test("is a subresource of its own: what is written through spec does not reach it, and the other way round", async () => {
    const example = parse(readFileSync(join(EXAMPLES, "hello-python.yaml"), "utf8"));
    const object = { ...example, metadata: { name: "with-status" }, status: { state: "Active" } };
    await run(["create", "-f", "-"], JSON.stringify(object));
    expect(JSON.parse((await run(["get", "fn", "with-status", "-o", "json"])).stdout).status).toBeUndefined();

    const patch = JSON.stringify({ spec: { timeout: 5 }, status: { state: "Active" } });
    expect(await run(["patch", "fn", "with-status", "--subresource=status", "--type=merge", "-p", patch])).toMatchObject({ code: 0 });
    const after = JSON.parse((await run(["get", "fn", "with-status", "-o", "json"])).stdout);
    expect(after).toMatchObject({ spec: { timeout: 3 }, status: { state: "Active" } });
  });
});

describe("server-side apply", () => {
  test("statements of a policy belong to whoever applied them, and two writers do not take each other's", async () => {
    const example = parse(readFileSync(join(EXAMPLES, "hello-python.yaml"), "utf8"));
    const apply = (manager: string, spec: object) =>
      run(
        ["apply", "--server-side", `--field-manager=${manager}`, "-f", "-"],
        JSON.stringify({ apiVersion: example.apiVersion, kind: example.kind, metadata: { name: "two-writers" }, spec }),
      );
    const statement = (statementId: string) => ({ statementId, action: "lambda:InvokeFunction", principal: "*" });

    await apply("gitops", { ...example.spec, permissions: [statement("gitops")] });
    await apply("lambda-api", { code: example.spec.code, permissions: [statement("lambda-api")] });
    await apply("gitops", { ...example.spec, permissions: [] });

    const { spec } = JSON.parse((await run(["get", "fn", "two-writers", "-o", "json"])).stdout);
    expect(spec.permissions).toEqual([statement("lambda-api")]);
    expect(spec.handler).toBe(example.spec.handler);
  });
});

/** Ways in which people take the last entry out of a map: the entry goes, or everything down to the map, or its block. */
const EMPTIED: readonly [kind: string, example: string, before: object, after: object, expected: object][] = [
  ...[{ variables: {} }, { variables: null }, {}, null, undefined].map((environment): (typeof EMPTIED)[number] => [
    "fn",
    "hello-python",
    { environment: { variables: { STAGE: "1" } } },
    { environment },
    { environment: { variables: {} } },
  ]),
  ...[{}, null, undefined].flatMap((tags): (typeof EMPTIED)[number][] => [
    ["fn", "hello-python", { tags: { team: "a" } }, { tags }, { tags: {} }],
    ["esm", "event-source-mapping-schedule", { tags: { team: "a" } }, { tags }, { tags: {} }],
  ]),
  ["fn", "hello-python", { vpcConfig: { vpcName: "v", subnetIds: ["s"], securityGroupIds: ["g"] } }, { vpcConfig: {} }, { vpcConfig: {} }],
  ["alias", "alias", { routingConfig: { additionalVersionWeights: { 2: "0.1" } } }, { routingConfig: {} }, { routingConfig: {} }],
];

describe.each([
  ["kubectl apply", []],
  ["kubectl apply --server-side", ["--server-side"]],
])("with %s", (_, way) => {
  test.for(EMPTIED.map((line, index) => ({ line, index })))(
    "the last entry can go: $line.0 from $line.2 to $line.3",
    async ({ line: [kind, example, before, after, expected], index }) => {
      const object = parse(readFileSync(join(EXAMPLES, `${example}.yaml`), "utf8"));
      const name = `emptied-${index}-${way.length}`;
      const put = (spec: object) =>
        run(["apply", ...way, "-f", "-"], JSON.stringify({ ...object, metadata: { name }, spec: { ...object.spec, ...spec } }));
      expect(await put(before)).toMatchObject({ code: 0, stderr: "" });
      expect(await put(after)).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse((await run(["get", kind, name, "-o", "json"])).stdout).spec).toMatchObject(expected);
    },
  );
});

test("nothing that may be empty is left as null when server-side apply takes its last field: it is atomic, or has a default", () => {
  expect(readCrds(ROOT).flatMap((crd) => left(rootSchema(crd), crd.metadata.name))).toEqual([
    // One of their fields has to be there, or it is the controller that always writes some.
    "functions.kappa.dev.spec.code",
    "functions.kappa.dev.status",
    "versions.kappa.dev.spec.code",
    "versions.kappa.dev.status",
    "aliases.kappa.dev.status",
    "eventsourcemappings.kappa.dev.spec.stream.shards",
    "eventsourcemappings.kappa.dev.status",
    "layerversions.kappa.dev.spec.content",
    "layerversions.kappa.dev.status",
    "vpcs.kappa.dev.status",
  ]);
});

/** Maps and blocks that are owned field by field and need none of their fields. */
function left(schema: Schema, path: string): string[] {
  if (schema["x-kubernetes-map-type"] === "atomic" || schema["x-kubernetes-list-type"] === "atomic") return [];
  const fields = Object.entries(schema.properties ?? {});
  const filled =
    schema.default !== undefined || (schema.required ?? []).length > 0 || fields.some(([, field]) => field.default !== undefined);
  const isTop = path.endsWith(".kappa.dev");
  const own = schema.type === "object" && !filled && !isTop && !path.endsWith(".metadata") ? [path] : [];
  return [
    ...own,
    ...fields.flatMap(([name, field]) => left(field, `${path}.${name}`)),
    ...(schema.items === undefined ? [] : left(schema.items, `${path}[]`)),
  ];
}
