import { createHash } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startNats, type TestNats } from "../../testing/index.ts";
import { authConf } from "../bootstrap/auth-conf.ts";
import { type Bus, connectBus } from "./index.ts";
import { createUserKey } from "./nkeys.ts";

const keys = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };
const package_ = (text: string) => {
  const bytes = Buffer.from(text);
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
};

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  const { controller, gateway, controllerInUser, userAdmin } = keys;
  const users = {
    controller: controller.publicKey,
    gateway: gateway.publicKey,
    controllerInUser: controllerInUser.publicKey,
    userAdmin: userAdmin.publicKey,
  };
  nats = await startNats({ config: authConf(users) });
  bus = await connectBus({ servers: nats.url, seed: controller.seed, name: "test" });
});
afterAll(async () => {
  await bus?.close();
  await nats?.stop();
});

it("lists nothing before anything was stored", async () => {
  expect(await bus.packages.list()).toEqual([]);
});

it("lists what is stored, with when it was stored", async () => {
  const before = Date.now();
  const [a, b] = [package_("a"), package_("b")];
  await bus.packages.put(a.sha256, a.bytes);
  await bus.packages.put(b.sha256, b.bytes);
  const listed = await bus.packages.list();
  expect(new Set(listed.map(({ sha256 }) => sha256))).toEqual(new Set([a.sha256, b.sha256]));
  for (const { storedAt } of listed) {
    // Two processes of one machine: their clocks are one, up to rounding.
    expect(storedAt).toBeGreaterThanOrEqual(before - 1000);
    expect(storedAt).toBeLessThanOrEqual(Date.now() + 1000);
  }
});

it("removes a package without a trace, and can store it again", async () => {
  const { sha256, bytes } = package_("removed");
  await bus.packages.put(sha256, bytes);
  const messages = async () => {
    const connection = await connect({
      servers: nats.url,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(keys.controller.seed)),
    });
    const info = await (await jetstreamManager(connection)).streams.info("OBJ_kappa-packages");
    await connection.close();
    return info.state.messages;
  };
  const before = await messages();
  await bus.packages.delete(sha256);
  expect(await messages()).toBe(before - 2);
  expect(await bus.packages.has(sha256)).toBe(false);
  expect((await bus.packages.list()).map((stored) => stored.sha256)).not.toContain(sha256);
  await bus.packages.put(sha256, bytes);
  expect(await bus.packages.has(sha256)).toBe(true);
});

it("does nothing when there is nothing to remove", async () => {
  await bus.packages.delete(package_("never stored").sha256);
});
