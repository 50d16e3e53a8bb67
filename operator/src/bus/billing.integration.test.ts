import { afterAll, beforeAll, expect, it } from "vitest";
import { startNats, type TestNats } from "../../testing/index.ts";
import { authConf } from "../bootstrap/auth-conf.ts";
import { type Bus, connectBus } from "./index.ts";
import { createUserKey } from "./nkeys.ts";

const keys = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };
const day = "2026-11-23";

let nats: TestNats;
/** With the rights of a gateway: what these do not allow, the store must not need. */
let bus: Bus;
beforeAll(async () => {
  const { controller, gateway, controllerInUser, userAdmin } = keys;
  nats = await startNats({
    config: authConf({
      controller: controller.publicKey,
      gateway: gateway.publicKey,
      controllerInUser: controllerInUser.publicKey,
      userAdmin: userAdmin.publicKey,
    }),
  });
  bus = await connectBus({ servers: nats.url, seed: keys.gateway.seed, name: "test" });
});
afterAll(async () => {
  await bus?.close();
  await nats?.stop();
});

it("has nothing of a day on which nothing was written", async () => {
  expect(await bus.billing.read({ day: "2020-01-01", namespace: "team" })).toEqual([]);
});

it("keeps the last figures of each writer, by account and day", async () => {
  await bus.billing.write({ day, namespace: "team", writer: "gateway-1-a" }, { f: 1 });
  await bus.billing.write({ day, namespace: "team", writer: "gateway-1-a" }, { f: 2 });
  await bus.billing.write({ day, namespace: "team", writer: "gateway-2-b" }, { f: 3 });
  await bus.billing.write({ day, namespace: "other", writer: "gateway-1-a" }, { f: 4 });
  await bus.billing.write({ day: "2026-11-24", namespace: "team", writer: "gateway-1-a" }, { f: 5 });
  const found = await bus.billing.read({ day, namespace: "team" });
  expect(new Set(found.map((figures) => JSON.stringify(figures)))).toEqual(new Set(['{"f":2}', '{"f":3}']));
});

it("refuses what would be a wildcard or two tokens of a subject", async () => {
  for (const namespace of ["*", "a.b", ">", ""])
    await expect(bus.billing.write({ day, namespace, writer: "w" }, {})).rejects.toThrow("cannot be part of a subject");
});

it("makes its stream anew for a process that finds none", async () => {
  const second = await connectBus({ servers: nats.url, seed: keys.gateway.seed, name: "second" });
  try {
    expect(await second.billing.read({ day, namespace: "team" })).toHaveLength(2);
  } finally {
    await second.close();
  }
});
