/**
 * Functions that call other functions with the SDK's defaults, with boto3 from pip and with the SDKs that the runtimes bring: their
 * role's RBAC decides. And what stands for a role in its environment, used where it does not belong.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apply, applyAndWait, clusterEnv, deleteFunctions, eventually, kubectl, pythonFunction } from "../../support/cluster.ts";
import { invoke, lambdaClient } from "../../support/lambda.ts";
import { codeOf, filesCode, lambdaFunction } from "../support/functions.ts";
import { pipPackage } from "../support/packages.ts";
import { filesBelow } from "../support/zip.ts";
import { newFolder, programFolder, removeFolder } from "./program.ts";
import { mayInvoke, removeRoles, serviceAccount } from "./roles.ts";

const CALLER = "e2e-programs-caller";
const POWERLESS = "e2e-programs-powerless";
const target = "e2e-programs-target";
const other = "e2e-programs-other";
const keeper = "e2e-programs-keeper";
const client = lambdaClient();
const folder = newFolder();

const CALLERS = [
  { name: "e2e-programs-boto3-pip", sdk: "pip's boto3", runtime: "python3.11", handler: "caller.handler" },
  { name: "e2e-programs-boto3-own", sdk: "the runtime's boto3", runtime: "python3.11", handler: "caller.handler" },
  { name: "e2e-programs-esm-22", sdk: "the runtime's SDK", runtime: "nodejs22.x", handler: "module.handler" },
  { name: "e2e-programs-cjs-22", sdk: "the runtime's SDK", runtime: "nodejs22.x", handler: "common.handler" },
  { name: "e2e-programs-esm-24", sdk: "the runtime's SDK", runtime: "nodejs24.x", handler: "module.handler" },
  { name: "e2e-programs-cjs-24", sdk: "the runtime's SDK", runtime: "nodejs24.x", handler: "common.handler" },
] as const;
const powerless = (name: string) => `${name}-powerless`;

const ECHO = `
import os

def handler(event, context):
    return {"target": context.function_name, "event": event, "trace": os.environ["_X_AMZN_TRACE_ID"]}
`;

/** The part of a trace header that all functions of one trace share. */
const rootOf = (trace: string) => trace.match(/Root=(1-[0-9a-f]{8}-[0-9a-f]{24})/)?.[1];

/** Gives away what its environment has of the role: nobody should, and code that was taken over would. */
const KEEPER = `
import os, pathlib

FOLDER = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")

def handler(event, context):
    return {
        "credentials": {
            "accessKeyId": os.environ["AWS_ACCESS_KEY_ID"],
            "secretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"],
            "sessionToken": os.environ["AWS_SESSION_TOKEN"],
        },
        "files": {path.name: path.read_text() for path in FOLDER.iterdir() if path.is_file()},
    }
`;

beforeAll(async () => {
  await apply(serviceAccount(POWERLESS), ...mayInvoke(CALLER, [target]));
  const code = {
    "pip's boto3": await codeOf("programs-python-caller.zip", await pipPackage(programFolder("python-caller"))),
    "the runtime's boto3": filesCode(await filesBelow(programFolder("python-caller"))),
    "the runtime's SDK": filesCode(await filesBelow(programFolder("node-caller"))),
  };
  const spec = { memorySize: 512, timeout: 30 };
  await applyAndWait(
    pythonFunction(target, ECHO),
    pythonFunction(other, ECHO),
    pythonFunction(keeper, KEEPER, { role: CALLER }),
    ...CALLERS.flatMap(({ name, sdk, runtime, handler }) => [
      lambdaFunction(name, runtime, handler, code[sdk], { ...spec, role: CALLER }),
      lambdaFunction(powerless(name), runtime, handler, code[sdk], { ...spec, role: POWERLESS }),
    ]),
  );
});
afterAll(async () => {
  removeFolder(folder);
  await deleteFunctions(target, other, keeper, ...CALLERS.flatMap(({ name }) => [name, powerless(name)]));
  await removeRoles(CALLER, POWERLESS);
});

describe.each(CALLERS)("$handler on $runtime with $sdk", ({ name, sdk, runtime }) => {
  // botocore's model of Lambda has no AccessDeniedException: the plain ClientError carries the code, as with AWS.
  const refusal = runtime.startsWith("python")
    ? { exception: "ClientError", code: "AccessDeniedException", status: 403 }
    : { exception: "AccessDeniedException", status: 403 };

  test("gets the answer of the function that its role may invoke", async () => {
    const event = { says: "grüß dich", list: [1, 2.5, null, true] };
    const answer = await invoke(client, name, { target, event });
    expect(answer.payload).toMatchObject({ status: 200, payload: { target, event } });
    if (sdk === "pip's boto3") expect(answer.payload.sdk).toBe("/var/task/boto3/__init__.py");
    if (sdk === "the runtime's boto3") expect(answer.payload.sdk).toMatch(/^\/var\/runtime\//);
    // The SDK passes the trace on, as it does on Lambda (X-Amzn-Trace-Id), so the two invocations are in one.
    expect(rootOf(answer.payload.trace)).toBeDefined();
    expect(rootOf(answer.payload.payload.trace)).toBe(rootOf(answer.payload.trace));
  });

  test("is refused any other function, with its role's name in the message", async () => {
    const { payload } = await invoke(client, name, { target: other, event: {} });
    expect(payload).toMatchObject(refusal);
    expect(payload.message).toContain(
      `User: system:serviceaccount:default:${CALLER} is not authorized to perform: lambda:InvokeFunction on resource: `,
    );
    expect(payload.message).toContain(`:function:${other} `);
  });

  test("is refused by a role that may do nothing", async () => {
    const { payload } = await invoke(client, powerless(name), { target, event: {} });
    expect(payload).toMatchObject(refusal);
    expect(payload.message).toContain(`system:serviceaccount:default:${POWERLESS} is not authorized`);
  });
});

describe("what an environment has of its role", () => {
  interface Kept {
    credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string };
    files: { token?: string; namespace?: string; "ca.crt"?: string };
  }
  /** The role's token may come after the code has started. */
  const kept = () =>
    eventually("the role's token is in its file", async () => {
      const { payload } = await invoke(client, keeper, {});
      return (payload as Kept).files.token ? (payload as Kept) : undefined;
    });

  test("its Kubernetes token is the role's, for an hour at most, in the place where Kubernetes' clients look", async () => {
    const { files } = await kept();
    expect(files.namespace).toBe("default");
    const claims = JSON.parse(Buffer.from(files.token?.split(".")[1] ?? "", "base64url").toString());
    expect(claims.sub).toBe(`system:serviceaccount:default:${CALLER}`);
    expect(claims["kubernetes.io"]).toMatchObject({ namespace: "default", serviceaccount: { name: CALLER } });
    expect(claims.exp - claims.iat).toBeLessThanOrEqual(3_600);
  });

  test("the API server knows the token, under the authority that lies beside it", async () => {
    const { files } = await kept();
    const server = await kubectl("config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}");
    const authority = join(folder, "ca.crt");
    writeFileSync(authority, files["ca.crt"] ?? "");
    const as = ["--kubeconfig=/dev/null", `--server=${server}`, `--certificate-authority=${authority}`, `--token=${files.token}`];
    const said = await kubectl("auth", "whoami", ...as, "--output=json");
    expect(JSON.parse(said).status.userInfo.username).toBe(`system:serviceaccount:default:${CALLER}`);
  });

  test("its credentials are the role's, and nobody's any more once the environment is gone", async () => {
    const { credentials } = await kept();
    expect(credentials.accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    const env = clusterEnv();
    const outside = new LambdaClient({ endpoint: env.AWS_ENDPOINT_URL_LAMBDA ?? "", region: env.AWS_REGION ?? "", credentials });
    const call = (name: string) =>
      outside.send(new InvokeCommand({ FunctionName: name, Payload: "{}" })).then(
        (answer) => answer.StatusCode,
        (error: Error) => error.name,
      );
    expect(await call(target)).toBe(200);
    expect(await call(other)).toBe("AccessDeniedException");
    await deleteFunctions(keeper);
    const refused = await eventually("the credentials are refused", async () => {
      const answer = await call(target);
      return answer === 200 ? undefined : answer;
    });
    expect(refused).toBe("ExpiredTokenException");
  });

  test("a session token with another key's secret is worth nothing", async () => {
    const { payload } = await invoke(client, CALLERS[0].name, { target, event: {} });
    expect(payload.status).toBe(200);
    const env = clusterEnv();
    const forged = new LambdaClient({
      endpoint: env.AWS_ENDPOINT_URL_LAMBDA ?? "",
      region: env.AWS_REGION ?? "",
      credentials: {
        accessKeyId: "ASIAAAAAAAAAAAAAAAAA",
        secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? "",
        sessionToken: Buffer.alloc(120, 7).toString("base64url"),
      },
    });
    await expect(forged.send(new InvokeCommand({ FunctionName: target }))).rejects.toMatchObject({ name: "UnrecognizedClientException" });
  });
});
