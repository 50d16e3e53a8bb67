import { expect, test } from "vitest";
import { answerOf, askOf, decodePeerMessage, encodePeerMessage, greetingOf, isRequestType, type PeerMessage } from "./peer-messages.ts";

test("what is encoded is decoded as it was", () => {
  const messages: PeerMessage[] = [
    { type: "view", epoch: 7, state: "serving" },
    { type: "view", epoch: 7, state: "serving", members: ["gateway-a", "gateway-b"] },
    { type: "ask", id: 1, what: "room", ask: { namespace: "team" } },
    { type: "answer", id: 1, answer: { given: true } },
    { type: "refusal", id: 2, why: "no" },
  ];
  expect(messages.map((message) => decodePeerMessage(encodePeerMessage(message)))).toEqual(messages);
});

test("the bare text of former versions is understood", () => {
  expect(decodePeerMessage("leaving")).toEqual({ type: "view", epoch: 0, state: "leaving" });
});

test("what is no message, or of a type or state of a later version, is passed over", () => {
  for (const data of [
    "",
    "{",
    "[]",
    "null",
    "7",
    '{"type":"later"}',
    '{"type":"view","epoch":1,"state":"dancing"}',
    '{"type":"view","epoch":-1}',
  ])
    expect(decodePeerMessage(data), data).toBeUndefined();
});

test("members that a later version adds do not disturb", () => {
  expect(decodePeerMessage('{"type":"view","epoch":1,"state":"leaving","more":[]}')).toEqual({ type: "view", epoch: 1, state: "leaving" });
  expect(askOf("room", { namespace: "team", soon: true })).toEqual({ namespace: "team" });
});

test("questions and answers are checked: counts are whole and not negative, names are bounded", () => {
  expect(askOf("recall", { account: "team", term: 1, granted: 0 })).toEqual({ account: "team", term: 1, granted: 0 });
  expect(askOf("recall", { account: "x".repeat(300), term: 1, granted: 0 })).toBeUndefined();
  expect(askOf("borrow", { account: "team", term: 1, need: -1, n: 0, returned: 0, charged: 0 })).toBeUndefined();
  expect(askOf("hold", { account: "team", term: 1, members: "a" })).toBeUndefined();
  expect(answerOf("borrow", { term: 1, granted: 1.5 })).toBeUndefined();
  expect(answerOf("borrow", null)).toBeUndefined();
});

test("only what is a question is one", () => {
  expect([isRequestType("room"), isRequestType("toString"), isRequestType("view")]).toEqual([true, false, false]);
});

test("a gateway that says nothing of itself when it dials serves", () => {
  expect(greetingOf({})).toEqual({ epoch: 0, state: "serving" });
  expect(greetingOf({ "x-kappa-peer-epoch": "12", "x-kappa-peer-state": "joining" })).toEqual({ epoch: 12, state: "joining" });
  expect(greetingOf({ "x-kappa-peer-epoch": "-3x", "x-kappa-peer-state": "odd" })).toEqual({ epoch: 0, state: "serving" });
});
