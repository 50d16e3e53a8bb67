import { expect, test } from "vitest";
import { Tickets } from "./tickets.ts";

const tickets = new Tickets("secret");

test("what one gateway gives, another one with the secret accepts", () => {
  const other = new Tickets("secret");
  expect(other.isTicket(tickets.ticket("pod"), "pod")).toBe(true);
  expect(other.isPass(tickets.pass("pod", "fn/1/a"), "pod", "fn/1/a")).toBe(true);
});

test.each<[string, boolean]>([
  ["another pod's ticket", tickets.isTicket(tickets.ticket("other"), "pod")],
  ["a ticket of somebody who does not know the secret", tickets.isTicket(new Tickets("guess").ticket("pod"), "pod")],
  ["no ticket", tickets.isTicket(undefined, "pod")],
  ["an empty ticket", tickets.isTicket("", "pod")],
  ["a part of a ticket", tickets.isTicket(tickets.ticket("pod").slice(0, -1), "pod")],
  ["another pod's pass", tickets.isPass(tickets.pass("other", "fn/1/a"), "pod", "fn/1/a")],
  ["another assignment's pass", tickets.isPass(tickets.pass("pod", "fn/2/a"), "pod", "fn/1/a")],
  ["a ticket shown as a pass", tickets.isPass(tickets.ticket("pod"), "pod", "")],
  ["a pass of a pod and assignment whose names run together", tickets.isPass(tickets.pass("pod", "x/1"), "podx", "/1")],
])("%s proves nothing", (_, accepted) => {
  expect(accepted).toBe(false);
});

test("a proof fits where an agent keeps it: short, and nothing that JSON escapes", () => {
  expect(tickets.ticket("pod")).toMatch(/^[A-Za-z0-9_-]{43}$/);
});
