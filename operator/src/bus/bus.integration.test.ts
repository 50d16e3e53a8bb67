import { createHash, randomBytes } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect, type NatsConnection, nkeyAuthenticator } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startNats, type TestNats } from "../../testing/index.ts";
import { authConf } from "../bootstrap/auth-conf.ts";
import { type Bus, BusError, type BusStatus, connectBus, connectUserBus } from "./index.ts";
import { createUserKey } from "./nkeys.ts";

const keys = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let nats: TestNats;
const open: { close(): Promise<unknown> }[] = [];
function closing<T extends { close(): Promise<unknown> }>(resource: T): T {
  open.push(resource);
  return resource;
}
const bus = async (seed: string, onStatus?: (status: BusStatus) => void, firstConnectMs?: number): Promise<Bus> =>
  closing(await connectBus({ servers: nats.url, seed, name: "test", onStatus, firstConnectMs }));
const raw = async (seed: string): Promise<NatsConnection> =>
  closing(await connect({ servers: nats.url, authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }));

async function contentOf(opened: { stream: ReadableStream<Uint8Array> }): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of opened.stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function failureOf(operation: Promise<unknown>): Promise<BusError> {
  const error: unknown = await operation.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof BusError) return error;
  throw new Error(`expected a BusError, got ${String(error)}`);
}

beforeAll(async () => {
  const { controller, gateway, controllerInUser, userAdmin } = keys;
  nats = await startNats({
    // The very file that the bootstrap writes: what it does not allow, the adapter must not need.
    config: authConf({
      controller: controller.publicKey,
      gateway: gateway.publicKey,
      controllerInUser: controllerInUser.publicKey,
      userAdmin: userAdmin.publicKey,
    }),
  });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((resource) => resource.close()));
});
afterAll(async () => {
  await nats?.stop();
});

describe("the package store", () => {
  it("gives back what was put, to a gateway that may only read", async () => {
    const writer = await bus(keys.controller.seed);
    const reader = await bus(keys.gateway.seed);
    for (const size of [0, 1, 512 * 1024, 3_000_001]) {
      const bytes = randomBytes(size);
      const digest = sha256(bytes);
      expect(await writer.packages.has(digest)).toBe(false);
      await writer.packages.put(digest, bytes);
      expect(await reader.packages.has(digest)).toBe(true);
      const opened = await reader.packages.open(digest);
      expect(opened.size).toBe(size);
      expect(sha256(await contentOf(opened))).toBe(digest);
    }
  });

  it("stores nothing more when the same package is put again, also at the same time", async () => {
    const writer = await bus(keys.controller.seed);
    const bytes = randomBytes(1_200_000);
    const digest = sha256(bytes);
    await Promise.all([writer.packages.put(digest, bytes), writer.packages.put(digest, bytes), writer.packages.put(digest, bytes)]);
    const { manager, stream } = await packagesStream();
    const messages = async () => (await manager.streams.info(stream, { subjects_filter: ">" })).state.messages;
    const before = await messages();
    await writer.packages.put(digest, bytes);
    expect(await messages()).toBe(before);
    const subjects = (await manager.streams.info(stream, { subjects_filter: "$O.*.C.>" })).state.subjects ?? {};
    const uploads = Object.values(subjects).filter((chunks) => chunks === 3);
    expect(uploads).toHaveLength(1);
    expect(sha256(await contentOf(await writer.packages.open(digest)))).toBe(digest);
  });

  it("refuses bytes that do not have the digest, and names that are none", async () => {
    const writer = await bus(keys.controller.seed);
    const wrong = await failureOf(writer.packages.put(sha256(Buffer.from("a")), Buffer.from("b")));
    expect(wrong.retryable).toBe(false);
    expect((await failureOf(writer.packages.has("*"))).retryable).toBe(false);
  });

  it("says notFound for a package that is not there", async () => {
    const reader = await bus(keys.gateway.seed);
    expect(await failureOf(reader.packages.open(sha256(Buffer.from("never stored"))))).toMatchObject({ notFound: true, retryable: false });
  });

  it("fails the stream when a stored chunk was changed", async () => {
    const writer = await bus(keys.controller.seed);
    const bytes = randomBytes(700_000);
    const digest = sha256(bytes);
    await writer.packages.put(digest, bytes);
    const { client, manager, stream } = await packagesStream();
    const subjects = Object.entries((await manager.streams.info(stream, { subjects_filter: "$O.*.C.>" })).state.subjects ?? {});
    const [subject = ""] = subjects.find(([, chunks]) => chunks === 2) ?? [];
    await manager.streams.purge(stream, { filter: subject });
    await client.publish(subject, randomBytes(512 * 1024));
    await client.publish(subject, randomBytes(700_000 - 512 * 1024));
    const error = await failureOf(writer.packages.open(digest).then(contentOf));
    expect(error.message).toContain("digest");
    expect(error.retryable).toBe(false);
  });

  it("fetches a package as it is read, so that one that is replaced meanwhile ends with an error that can be retried", async () => {
    const writer = await bus(keys.controller.seed);
    const bytes = randomBytes(20 * 512 * 1024);
    const digest = sha256(bytes);
    await writer.packages.put(digest, bytes);
    const opened = await writer.packages.open(digest);
    const reader = opened.stream.getReader();
    await reader.read();
    const { manager, stream } = await packagesStream();
    const subjects = Object.entries((await manager.streams.info(stream, { subjects_filter: "$O.*.C.>" })).state.subjects ?? {});
    const [subject = ""] = subjects.find(([, chunks]) => chunks === 20) ?? [];
    await manager.streams.purge(stream, { filter: subject });
    const error = await failureOf(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    );
    // Had it been fetched ahead as a whole, nothing would be missing.
    expect(error.message).toMatch(/ended after \d+ of 10485760 bytes/);
    expect(error.retryable).toBe(true);
  });

  async function packagesStream() {
    // The controller may do all this to the bucket itself.
    const connection = await raw(keys.controller.seed);
    return {
      client: jetstream(connection),
      manager: await jetstreamManager(connection),
      stream: "OBJ_kappa-packages",
    };
  }
});

describe("a user's objects", () => {
  it("are read whole, up to the limit, and links out of the bucket are refused", async () => {
    const admin = new Objm(jetstream(await raw(keys.userAdmin.seed)));
    const mine = await admin.create("team-a_code");
    const others = await admin.create("team-b_code");
    const bytes = randomBytes(300_000);
    await mine.putBlob({ name: "releases/fn 1.zip" }, bytes);
    const secret = await others.putBlob({ name: "secret" }, Buffer.from("of team b"));
    await mine.link("link", secret);

    const user = closing(await connectUserBus({ servers: nats.url, seed: keys.controllerInUser.seed, name: "test" }));
    const opened = await user.openObject("team-a_code", "releases/fn 1.zip");
    expect(opened.size).toBe(300_000);
    expect((await contentOf(opened)).equals(bytes)).toBe(true);
    expect((await failureOf(user.openObject("team-a_code", "link"))).message).toContain("link");
    expect(await failureOf(user.openObject("team-a_code", "nothing"))).toMatchObject({ notFound: true });
    expect(await failureOf(user.openObject("no-bucket", "nothing"))).toMatchObject({ notFound: true });
    expect((await failureOf(user.openObject("*", "nothing"))).retryable).toBe(false);
    await mine.delete("releases/fn 1.zip");
    expect(await failureOf(user.openObject("team-a_code", "releases/fn 1.zip"))).toMatchObject({ notFound: true });
  });
});

describe("while NATS is away", () => {
  it("a call fails in bounded time and can be tried again, and afterwards everything works as before", async () => {
    const seen: boolean[] = [];
    const writer = await bus(keys.controller.seed, (status) => seen.push(status.connected));
    const bytes = randomBytes(900_000);
    const digest = sha256(bytes);
    await writer.packages.put(digest, bytes);
    expect(writer.connected).toBe(true);

    await nats.kill();
    const error = await failureOf(writer.packages.open(digest));
    expect(error.retryable).toBe(true);
    expect(error.notFound).toBe(false);
    expect(writer.connected).toBe(false);

    await nats.start();
    await expect.poll(() => writer.connected, { timeout: 15_000 }).toBe(true);
    expect(sha256(await contentOf(await writer.packages.open(digest)))).toBe(digest);
    expect(seen).toEqual([true, false, true]);
  });

  it("a download that was under way goes on after the restart", async () => {
    const writer = await bus(keys.controller.seed);
    const bytes = randomBytes(6 * 512 * 1024);
    const digest = sha256(bytes);
    await writer.packages.put(digest, bytes);
    const { stream } = await writer.packages.open(digest);
    const reader = stream.getReader();
    const first = await reader.read();
    const pieces = [first.value ?? Buffer.alloc(0)];
    await nats.kill();
    const rest = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        pieces.push(value);
      }
    })();
    await nats.start();
    await rest;
    expect(sha256(Buffer.concat(pieces))).toBe(digest);
  });

  it("a process starts without it and is connected when it comes", async () => {
    await nats.kill();
    const errors: unknown[] = [];
    const early = await bus(keys.gateway.seed, (status) => errors.push(status.error), 200);
    expect(early.connected).toBe(false);
    expect((await failureOf(early.packages.has(sha256(Buffer.from("x"))))).retryable).toBe(true);
    await nats.start();
    await expect.poll(() => early.connected, { timeout: 15_000 }).toBe(true);
    expect(await early.packages.has(sha256(Buffer.from("x")))).toBe(false);
    expect(errors.some((error) => error !== undefined)).toBe(true);
  });
});

describe("a wrong key", () => {
  it("is told and does not end the attempts", async () => {
    let failed: unknown;
    const stranger = await bus(
      createUserKey().seed,
      (status) => {
        failed = status.error ?? failed;
      },
      300,
    );
    expect(stranger.connected).toBe(false);
    expect(String(failed)).toMatch(/authorization/i);
  });
});
