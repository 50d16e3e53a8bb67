import { expect, test } from "vitest";
import { AgentViews } from "./agent-views.ts";
import type { Environment } from "./environment.ts";
import type { FunctionEntry } from "./function-entry.ts";

const members = (...names: string[]) => names.map((name) => ({ name, address: `${name}:1` }));
const heard: number[] = [];
const views = new AgentViews({
  epoch: 100,
  ownerOf: () => "a",
  owns: () => true,
  // Which three of four live gateways own a key one after the other.
  membersFor: (key) => (key === "team/f" ? members("a", "b", "c") : key === "pool/team" ? members("c", "d", "a") : members("b", "a", "d")),
  heard: (epoch) => void heard.push(epoch),
});
const identity = { namespace: "team", podName: "pod", podUid: "uid" };
const pooled = (madeBy: string) => ({ key: "team/pod", identity, pool: { name: "p", hash: "h", madeBy } }) as Environment;
const own = { key: "team/pod", identity, pool: undefined } as Environment;
const names = (environment: Environment, entry?: FunctionEntry) => views.membersOf(environment, entry).map(({ name }) => name);

test("the agent of a function keeps to its owner and who comes after it, and hears who that is", () => {
  const entry = { key: "team/f" } as FunctionEntry;
  expect(views.welcome(pooled("d"), entry)).toEqual({ members: members("a", "b", "c"), epoch: 100, owner: "a" });
});

test("an agent in a pool keeps to the gateway that made its pod, the pools' owner, and others by chance", () => {
  expect(names(pooled("d"))).toEqual(["d", "c", "b"]);
  expect(names(pooled("b"))).toEqual(["b", "c", "a"]);
  expect(names(pooled("gone"))).toEqual(["c", "b", "a"]);
  expect(views.welcome(pooled("d"), undefined)).not.toHaveProperty("owner");
});

test("an agent whose function is not known keeps to gateways by chance", () => {
  expect(names(own)).toEqual(["b", "a", "d"]);
});

test("a later view that an agent knows of is passed on, one from a time that has not come is not believed", () => {
  views.heard(99, 50);
  views.heard(101, 50);
  views.heard(50 + 24 * 3_600_000 + 1, 50);
  views.heard(Number.MAX_SAFE_INTEGER, 50);
  expect(heard).toEqual([101]);
});
