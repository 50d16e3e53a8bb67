import { afterEach, describe, expect, it } from "vitest";
import { useApiServer } from "../../testing/index.ts";
import { KubeClient, type KubeObject, LeaderElector, type LeaderElectorOptions, Resources } from "./index.ts";
import { TcpProxy } from "./testing/tcp-proxy.ts";

const server = useApiServer();
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Terms of leadership as the candidates themselves saw them, by one clock. */
interface Term {
  identity: string;
  from: number;
  to: number | undefined;
}

/** Times in proportion to the real ones (15, 10, 2 s), a tenth of them. */
const TIMES = { leaseDurationMs: 1_500, renewDeadlineMs: 1_000, retryPeriodMs: 200 };

async function candidates(lease: string, count: number, options: Partial<LeaderElectorOptions> = {}) {
  const terms: Term[] = [];
  const all = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const identity = `candidate-${i}`;
      const proxy = new TcpProxy(server().url);
      const client = KubeClient.fromKubeconfig(server().kubeconfig.replaceAll(server().url, `https://127.0.0.1:${await proxy.listen()}`));
      const reasons: string[] = [];
      const elector = new LeaderElector({
        client,
        namespace: "default",
        name: lease,
        identity,
        ...TIMES,
        ...options,
        onStartedLeading: () => terms.push({ identity, from: performance.now(), to: undefined }),
        onStoppedLeading: (reason) => {
          reasons.push(reason);
          const term = terms.findLast((t) => t.identity === identity);
          if (term) term.to = performance.now();
        },
      });
      cleanups.push(async () => {
        await elector.stop();
        await client.close();
        await proxy.close();
      });
      return { identity, elector, proxy, reasons };
    }),
  );
  const leaders = () => all.filter((candidate) => candidate.elector.isLeader);
  const leader = async () => {
    await expect.poll(() => leaders().length, { timeout: 10_000, interval: 20 }).toBe(1);
    const [first] = leaders();
    if (!first) throw new Error("the leader just went");
    return first;
  };
  const overlaps = () =>
    [...terms]
      .sort((a, b) => a.from - b.from)
      .flatMap((term, i, sorted) => {
        const next = sorted[i + 1];
        return next && (term.to === undefined || term.to > next.from)
          ? [`${term.identity} until ${term.to}, ${next.identity} from ${next.from}`]
          : [];
      });
  return { all, terms, leader, leaders, overlaps };
}

const leaseOf = (name: string) =>
  KubeClient.fromKubeconfig(server().kubeconfig).get<KubeObject & { spec: { holderIdentity: string; leaseTransitions: number } }>(
    Resources.lease,
    { namespace: "default", name },
  );

describe("of several candidates", () => {
  it("one leads, and goes on leading", async () => {
    const { all, terms, leader } = await candidates("one", 3);
    for (const { elector } of all) elector.start();
    const first = await leader();
    await new Promise((resolve) => setTimeout(resolve, 2 * TIMES.leaseDurationMs));
    expect((await leader()).identity).toBe(first.identity);
    expect(terms).toHaveLength(1);
    expect((await leaseOf("one"))?.spec).toMatchObject({ holderIdentity: first.identity, leaseTransitions: 0 });
    expect(all.every(({ elector }) => elector.holder === first.identity)).toBe(true);
  });

  it("another takes over when the leader steps down, sooner than the lease would end", async () => {
    // So long that only a release explains the change.
    const { all, terms, leader, overlaps } = await candidates("release", 2, { leaseDurationMs: 60_000, renewDeadlineMs: 40_000 });
    for (const { elector } of all) elector.start();
    const first = await leader();
    await first.elector.stop();
    expect(first.elector.isLeader).toBe(false);
    expect(first.reasons).toEqual(["stopped"]);
    const second = await leader();
    expect(second.identity).not.toBe(first.identity);
    expect([terms.length, overlaps()]).toEqual([2, []]);
    expect((await leaseOf("release"))?.spec.leaseTransitions).toBeGreaterThan(0);
  });

  it("another takes over when the leader is cut off, and not before that one knows that it is", async () => {
    const { all, terms, leader, leaders, overlaps } = await candidates("cut", 2);
    for (const { elector } of all) elector.start();
    const first = await leader();
    first.proxy.cut();
    await expect.poll(() => first.reasons, { timeout: 10_000 }).toEqual(["lost"]);
    const second = await leader();
    expect(second.identity).not.toBe(first.identity);
    // The old one comes back as a candidate, and waits.
    first.proxy.restore();
    await new Promise((resolve) => setTimeout(resolve, TIMES.leaseDurationMs));
    expect(leaders().map((candidate) => candidate.identity)).toEqual([second.identity]);
    expect([terms.length, overlaps()]).toEqual([2, []]);
  });

  it("the leader whose connection is silent knows in time that its lease may be gone", async () => {
    const { all, leader, overlaps } = await candidates("silent", 2);
    for (const { elector } of all) elector.start();
    const first = await leader();
    first.proxy.freeze();
    // Every further connection is silent too.
    const freezing = setInterval(() => first.proxy.freeze(), 20);
    await expect.poll(() => first.reasons, { timeout: 10_000 }).toEqual(["lost"]);
    const second = await leader();
    clearInterval(freezing);
    expect(second.identity).not.toBe(first.identity);
    expect(overlaps()).toEqual([]);
  });

  it("there are never two, whatever is cut off and however often", async () => {
    const { all, terms, overlaps } = await candidates("chaos", 3);
    for (const { elector } of all) elector.start();
    for (let i = 0; i < 12; i++) {
      const victim = all[i % all.length];
      if (i % 2 === 0) victim?.proxy.cut();
      else victim?.proxy.freeze();
      for (let j = 0; j < 40; j++) {
        expect(all.filter(({ elector }) => elector.isLeader).length).toBeLessThanOrEqual(1);
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
      if (i % 3 === 0) for (const { proxy } of all) proxy.restore();
    }
    for (const { proxy } of all) proxy.restore();
    expect(terms.length).toBeGreaterThan(1);
    expect(overlaps()).toEqual([]);
  });
});

it("refuses times that could give two leaders", () => {
  const client = KubeClient.fromKubeconfig(server().kubeconfig);
  const options = { client, namespace: "default", name: "x", identity: "x", leaseDurationMs: 1_000, renewDeadlineMs: 1_000 };
  expect(() => new LeaderElector(options)).toThrow(RangeError);
});
