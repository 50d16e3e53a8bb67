/** The agent between several gateways: which it dials, which it obeys, and what it proves itself with. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Assigned, CloseCode, FrameType, PROTOCOL_VERSION, type StateChange } from "../../operator/src/api/environment-protocol.ts";
import { type AgentProcess, until } from "./testing/agent-process.ts";
import type { AgentLink, TestGateway } from "./testing/gateway.ts";
import { agentHarness } from "./testing/harness.ts";
import { assignmentOf, zipOf } from "./testing/packages.ts";

const { gatewayOf, agentOf, running, forget } = agentHarness();

const ECHO = "def handler(event, context):\n    return event\n";
const SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n";

describe("gateways", () => {
  test("all of them are dialled, and each hears of what the others do", async () => {
    const first = await gatewayOf();
    const second = await gatewayOf();
    first.members = second.members = [
      { name: "a", address: first.address },
      { name: "b", address: second.address },
    ];
    const code = zipOf({ "app.py": SLEEPER });
    first.packages.set(code.sha256, code.bytes);
    await agentOf({ gatewayPort: first.port });
    const [a, b] = [await first.agent(), await second.agent()];
    expect(a.hello).toEqual({
      protocol: PROTOCOL_VERSION,
      podName: "pod-1",
      namespace: "default",
      runtime: "python3.11",
      state: "unassigned",
      token: "a-token",
    });
    expect(await a.assign(assignmentOf(code))).toHaveProperty("assigned");
    await b.take((f) => f.type === FrameType.stateChange && f.header.state === "assigned", "assigned at the other gateway");
    const running = a.offer("0.5");
    await b.take((f) => f.type === FrameType.stateChange && f.header.state === "busy", "busy at the other gateway");
    const refused = b.offer("0");
    expect((await b.take((f) => f.type === FrameType.busy, "busy")).header).toEqual({ requestId: refused });
    await a.outcome(running);
    await b.take((f) => f.type === FrameType.stateChange && f.header.state === "assigned", "assigned again at the other gateway");
    expect((await b.invoke(0)).json).toBe(0);
    // It knows from its own events; what it was told is the answer to its welcome.
    expect(a.received.filter((f) => f.type === FrameType.stateChange)).toMatchObject([{ header: { state: "unassigned", epoch: 1 } }]);
  });

  test("those that the pod was made with are dialled though their name cannot be resolved", async () => {
    const gateway = await gatewayOf();
    const gone = "127.0.0.1:1";
    await agentOf({
      gatewayHost: "gateways.invalid",
      gatewayPort: gateway.port,
      env: { KAPPA_GATEWAY_ADDRESSES: `${gone},${gateway.address}` },
    });
    expect((await gateway.agent()).hello).toMatchObject({ podName: "pod-1", state: "unassigned" });
  });

  test("a lost one is dialled again with the token as it is then, and told what the agent holds", async () => {
    const { gateway, agent, link, code } = await running(SLEEPER);
    await writeFile(agent.tokenFile, "renewed");
    link.offer("0.3");
    const { port } = gateway;
    await gateway.kill();
    forget(gateway);
    const again = await gatewayOf({ port });
    const next = await again.agent();
    expect(next.hello).toMatchObject({
      token: "renewed",
      assignmentId: assignmentOf(code).assignmentId,
      state: expect.stringMatching(/busy|assigned/),
    });
    await until(async () => (agent.stderr.includes("had nobody to go to") ? true : undefined), "the note that a result was lost");
    expect((await next.invoke(0)).json).toBe(0);
    expect(next.received.filter((f) => f.type === FrameType.result)).toEqual([]);
  });

  test("one that refuses is named with the remedy and not pressed", async () => {
    let attempts = 0;
    const gateway = await gatewayOf({
      admit: () => {
        attempts++;
        return 4401;
      },
    });
    const agent = await agentOf({ gatewayPort: gateway.port });
    await until(async () => (agent.stderr.includes("did not accept this pod's token") ? true : undefined), "the remedy");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(attempts).toBe(1);
  });

  test("one that sends nonsense is left with a protocol error, and the environment goes on", async () => {
    const { gateway, link } = await running(ECHO);
    const closed = new Promise<number>((resolve) => link.socket.once("close", resolve));
    link.socket.send(Buffer.from([99, 0, 0, 0, 0]));
    expect(await closed).toBe(4400);
    const again = await gateway.agent();
    expect(again.hello.state).toBe("assigned");
    const bad = new Promise<number>((resolve) => again.socket.once("close", resolve));
    again.offer("{}", { requestId: "../../x" });
    expect(await bad).toBe(4400);
    expect((await (await gateway.agent()).invoke({ still: "here" })).json).toEqual({ still: "here" });
  });

  test("one that falls silent is left and dialled again", { timeout: 40_000 }, async () => {
    const { gateway, link } = await running(ECHO);
    link.socket.pause();
    const again = await gateway.agent();
    expect(again.hello.state).toBe("assigned");
    expect((await again.invoke(1)).json).toBe(1);
  });

  test("another assignment is refused, the same one confirmed", async () => {
    const { link, code, assigned } = await running(ECHO);
    expect((await link.assign(assignmentOf(code))).assigned).toEqual(assigned);
    expect((await link.assign(assignmentOf(code, { assignmentId: "another" }))).failed).toMatchObject({
      kind: "refused",
      assignmentId: "another",
    });
    expect((await link.invoke(1)).json).toBe(1);
  });

  test("without any, an idle agent ends", async () => {
    const agent = await agentOf({ gatewayPort: 1, env: { KAPPA_WITHOUT_GATEWAY_MS: "500" } });
    expect(await agent.exited).toBe(0);
    expect(agent.stderr).toContain("no gateway for 0.5 s");
  });
});

/** The state that the agent tells, when it fits. */
async function told(link: AgentLink, state: string, epoch: number) {
  const frame = await link.take(
    (f) => f.type === FrameType.stateChange && f.header.state === state && f.header.epoch === epoch,
    `${state} of view ${epoch}`,
  );
  return frame.header;
}

/** Several gateways that know of each other. */
async function gatewaysOf(...names: string[]): Promise<TestGateway[]> {
  const gateways: TestGateway[] = [];
  for (const _ of names) gateways.push(await gatewayOf());
  const members = gateways.map(({ address }, index) => ({ name: names[index] ?? "", address }));
  for (const gateway of gateways) gateway.members = members;
  return gateways;
}

/** Code that says that it has begun and waits until it may go on. */
const WAIT = "import os, time\ndef wait():\n    open('../begun', 'w').close()\n    while not os.path.exists('../go'): time.sleep(0.002)\n";
const WAITS_IN_EVENT = `${WAIT}def handler(event, context):\n    if event: wait()\n`;
const WAITS_AT_START = `${WAIT}wait()\ndef handler(event, context):\n    return event\n`;

const begun = async ({ folder }: AgentProcess) => {
  while (!existsSync(join(folder, "begun"))) await new Promise((resolve) => setTimeout(resolve, 2));
};
const goOn = ({ folder }: AgentProcess) => writeFileSync(join(folder, "go"), "");

/** What a gateway heard of the assignment and the state, in order. */
const heardBy = ({ received }: AgentLink) =>
  received.flatMap(({ type, header }) => {
    if (type === FrameType.stateChange) return [(header as StateChange).state];
    return type === FrameType.assigned ? ["outcome"] : type === FrameType.assignmentFailed ? ["failure"] : [];
  });

describe("a gateway is told what the agent does", () => {
  /** The agent between two gateways, assigned by the first, which both know. */
  async function between(source: string) {
    const [first, second] = await gatewaysOf("a", "b");
    if (!first || !second) throw new Error("there are two");
    const code = zipOf({ "app.py": source });
    const agent = await agentOf({ gatewayPort: first.port });
    const [a, b] = [await first.agent(), await second.agent()];
    return { first, second, agent, a, b, code, assignment: assignmentOf(code) };
  }

  test("when a short event ends of which it has heard in answer to its view", async () => {
    const { second, agent, a, b, code, assignment } = await between(WAITS_IN_EVENT);
    await a.assign(assignment, code.bytes);
    await told(b, "assigned", 1);
    const running = a.offer("1");
    await begun(agent);
    b.send({ type: FrameType.welcome, header: { members: second.members, epoch: 2, owner: "b" } });
    await told(b, "busy", 2);
    goOn(agent);
    await a.outcome(running);
    await told(b, "assigned", 2);
    expect((await b.invoke(0, { epoch: 2 })).result.functionError).toBeUndefined();
  });

  test("when a short event ends for which its own was not taken", async () => {
    const { agent, a, b, code, assignment } = await between(WAITS_IN_EVENT);
    await a.assign(assignment, code.bytes);
    await told(b, "assigned", 1);
    const running = a.offer("1");
    await begun(agent);
    b.offer("0");
    await b.take((f) => f.type === FrameType.busy, "busy");
    goOn(agent);
    await a.outcome(running);
    await told(b, "assigned", 1);
  });

  test("when its event was not taken though nothing runs, and of the later view that was the reason", async () => {
    const { second, a, b, code, assignment } = await between(ECHO);
    await a.assign(assignment, code.bytes);
    await a.invoke(1);
    await told(b, "assigned", 1);
    b.send({ type: FrameType.welcome, header: { members: second.members, epoch: 2, owner: "b" } });
    await told(b, "assigned", 2);
    a.offer("1");
    await a.take((f) => f.type === FrameType.busy, "busy");
    await told(a, "assigned", 2);
  });

  test("not for the sake of short events", async () => {
    const { a, b, code, assignment } = await between(ECHO);
    await a.assign(assignment, code.bytes);
    await told(b, "assigned", 1);
    b.received.length = 0;
    for (let i = 0; i < 3; i++) {
      await a.invoke(i);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect([b.received, heardBy(a)]).toEqual([[], ["unassigned"]]);
  });

  test("and what became of the assignment, though the gateway that gave it is gone; each later one hears it before the state", async () => {
    const { first, second, agent, a, b, code, assignment } = await between(WAITS_AT_START);
    a.send({ type: FrameType.assign, header: assignment, body: code.bytes });
    await told(b, "busy", 1);
    await begun(agent);
    await first.kill();
    forget(first);
    goOn(agent);
    const outcome = await b.take((f) => f.type === FrameType.assigned, "the outcome");
    expect(outcome.header).toEqual({ assignmentId: assignment.assignmentId, initDurationMs: expect.any(Number) });
    await told(b, "assigned", 1);
    b.received.length = 0;
    const third = await gatewayOf();
    const members = [...second.members.slice(1), { name: "c", address: third.address }];
    third.members = members;
    b.send({ type: FrameType.welcome, header: { members, epoch: 2, owner: "b" } });
    const c = await third.agent();
    expect(c.hello).toMatchObject({ state: "assigned", assignmentId: assignment.assignmentId });
    await until(async () => (heardBy(b).length > 1 && heardBy(c).length > 1 ? true : undefined), "the answers to the views");
    expect([heardBy(b), heardBy(c)]).toEqual(Array(2).fill(["outcome", "assigned"]));
    // The initialization is in the first result, whoever asks for it, and in no other one.
    const { result } = await b.invoke(1, { epoch: 2 });
    expect(result).toMatchObject({ initDurationMs: (outcome.header as Assigned).initDurationMs });
    expect((await b.invoke(1, { epoch: 2 })).result).not.toHaveProperty("initDurationMs");
  });

  test("and why it failed, before it hears that", async () => {
    const { a, b, assignment } = await between(ECHO);
    expect((await a.assign(assignment, Buffer.from("no package"))).failed).toMatchObject({ kind: "package" });
    await until(async () => (heardBy(b).includes("failed") ? true : undefined), "the failure at the other gateway");
    expect(heardBy(b).slice(-2)).toEqual(["failure", "failed"]);
  });
});

describe("views of the gateways", () => {
  test("are answered with the state, and the owner of an earlier one starts nothing any more", async () => {
    const [first, second] = await gatewaysOf("a", "b");
    if (!first || !second) return;
    const code = zipOf({ "app.py": ECHO });
    await agentOf({ gatewayPort: first.port });
    const [a, b] = [await first.agent(), await second.agent()];
    await told(a, "unassigned", 1);
    await a.assign(assignmentOf(code, { epoch: 5 }), code.bytes);
    expect((await a.invoke(1, { epoch: 5 })).json).toBe(1);
    // The other one owns the function from now on, and has told so itself.
    b.send({ type: FrameType.welcome, header: { members: second.members, epoch: 6, owner: "b" } });
    expect(await told(b, "assigned", 6)).toMatchObject({ assignmentId: assignmentOf(code).assignmentId, pass: "pass" });
    const late = a.offer("1", { epoch: 5 });
    expect((await a.take((f) => f.type === FrameType.busy, "busy")).header).toEqual({ requestId: late });
    expect((await b.invoke(2, { epoch: 6 })).json).toBe(2);
    // Once it has heard of the later view it may own the function again.
    a.send({ type: FrameType.welcome, header: { members: first.members, epoch: 7, owner: "a" } });
    await told(a, "assigned", 7);
    expect((await a.invoke(3, { epoch: 7 })).json).toBe(3);
  });

  test("make an assignment out of an earlier one refused", async () => {
    const [first, second] = await gatewaysOf("a", "b");
    if (!first || !second) return;
    const code = zipOf({ "app.py": ECHO });
    await agentOf({ gatewayPort: first.port });
    const [a, b] = [await first.agent(), await second.agent()];
    b.send({ type: FrameType.welcome, header: { members: second.members, epoch: 9 } });
    await told(b, "unassigned", 9);
    expect((await a.assign(assignmentOf(code, { epoch: 8 }), code.bytes)).failed).toMatchObject({
      kind: "refused",
      message: expect.stringContaining("later view"),
    });
    expect(await b.assign(assignmentOf(code, { epoch: 9 }), code.bytes)).toHaveProperty("assigned");
  });

  test("name the members, however many: new ones are dialled, others left once the answer that they wait for is there", async () => {
    const [first, ...others] = await gatewaysOf("a", "b", "c", "d", "e");
    if (!first) return;
    const code = zipOf({ "app.py": SLEEPER });
    await agentOf({ gatewayPort: first.port });
    const a = await first.agent();
    const links = await Promise.all(others.map((gateway) => gateway.agent()));
    expect(links).toHaveLength(4);
    await a.assign(assignmentOf(code), code.bytes);
    const running = a.offer("0.5");
    const [left, ...kept] = others;
    if (!left) return;
    const members = first.members.filter(({ address }) => address !== first.address && address !== left.address);
    const closed = new Promise<number>((resolve) => links[0]?.socket.once("close", resolve));
    links[1]?.send({ type: FrameType.welcome, header: { members, epoch: 2, owner: "c" } });
    expect(await closed).toBe(CloseCode.notMember);
    expect((await a.outcome(running)).json).toBe(0.5);
    await a.closed();
    expect((await links[1]?.invoke(0, { epoch: 2 }))?.json).toBe(0);
    // Not dialled again.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([first.links.length, left.links.length, ...kept.map(({ links }) => links.length)]).toEqual([1, 1, 1, 1, 1]);
  });
});

describe("a pooled agent", () => {
  const TICKET = "dGlja2V0LW9mLXRoaXMtcG9k-and-no-other";

  async function pooled(): Promise<{ maker: TestGateway; other: TestGateway; agent: AgentProcess }> {
    const maker = await gatewayOf({ welcome: ({ ticket }) => (ticket === undefined ? { ticket: TICKET } : {}) });
    const other = await gatewayOf();
    maker.members = other.members = [
      { name: "maker", address: maker.address },
      { name: "other", address: other.address },
    ];
    const env = { KAPPA_POOLED: "1", KAPPA_GATEWAY_ADDRESSES: `${maker.address},${other.address}` };
    return { maker, other, agent: await agentOf({ gatewayPort: other.port, env }) };
  }

  test("dials the gateway that made it first, and the others with the ticket from there", async () => {
    const { maker, other } = await pooled();
    const made = await maker.agent();
    expect(made.hello).toMatchObject({ state: "unassigned" });
    expect(made.hello).not.toHaveProperty("ticket");
    expect((await other.agent()).hello).toMatchObject({ state: "unassigned", ticket: TICKET });
    made.socket.terminate();
    expect((await maker.agent()).hello).toMatchObject({ ticket: TICKET });
  });

  test("takes the first assignment, refuses any other one, and tells the others what it holds before it runs", async () => {
    const { maker, other, agent } = await pooled();
    const [made, second] = [await maker.agent(), await other.agent()];
    const code = zipOf({ "app.py": ECHO });
    const assignment = assignmentOf(code, { assignmentId: "uid/1/first", pass: "first-pass" });
    const [won, lost] = await Promise.all([
      second.assign(assignment, code.bytes),
      second
        .take((f) => f.type === FrameType.stateChange, "the answer to the welcome")
        .then(() => made.take((f) => f.type === FrameType.stateChange && f.header.state === "busy", "the assignment elsewhere"))
        .then(async (told) => {
          expect(told.header).toMatchObject({ assignmentId: "uid/1/first", pass: "first-pass" });
          made.send({ type: FrameType.assign, header: assignmentOf(code, { assignmentId: "uid/1/second" }), body: code.bytes });
          return await made.take((f) => f.type === FrameType.assignmentFailed, "the refusal");
        }),
    ]);
    expect(won).toHaveProperty("assigned");
    expect(lost.header).toMatchObject({ kind: "refused", assignmentId: "uid/1/second" });
    expect((await second.invoke(1)).json).toBe(1);
    // From here on the assignment is its proof.
    made.socket.terminate();
    const again = (await maker.agent()).hello;
    expect(again).toMatchObject({ assignmentId: "uid/1/first", pass: "first-pass" });
    expect(again).not.toHaveProperty("ticket");
    expect(agent.stderr).not.toContain(TICKET);
  });

  test("has its ticket nowhere in memory once it has an assignment", async () => {
    const { maker, other, agent } = await pooled();
    const [made] = [await maker.agent(), await other.agent()];
    const pid = await agent.pid();
    expect(await occurrences(pid, TICKET)).toBeGreaterThan(0);
    const code = zipOf({ "app.py": ECHO });
    expect(await made.assign(assignmentOf(code), code.bytes)).toHaveProperty("assigned");
    expect(await occurrences(pid, TICKET)).toBe(0);
  });
});

/** How often a text is in the memory that a process can write. */
async function occurrences(pid: number, text: string): Promise<number> {
  const memory = await open(`/proc/${pid}/mem`, "r");
  let found = 0;
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
      const part = Buffer.alloc(1024 * 1024);
      for (let at = start; at < end; at += part.length - text.length) {
        const { bytesRead } = await memory.read(part, 0, Math.min(part.length, end - at), at).catch(() => ({ bytesRead: 0 }));
        const bytes = part.subarray(0, bytesRead);
        for (let hit = bytes.indexOf(text); hit >= 0; hit = bytes.indexOf(text, hit + 1)) found++;
      }
    }
  } finally {
    await memory.close();
  }
  return found;
}
