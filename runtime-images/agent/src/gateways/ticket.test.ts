import { describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame, type Frame, FrameType } from "../../../../operator/src/api/environment-protocol.ts";
import { Ticket, takeTicket } from "./ticket.ts";

const HELLO = { protocol: 4, token: "t", podName: "p", namespace: "n", runtime: "python3.11", state: "warming" } as const;
const welcome = (ticket?: string, name = "g"): Buffer =>
  Buffer.from(
    encodeFrame({ type: FrameType.welcome, header: { members: [{ name, address: "a:1" }], epoch: 1, ...(ticket ? { ticket } : {}) } }),
  );

describe("a ticket", () => {
  test("is taken out of the welcome, in which it is nowhere afterwards", () => {
    const message = welcome("c2VjcmV0");
    expect(takeTicket(message)?.toString()).toBe("c2VjcmV0");
    expect(message.includes("c2VjcmV0")).toBe(false);
    expect(decodeFrame(message).header).toMatchObject({ members: [{ name: "g" }], epoch: 1 });
  });

  test("is not looked for in other frames, nor found where there is none", () => {
    expect(takeTicket(welcome())).toBeUndefined();
    expect(takeTicket(welcome(undefined, 'x"ticket":"y'))).toBeUndefined();
    const other: Frame = { type: FrameType.busy, header: { requestId: "r" }, body: Buffer.from('"ticket":"x"') };
    expect(takeTicket(Buffer.from(encodeFrame(other)))).toBeUndefined();
  });

  test.each([
    ["with an escape", 'a"b'],
    ["too long", "x".repeat(129)],
  ])("%s is refused", (_, ticket) => {
    expect(() => takeTicket(welcome(ticket))).toThrow('welcome: "ticket" is not valid');
  });

  test("is shown in the hello", () => {
    const ticket = new Ticket();
    expect(decodeFrame(ticket.hello(HELLO)).header).toEqual(HELLO);
    ticket.keep(Buffer.from("c2VjcmV0"));
    expect(decodeFrame(ticket.hello(HELLO)).header).toEqual({ ...HELLO, ticket: "c2VjcmV0" });
  });

  test("is overwritten when it is erased, and one that comes afterwards too", () => {
    const [first, second] = [Buffer.from("first"), Buffer.from("second")];
    const ticket = new Ticket();
    ticket.keep(first);
    ticket.erase();
    ticket.keep(second);
    expect([...first, ...second].every((byte) => byte === 0)).toBe(true);
    expect(ticket.known).toBe(false);
    expect(decodeFrame(ticket.hello(HELLO)).header).toEqual(HELLO);
  });
});
