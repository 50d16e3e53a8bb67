import fc from "fast-check";
import { expect, test } from "vitest";
import { ConcurrencyWorld } from "./testing/concurrency-world.ts";

/** Histories; more of them find what is rarer. */
const RUNS = Number(process.env.KAPPA_MODEL_RUNS ?? 2_000);

const pause = fc.integer({ min: 0, max: 400 });
const choice = fc.integer({ min: 0, max: 1_000 });
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ what: fc.constant("invoke" as const), pause: fc.integer({ min: 0, max: 30 }), choice, ms: pause }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant("burst" as const), pause, choice, ms: fc.integer({ min: 100, max: 5_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constantFrom("kill" as const, "join" as const, "leave" as const, "hang" as const), pause, choice }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const situation = fc.record({
  seed: fc.integer(),
  limit: fc.integer({ min: 1, max: 40 }),
  functions: fc.integer({ min: 1, max: 6 }),
  gateways: fc.integer({ min: 1, max: 4 }),
  weather: fc.record({
    delayMs: fc.constantFrom(1, 20, 150),
    loss: fc.constantFrom(0, 0, 0.1, 0.3),
    noticeMs: fc.constantFrom(0, 50, 600),
  }),
});

function act(world: ConcurrencyWorld, one: Step): void {
  switch (one.what) {
    case "invoke":
      world.invoke(one.choice, one.ms, one.choice * 7);
      break;
    case "burst":
      for (let i = 0; i < world.limit; i++) world.invoke(one.choice + (i % 3), one.ms, i);
      break;
    case "kill":
      world.kill(one.choice);
      break;
    case "hang":
      world.hang(one.choice);
      break;
    case "join":
      world.join();
      break;
    default:
      world.leave(one.choice);
  }
}

test(
  "never more than the limit over all gateways, whoever dies, comes, goes or hangs and whatever becomes of messages; and afterwards all of it can be used",
  async () => {
    let [begun, refused, full] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(situation, fc.array(step, { minLength: 5, maxLength: 60 }), async (start, steps) => {
        const world = new ConcurrencyWorld(start);
        const look = () => expect(world.running).toBeLessThanOrEqual(world.limit);
        for (const one of steps) {
          act(world, one);
          await world.time.pass(one.pause, look);
        }
        begun += world.begun;
        refused += world.refused;
        if (world.most === world.limit) full++;
        world.weather = { delayMs: 5, loss: 0, noticeMs: 5 };
        await world.time.pass(20_000, look);
        expect(world.running).toBe(0);
        for (const node of world.living()) {
          const key = ["team/x", "team/y", "team/z", "team/q", "team/r", "team/s"].find((name) => node.ownerOf(name) === node.name);
          if (key === undefined) continue;
          const releases: (() => void)[] = [];
          let refusals = 0;
          for (let i = 0; i <= world.limit; i++)
            void world.acquire(node, key).then((release) => (release ? releases.push(release) : refusals++));
          await world.time.pass(1_000, () => {});
          expect([releases.length, refusals]).toEqual([world.limit, 1]);
          for (const release of releases) release();
        }
      }),
      { numRuns: RUNS },
    );
    // The histories are worth something: things ran, the limit was reached, and it was kept to.
    expect(begun).toBeGreaterThan(1_000);
    expect(refused).toBeGreaterThan(1_000);
    expect(full).toBeGreaterThan(20);
  },
  60_000 + RUNS * 20,
);
