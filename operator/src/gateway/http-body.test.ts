import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { PayloadBudget, readBody } from "./http-body.ts";

function read(limit: number, budget = new PayloadBudget(1000), headers: Record<string, string> = {}) {
  const request = Object.assign(new EventEmitter(), { headers });
  const outcomes: (Buffer | string)[] = [];
  readBody(request as unknown as IncomingMessage, limit, budget, (body) => outcomes.push(body));
  const data = (...pieces: string[]) => {
    for (const piece of pieces) request.emit("data", Buffer.from(piece));
  };
  return { request, outcomes, data, budget };
}

test("a body in pieces is put together, and reported once", () => {
  const { request, outcomes, data } = read(100);
  data("ab", "cd", "ef");
  request.emit("end");
  request.emit("close");
  expect(outcomes).toEqual([Buffer.from("abcdef")]);
});

test("no body is an empty one", () => {
  const { request, outcomes } = read(100);
  request.emit("end");
  expect(outcomes).toEqual([Buffer.alloc(0)]);
});

test("one that is too large is read to its end, then refused, and holds nothing", () => {
  const { request, outcomes, data, budget } = read(5);
  data("abc", "def");
  expect(outcomes).toEqual([]);
  request.emit("end");
  expect(outcomes).toEqual(["tooLarge"]);
  expect(budget.take(1000)).toBe(true);
});

test("one that says it is very large is refused before it is read", () => {
  expect(read(5, new PayloadBudget(10), { "content-length": "100000000" }).outcomes).toEqual(["tooLarge"]);
});

test("beyond what may be held the next one is refused, until something is given back", () => {
  const budget = new PayloadBudget(10);
  const held = read(100, budget);
  held.data("12345678");
  held.request.emit("end");
  const refused = read(100, budget);
  refused.data("1234");
  refused.request.emit("end");
  expect(refused.outcomes).toEqual(["noMemory"]);
  budget.give(8);
  const taken = read(100, budget);
  taken.data("1234");
  taken.request.emit("end");
  expect(taken.outcomes).toEqual([Buffer.from("1234")]);
});

test("a body that is refused gives back what it took, and no more", () => {
  const budget = new PayloadBudget(10);
  const refused = read(100, budget);
  refused.data("1234", "12345678", "12345678");
  refused.request.emit("end");
  expect(refused.outcomes).toEqual(["noMemory"]);
  expect(budget.take(11)).toBe(false);
  expect(budget.take(10)).toBe(true);
});

test("a caller that breaks off is told apart, and holds nothing", () => {
  const { request, outcomes, data, budget } = read(100, new PayloadBudget(10));
  data("1234567890");
  request.emit("close");
  expect(outcomes).toEqual(["aborted"]);
  expect(budget.take(10)).toBe(true);
});

test("one address holds a part at most, and others are served meanwhile", () => {
  const budget = new PayloadBudget(20, 10);
  const [one, same, other] = [budget.of("192.0.2.1"), budget.of("192.0.2.1"), budget.of("192.0.2.2")];
  expect([one.take(8), same.take(4), other.take(10)]).toEqual([true, false, true]);
  one.give(8);
  expect([same.take(10), one.take(1)]).toEqual([true, false]);
  other.give(10);
  expect([other.take(11), budget.take(10), budget.take(1)]).toEqual([false, true, false]);
});
