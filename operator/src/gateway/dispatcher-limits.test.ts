/**
 * One function through random histories: callers of two versions, agents that come, run, refuse and are lost, updates, changed
 * reservations, and another gateway that takes the function over and gives it back while its events run on.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FrameType } from "../api/environment-protocol.ts";
import { runnableOf } from "./function-entry.ts";
import { type Agent, setup } from "./testing/dispatch-harness.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const WEIGHTS = {
  submit: 10,
  submitVersion: 4,
  connect: 6,
  connectAll: 2,
  finish: 8,
  refuse: 1,
  lose: 1,
  comeBack: 2,
  update: 1,
  reserve: 1,
  /** Another gateway owns the function for a while, and leaves events behind. */
  turnover: 2,
  speak: 2,
  foreignEnds: 3,
  aMoment: 3,
  aWhile: 1,
} as const;
const STEPS = Object.entries(WEIGHTS).map(([step, weight]) => ({ weight, arbitrary: fc.constant(step as keyof typeof WEIGHTS) }));
type Step = { step: keyof typeof WEIGHTS; pick: number };

/** What is true of all histories is looked at after each step of one. */
class History {
  readonly t = setup();
  readonly agents: Agent[] = [];
  /** Agents whose event is of a gateway that owned the function meanwhile. */
  readonly foreign = new Set<Agent>();
  readonly ids: string[] = [];
  connected = 0;
  revision = 1;
  limit: number | undefined = 3;
  /** What runs of what was begun under a higher limit, or by another gateway, may stay until it ends. */
  #allowed = 0;

  constructor() {
    this.put();
    this.t.putVersion(1);
  }

  put(): void {
    const spec = this.limit === undefined ? {} : { reservedConcurrentExecutions: this.limit };
    this.t.put("f", { revision: String(this.revision), spec });
  }

  get running(): Agent[] {
    return this.agents.filter(({ state, listener }) => state === "busy" && listener !== undefined);
  }

  submit(version: string): void {
    const id = `${this.ids.length}`;
    this.ids.push(id);
    this.t.invoke(id, "f", { version });
  }

  async connect(): Promise<void> {
    if (this.connected >= this.t.created.length) return;
    const { podName } = this.t.pod(this.connected);
    const isGone = this.t.removed.some((removed) => removed.podName === podName);
    const agent = await this.t.connect(this.connected++);
    if (isGone) return this.t.watch(agent.identity, { status: { phase: "Failed" } });
    this.agents.push(agent);
    agent.assigned();
  }

  endForeign(agent: Agent): void {
    this.foreign.delete(agent);
    agent.state = "assigned";
    agent.answerEpoch();
  }

  drop(agent: Agent): void {
    const { listener } = agent;
    this.agents.splice(this.agents.indexOf(agent), 1);
    this.foreign.delete(agent);
    agent.listener = undefined;
    listener?.disconnected("broken");
    this.t.watch(agent.identity, { status: { phase: "Failed" } });
  }

  async apply({ step, pick }: Step): Promise<void> {
    const { t } = this;
    const choose = (agents: Agent[]): Agent | undefined => agents[pick % Math.max(agents.length, 1)];
    const ours = this.running.filter((agent) => !this.foreign.has(agent));
    switch (step) {
      case "submit":
        return this.submit("$LATEST");
      case "submitVersion":
        return this.submit("1");
      case "connect":
        return await this.connect();
      case "connectAll":
        while (this.connected < t.created.length) await this.connect();
        return;
      case "finish":
        return choose(ours)?.answer();
      case "refuse": {
        // An event of another gateway came first.
        const agent = choose(ours);
        if (!agent || agent.running === undefined) return;
        this.foreign.add(agent);
        agent.say({ type: FrameType.busy, header: { requestId: agent.running } });
        return agent.answerEpoch();
      }
      case "lose": {
        const agent = choose(this.agents);
        if (agent) this.drop(agent);
        return;
      }
      case "comeBack": {
        const agent = choose(this.agents.filter((agent) => agent.state !== "unassigned" && agent.state !== "failed"));
        if (!agent?.listener || ours.includes(agent)) return;
        agent.listener.disconnected("broken");
        const back = await t.connectPod(agent.identity, agent.state, { assignmentId: agent.assignmentId ?? "" });
        this.agents[this.agents.indexOf(agent)] = back;
        if (this.foreign.delete(agent)) this.foreign.add(back);
        return;
      }
      case "update":
        this.revision++;
        return this.put();
      case "reserve":
        this.limit = pick % 5 === 4 ? undefined : (pick % 5) + 1;
        return this.put();
      case "turnover": {
        t.ownership(false);
        if (pick % 3 === 0) this.submit("$LATEST");
        for (const agent of this.agents) {
          if (agent.state !== "assigned" || this.running.length >= (this.limit ?? 5)) continue;
          agent.state = "busy";
          this.foreign.add(agent);
          // Some are slow to tell.
          agent.isMute = pick-- % 3 === 0;
        }
        return t.ownership(true);
      }
      case "speak":
        return this.agents.find(({ isMute }) => isMute)?.speak();
      case "foreignEnds": {
        const agent = choose([...this.foreign]);
        if (agent) this.endForeign(agent);
        return;
      }
      case "aMoment":
        return void (await t.pass(10));
      case "aWhile":
        await t.pass(2_500);
        // No event lasts longer than its time-out.
        for (const agent of [...this.foreign]) this.endForeign(agent);
        for (const agent of this.running) agent.answer();
        return;
    }
  }

  /** Agents that were told to end do so once they have nothing to run. */
  endRetired(): void {
    for (const agent of [...this.agents]) if (agent.last(FrameType.shutdown) && agent.state !== "busy") this.drop(agent);
  }

  check(before: ReadonlySet<Agent>): void {
    const { t, limit } = this;
    const now = this.running.length;
    if (limit === undefined) this.#allowed = Number.POSITIVE_INFINITY;
    else this.#allowed = Math.max(limit, Math.min(this.#allowed, before.size));
    expect(now).toBeLessThanOrEqual(this.#allowed);
    const entry = t.registry.find("team", "f");
    for (const agent of this.running) {
      const invoke = agent.last(FrameType.invoke);
      if (before.has(agent) || this.foreign.has(agent) || !entry || invoke?.type !== FrameType.invoke) continue;
      expect([runnableOf(entry, "$LATEST"), runnableOf(entry, "1")].map((runnable) => runnable?.assignmentId)).toContain(
        agent.assignmentId,
      );
    }
  }

  /** Everybody gets an answer when nothing stands in the way any more. */
  async end(): Promise<void> {
    for (const agent of this.agents) agent.speak();
    for (let round = 0; round < 40 && this.t.outcomes.size < this.ids.length; round++) {
      while (this.connected < this.t.created.length) await this.connect();
      for (const agent of [...this.agents]) {
        if (this.foreign.has(agent)) this.endForeign(agent);
        else if (agent.state === "unassigned") agent.assigned();
        else if (agent.state === "busy") agent.answer();
      }
      await this.t.pass(1_000);
    }
    expect(this.ids.filter((id) => !this.t.outcomes.has(id))).toEqual([]);
    expect(this.t.dispatchers.inFlight).toBe(0);
  }
}

test("never more than the limit, never another revision, and everything accepted is answered", async () => {
  const steps = fc.array(fc.record({ step: fc.oneof(...STEPS), pick: fc.nat(100) }), { minLength: 40, maxLength: 160, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, async (history) => {
      vi.clearAllTimers();
      const h = new History();
      for (const step of history) {
        const before = new Set(h.running);
        await h.apply(step);
        await h.t.pass(0);
        h.endRetired();
        h.check(before);
      }
      await h.end();
      h.t.dispatchers.stop();
    }),
    { numRuns: 150 },
  );
}, 120_000);
