/** The accounts that the bootstrap writes, before a real server: who gets in, and who may do what. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect, type NatsConnection, nkeyAuthenticator } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startNats, type TestNats } from "../../testing/index.ts";
import { authConf } from "../bootstrap/auth-conf.ts";
import { createUserKey } from "./nkeys.ts";

const keys = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };
type Who = keyof typeof keys;

let nats: TestNats;
const connections: NatsConnection[] = [];

async function login(seed: string): Promise<NatsConnection> {
  const connection = await connect({ servers: nats.url, authenticator: nkeyAuthenticator(Buffer.from(seed)), reconnect: false });
  connections.push(connection);
  return connection;
}
const as = (who: Who): Promise<NatsConnection> => login(keys[who].seed);

/** Asks, and tells whether the server let the question through: then somebody answers, or nobody is there to answer. */
async function mayAsk(connection: NatsConnection, subject: string, body = "{}"): Promise<boolean> {
  const refused = nextRefusal(connection).then((message) => {
    expect(message).toMatch(/permissions violation/i);
    return false;
  });
  const answered = connection.request(subject, body, { timeout: 10_000 }).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Error && /no responders/i.test(error.message)) return true;
      if (error instanceof Error && /permission/i.test(`${error.name} ${error.message}`)) return false;
      throw error;
    },
  );
  return Promise.race([refused, answered]);
}

/** Resolves when the server says that the last thing asked was against its permissions. */
async function nextRefusal(connection: NatsConnection): Promise<string> {
  for await (const status of connection.status()) if (status.type === "error") return status.error.message;
  return "closed";
}

beforeAll(async () => {
  const publicKeys = Object.fromEntries(Object.entries(keys).map(([who, key]) => [who, key.publicKey])) as Record<Who, string>;
  nats = await startNats({ config: authConf(publicKeys) });
  const packages = await new Objm(jetstream(await as("controller"))).create("kappa-packages");
  await packages.putBlob({ name: "digest" }, Buffer.from("a package"));
  const code = await new Objm(jetstream(await as("userAdmin"))).create("default_code");
  await code.putBlob({ name: "fn.zip" }, Buffer.from("a user's package"));
});
afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
});
afterAll(async () => {
  await nats?.stop();
});

test.each(Object.keys(keys) as Who[])("%s logs in with its seed", async (who) => {
  expect((await as(who)).isClosed()).toBe(false);
});

test("an unknown key and a connection without a key are refused", async () => {
  await expect(login(createUserKey().seed)).rejects.toThrow(/authorization/i);
  await expect(connect({ servers: nats.url, reconnect: false })).rejects.toThrow(/authorization|authentication/i);
});

describe("the gateway", () => {
  test("reads packages", async () => {
    const manager = await jetstreamManager(await as("gateway"), { checkAPI: false });
    expect(await manager.streams.getMessage("OBJ_kappa-packages", { last_by_subj: "$O.kappa-packages.M.>" })).not.toBeNull();
  });

  test.each([
    ["write an object", "$O.kappa-packages.M.x"],
    ["make a stream", "$JS.API.STREAM.CREATE.OTHER"],
    ["change the bucket", "$JS.API.STREAM.UPDATE.OBJ_kappa-packages"],
    ["empty the bucket", "$JS.API.STREAM.PURGE.OBJ_kappa-packages"],
    ["delete the bucket", "$JS.API.STREAM.DELETE.OBJ_kappa-packages"],
    ["delete a message", "$JS.API.STREAM.MSG.DELETE.OBJ_kappa-packages"],
    ["make a consumer", "$JS.API.CONSUMER.CREATE.OBJ_kappa-packages.x"],
    ["list streams", "$JS.API.STREAM.NAMES"],
  ])("may not %s", async (_, subject) => {
    expect(await mayAsk(await as("gateway"), subject)).toBe(false);
  });

  test("may not listen to what is published", async () => {
    const connection = await as("gateway");
    const refused = nextRefusal(connection);
    connection.subscribe("$O.>");
    expect(await refused).toMatch(/permissions violation/i);
  });
});

describe("the controller", () => {
  test.each([
    ["delete the bucket", "$JS.API.STREAM.DELETE.OBJ_kappa-packages"],
    ["make another stream", "$JS.API.STREAM.CREATE.OTHER"],
    ["write to another bucket", "$O.other.M.x"],
  ])("may not %s", async (_, subject) => {
    expect(await mayAsk(await as("controller"), subject)).toBe(false);
  });

  test("reads users' objects and may not change them", async () => {
    const connection = await as("controllerInUser");
    const manager = await jetstreamManager(connection, { checkAPI: false });
    expect(await manager.streams.getMessage("OBJ_default_code", { last_by_subj: "$O.default_code.M.>" })).not.toBeNull();
    for (const subject of ["$O.default_code.M.x", "$JS.API.STREAM.PURGE.OBJ_default_code", "$JS.API.CONSUMER.CREATE.OBJ_default_code.x"])
      expect(await mayAsk(connection, subject), subject).toBe(false);
  });
});

describe("the account USER", () => {
  test("does not see Kappa's streams, nor does Kappa's see those of USER", async () => {
    const admin = await jetstreamManager(await as("userAdmin"));
    const names: string[] = [];
    for await (const name of admin.streams.names()) names.push(name);
    expect(names).toEqual(["OBJ_default_code"]);
    await expect(admin.streams.getMessage("OBJ_kappa-packages", { seq: 1 })).rejects.toThrow(/stream not found/);
    const kappa = await jetstreamManager(await as("controller"), { checkAPI: false });
    await expect(kappa.streams.info("OBJ_kappa-packages")).resolves.toBeDefined();
    expect(await mayAsk(await as("controller"), "$JS.API.STREAM.MSG.GET.OBJ_default_code", '{"seq":1}')).toBe(false);
  });

  test("does not hear what is published in KAPPA", async () => {
    const heard: string[] = [];
    const admin = await as("userAdmin");
    admin.subscribe(">", {
      callback: (_error, message) => {
        heard.push(message.subject);
      },
    });
    await admin.flush();
    const kappa = await as("controller");
    kappa.publish("$O.kappa-packages.C.x", "secret");
    await kappa.flush();
    admin.publish("mine");
    await admin.flush();
    expect(heard).toEqual(["mine"]);
  });
});
