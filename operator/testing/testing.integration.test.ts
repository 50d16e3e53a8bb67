import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { kubectl, useApiServer, useNats } from "./index.ts";

describe("the API server of the tests", () => {
  const server = useApiServer();
  const run = (args: string[], input?: string) => kubectl(server().kubeconfigPath, args, input);

  test("answers with its signing keys, which verify the tokens it gives to service accounts", async () => {
    const keys = JSON.parse((await run(["get", "--raw", "/openid/v1/jwks"])).stdout);
    expect(keys.keys).toHaveLength(1);

    await run(["create", "serviceaccount", "somebody"]);
    const { stdout } = await run(["create", "token", "somebody", "--audience=gateway.kappa.dev"]);
    const [header = ""] = stdout.split(".");
    expect(JSON.parse(Buffer.from(header, "base64url").toString()).kid).toBe(keys.keys[0].kid);
  });

  test("enforces RBAC for everybody but its administrator", async () => {
    await run(["create", "serviceaccount", "nobody"]);
    const own = await run(["auth", "can-i", "list", "functions.kappa.dev", "--as=system:serviceaccount:default:nobody"]);
    expect(own.stdout.trim()).toBe("no");
    expect((await run(["auth", "can-i", "list", "functions.kappa.dev"])).stdout.trim()).toBe("yes");
  });
});

describe("the NATS server of the tests", () => {
  const nats = useNats();
  const port = () => Number(new URL(nats().url).port);

  test("comes back on the same port after a kill", async () => {
    await nats().kill();
    await expect(greeting(port())).rejects.toThrow(/ECONNREFUSED/);
    await nats().start();
    expect(JSON.parse((await greeting(port())).slice("INFO ".length))).toMatchObject({ jetstream: true, max_payload: 8 * 1024 * 1024 });
  });
});

test("a server does not outlive a test run that was killed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kappa-killed-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const program = `
    import { startNats } from ${JSON.stringify(new URL("index.ts", import.meta.url).href)};
    console.log((await startNats()).url);
    setInterval(() => {}, 1_000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "--eval", program], { env: { ...process.env, TMPDIR: folder } });
  const [url] = await once(owner.stdout.setEncoding("utf8"), "data");
  const port = Number(new URL(url.trim()).port);
  await greeting(port);

  owner.kill("SIGKILL");
  await expect.poll(() => greeting(port).catch((error: NodeJS.ErrnoException) => error.code), { timeout: 20_000 }).toBe("ECONNREFUSED");
});

/** First line that the server sends. */
async function greeting(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  try {
    const [data] = await Promise.race([once(socket, "data"), sleep(5_000).then(() => [""])]);
    return String(data).split("\r\n")[0] ?? "";
  } finally {
    socket.destroy();
  }
}
