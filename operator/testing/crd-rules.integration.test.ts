/**
 * Each rule of each CRD refuses something. What people get wrong in practice is in examples/invalid; the rest is here, as changes
 * of one field of a valid example.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readCrds, rootSchema, type Schema } from "../../scripts/generate/crds.ts";
import { kubectl, useApiServer } from "./index.ts";

const ROOT = join(import.meta.dirname, "../..");
const server = useApiServer();

/** Example, way to a field below spec, a value that it cannot have, and what the answer says. */
type Case = readonly [example: string, field: string, value: unknown, message: string];

const DESTINATION = "is function:NAME, queue:NAME or the ARN of a function or queue: correct it";
const KUBERNETES_NAME = "is a Kubernetes name (lower-case letters, digits, hyphens, dots): correct it";
const NAME_CHARACTERS = "consists of letters, digits, hyphens and underscores: remove other characters";
const SUBJECT = "is a NATS subject such as orders.*.created or orders.>: correct it";
const STREAM_NAME = "is the name of a JetStream stream (no spaces, dots, *, >, / or \\): correct it";
const DIGEST = "is 64 lower-case hexadecimal digits: compute it with sha256sum";

const VALUES: Case[] = [
  ["function", "code", { configMap: { name: "Code", key: "f.zip" } }, `spec.code.configMap.name ${KUBERNETES_NAME}`],
  ["function", "code", { configMap: { name: "code", key: "f/f.zip" } }, "spec.code.configMap.key consists of letters, digits, dots"],
  ["function-image", "code.image", "-image", "spec.code.image is an image reference such as registry.example/app:1.0: correct it"],
  ["function", "vpcConfig.vpcName", "Backend", `spec.vpcConfig.vpcName ${KUBERNETES_NAME}`],
  ["function", "vpcConfig.subnetIds", ["subnet_1"], "spec.vpcConfig.subnetIds are names of subnets of the Vpc"],
  ["function", "vpcConfig.securityGroupIds", ["sg_1"], "spec.vpcConfig.securityGroupIds are names of security groups of the Vpc"],
  [
    "function",
    "loggingConfig",
    { logFormat: "Text", systemLogLevel: "INFO" },
    "spec.loggingConfig.systemLogLevel is allowed with logFormat JSON only",
  ],
  ["function", "loggingConfig.logGroup", "my group", "spec.loggingConfig.logGroup consists of letters, digits and . - _ / #"],
  ["function", "runtimeClassName", "gVisor", `spec.runtimeClassName ${KUBERNETES_NAME}`],
  ["function", "eventInvokeConfig.destinationConfig.onSuccess.destination", "nowhere", `onSuccess.destination ${DESTINATION}`],
  ["function", "permissions.0.statementId", "a b", "spec.permissions.statementId consists of letters, digits, hyphens and underscores"],
  ["function", "permissions.0.action", "s3:GetObject", "spec.permissions.action is an action of Lambda"],
  ["function", "permissions.0.principal", "the world", "spec.permissions.principal has no spaces"],
  ["function", "permissions.0.sourceArn", "bucket", "spec.permissions.sourceArn is an ARN: begin it with arn:"],
  ["function", "permissions.0.sourceAccount", "1234", "spec.permissions.sourceAccount is an account id of 12 digits"],
  ["function", "permissions.0.principalOrgId", "org", "spec.permissions.principalOrgId is o- and 10 to 32"],
  ["function", "permissions.0.eventSourceToken", "a b", "spec.permissions.eventSourceToken consists of letters"],
  ["version", "functionName", "hello.world", `spec.functionName ${NAME_CHARACTERS}`],
  ["version", "publishIf", { codeSha256: "9f86" }, "spec.publishIf.codeSha256 is a SHA-256 in base64"],
  ["version", "publishIf", { revisionId: "7" }, "spec.publishIf.revisionId is a revision id"],
  ["version-restored", "code.package.sha256", "9F86", `spec.code.package.sha256 ${DIGEST}`],
  ["version-restored", "handler", undefined, "spec.runtime and spec.handler are required with spec.code.package: give both"],
  ["alias", "functionName", "hello.world", `spec.functionName ${NAME_CHARACTERS}`],
  ["alias", "name", "pro duction", `spec.name ${NAME_CHARACTERS}`],
  [
    "event-source-mapping-schedule",
    "maximumBatchingWindowInSeconds",
    5,
    "spec.maximumBatchingWindowInSeconds is for queues, streams and tables only",
  ],
  [
    "event-source-mapping-schedule",
    "functionResponseTypes",
    ["ReportBatchItemFailures"],
    "spec.functionResponseTypes is for queues, streams and tables only",
  ],
  ["event-source-mapping-schedule", "schedule.timezone", "Berlin time", "spec.schedule.timezone is a name of the tz database"],
  ["event-source-mapping-schedule", "tags", { "aws:own": "x" }, "spec.tags: a name has 1 to 128 characters and does not start with aws:"],
  ["event-source-mapping-queue", "queue.streamName", "a.b", `spec.queue.streamName ${STREAM_NAME}`],
  ["event-source-mapping-queue", "queue.subject", "orders..placed", `spec.queue.subject ${SUBJECT}`],
  [
    "event-source-mapping-queue",
    "queue.redrivePolicy.deadLetterTarget",
    "dead",
    "spec.queue.redrivePolicy.deadLetterTarget is queue:NAME or the ARN of a queue",
  ],
  ["event-source-mapping-stream", "stream.streamName", "a/b", `spec.stream.streamName ${STREAM_NAME}`],
  [
    "event-source-mapping-stream",
    "stream.shards",
    { subjects: ["a..b"] },
    "spec.stream.shards.subjects are NATS subjects such as orders.0",
  ],
  ["event-source-mapping-stream", "stream.shards.keyHeader", "Key:", "spec.stream.shards.keyHeader is the name of a header"],
  [
    "event-source-mapping-stream",
    "destinationConfig.onFailure.destination",
    "nowhere",
    `spec.destinationConfig.onFailure.destination ${DESTINATION}`,
  ],
  ["event-source-mapping-table", "table.bucket", "a.b", "spec.table.bucket consists of letters, digits, hyphens and underscores"],
  ["event-source-mapping-table", "table.keys", ">.users", "spec.table.keys is a pattern of keys such as users.>: correct it"],
  ["layer-version", "layerName", "a.b", `spec.layerName ${NAME_CHARACTERS}`],
  ["layer-version", "content", { zip: "PK!!" }, "spec.content.zip is the base64 text of a zip archive"],
  ["layer-version", "content", { configMap: { name: "Layer", key: "l.zip" } }, `spec.content.configMap.name ${KUBERNETES_NAME}`],
  [
    "layer-version",
    "content",
    { configMap: { name: "layer", key: "l/l.zip" } },
    "spec.content.configMap.key consists of letters, digits, dots",
  ],
  ["layer-version", "content.object.bucket", "a/b", "spec.content.object.bucket consists of letters, digits, hyphens and underscores"],
  ["layer-version", "content", { url: { url: "example.com", sha256: "0".repeat(64) } }, "spec.content.url.url is an http or https URL"],
  ["layer-version", "content", { url: { url: "https://example.com", sha256: "0" } }, `spec.content.url.sha256 ${DIGEST}`],
  ["layer-version", "compatibleRuntimes", ["Python 3"], "spec.compatibleRuntimes are runtime identifiers such as python3.11"],
  ["vpc", "resources.0.name", "Postgres", "spec.resources.name is a name of lower-case letters, digits and hyphens"],
  ["vpc", "subnets.0.gatewayEndpoints", ["Lambda"], "spec.subnets.gatewayEndpoints are names of public services such as lambda"],
  ["vpc", "securityGroups.0.name", "Database", "spec.securityGroups.name is a name of lower-case letters, digits and hyphens"],
  ["vpc", "securityGroups.1.egress.1.cidrIpv6", "10.0.0.0/8", "cidrIpv6 is an IPv6 range in CIDR notation without host bits"],
];

const frozen = (field: string) => `spec.${field} of a published version cannot change: publish another version of the function`;
const kept = (field: string) => `spec.${field} cannot change: delete the mapping and create`;

/** The same for changes of an object that exists: what is `undefined` is taken away. */
const CHANGES: Case[] = [
  ["version", "description", "Another", "spec.description of a version cannot change"],
  ["version", "publishIf", { revisionId: "00000000-0000-8000-8000-000000000000" }, "spec.publishIf of a version cannot change"],
  ["version-restored", "runtime", "nodejs24.x", frozen("runtime")],
  ["version-restored", "timeout", 4, frozen("timeout")],
  ["version-restored", "ephemeralStorage.size", 513, frozen("ephemeralStorage")],
  ["version-restored", "role", "other", frozen("role")],
  ["version-restored", "architectures", ["arm64"], frozen("architectures")],
  ["version-restored", "layers", ["pillow:4"], frozen("layers")],
  ["version-restored", "vpcConfig", undefined, frozen("vpcConfig")],
  ["version-restored", "loggingConfig", { logFormat: "JSON" }, frozen("loggingConfig")],
  ["version-restored", "tracingConfig", { mode: "Active" }, frozen("tracingConfig")],
  ["version-restored", "imageConfig", { workingDirectory: "/" }, frozen("imageConfig")],
  ["version-restored", "deadLetterConfig", undefined, frozen("deadLetterConfig")],
  ["version-restored", "runtimeClassName", "kata", frozen("runtimeClassName")],
  ["event-source-mapping-queue", "queue.fifo", true, kept("queue.fifo")],
  ["event-source-mapping-stream", "stream.subject", "clicks.>", kept("stream.subject")],
  ["event-source-mapping-stream", "stream.streamName", "OTHERS", kept("stream.streamName")],
  [
    "event-source-mapping-stream",
    "startingPositionTimestamp",
    "2026-01-02T00:00:00Z",
    "spec.startingPositionTimestamp cannot change once reading has begun",
  ],
  ["event-source-mapping-table", "table.bucket", "others", kept("table.bucket")],
  ["layer-version", "compatibleRuntimes", undefined, "spec.compatibleRuntimes of a layer version cannot change"],
  ["layer-version", "compatibleArchitectures", ["arm64"], "spec.compatibleArchitectures of a layer version cannot change"],
  ["layer-version", "licenseInfo", "MIT", "spec.licenseInfo of a layer version cannot change"],
];

/** What a restored version needs besides its example so that all of its fields can be changed. */
const ALL_FROZEN = {
  layers: ["pillow:3"],
  vpcConfig: { subnetIds: ["private"], securityGroupIds: ["web"] },
  imageConfig: { workingDirectory: "/srv" },
  deadLetterConfig: { targetArn: "queue:dead" },
  runtimeClassName: "gvisor",
};

describe("a value that a field cannot have is refused", () => {
  test.for(VALUES)("%s: %s = %j", async ([example, field, value, message]) => {
    const { code, stderr } = await run(["create", "--dry-run=server"], changed(object(example, "value"), field, value));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
  });
});

describe("a field that is fixed cannot change", () => {
  test.for(CHANGES.map((line, index) => ({ line, index })))(
    "$line.0: $line.1",
    async ({ line: [example, field, value, message], index }) => {
      const before = object(example, `change-${index}`);
      if (example === "version-restored") Object.assign(before.spec, ALL_FROZEN);
      expect(await run(["create"], before)).toMatchObject({ code: 0, stderr: "" });
      const { code, stderr } = await run(["replace"], changed(before, field, value));
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
    },
  );
});

test("every rule of every CRD refuses something in these tests", () => {
  const folder = join(ROOT, "examples/invalid");
  const examples = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
  const refusals = [...examples, ...[...VALUES, ...CHANGES].map(([, , , message]) => message)];
  const untested = readCrds(ROOT)
    .flatMap((crd) => messages(rootSchema(crd)))
    .filter((message) => !refusals.some((text) => text.includes(message) || message.includes(text)));
  // Tested with the limits of sizes, in crds.integration.test.ts.
  expect([...new Set(untested)]).toEqual([
    "spec.code.inline has at most 65,536 bytes of UTF-8: make a package (configMap, object or url) of larger code",
  ]);
});

function messages(schema: Schema): string[] {
  const own = (schema["x-kubernetes-validations"] ?? []).map(({ message }) => message ?? "");
  const below = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return [...own, ...below.flatMap((child) => (child === undefined ? [] : messages(child)))];
}

interface Example {
  metadata: { name: string };
  spec: Record<string, unknown>;
}

function object(example: string, name: string): Example {
  const content: Example = parse(readFileSync(join(ROOT, `examples/${example}.yaml`), "utf8"));
  return { ...content, metadata: { name } };
}

/** A copy with one field below spec changed, or taken away. */
function changed(example: Example, field: string, value: unknown): Example {
  const copy = structuredClone(example);
  const way = field.split(".");
  const last = way.pop() ?? "";
  const parent = way.reduce((at, key) => at[key] as Record<string, unknown>, copy.spec);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return copy;
}

function run(args: string[], input: Example) {
  return kubectl(server().kubeconfigPath, [...args, "-f", "-"], JSON.stringify(input));
}
