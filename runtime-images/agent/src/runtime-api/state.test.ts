import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Call } from "./routes.ts";
import { broken, decide, type RuntimeState, received } from "./state.ts";

type Step = [call: Call, requestId: string | undefined, expected: string];

/** Plays calls one after the other as the HTTP shell does; an event `id` is delivered as soon as the runtime waits. */
function play(steps: Step[]): string[] {
  let state: RuntimeState = "Started";
  let id: string | undefined;
  let events = 0;
  return steps.map(([call, requestId]) => {
    const decision = decide(state, id, call, requestId);
    state = decision.state;
    if (decision.action === "refuse") return `${decision.refusal.status} ${decision.refusal.errorMessage}`;
    if (decision.action === "wait") {
      id = `event-${++events}`;
      state = "Running";
      return `200 ${id}`;
    }
    if (decision.action === "again") return `200 ${id}`;
    state = received(state);
    return "202";
  });
}

const INVALID_ID = "400 Invalid request ID";
const notAllowed = (from: string, to: string): string =>
  `403 State transition from ${from} to ${to} failed for runtime. Error: State transition is not allowed`;

describe("the Runtime API answers as AWS's emulator was recorded to", () => {
  test.each<[string, Step[]]>([
    [
      "an event and its response",
      [
        ["next", undefined, "200 event-1"],
        ["response", "event-1", "202"],
        ["next", undefined, "200 event-2"],
        ["error", "event-2", "202"],
      ],
    ],
    [
      "a response or an error before any event",
      [
        ["response", "x", INVALID_ID],
        ["error", "x", INVALID_ID],
      ],
    ],
    [
      "a wrong id",
      [
        ["next", undefined, "200 event-1"],
        ["response", "wrong", INVALID_ID],
        ["response", "event-1", "202"],
      ],
    ],
    [
      "a second response",
      [
        ["next", undefined, "200 event-1"],
        ["response", "event-1", "202"],
        ["response", "event-1", notAllowed("RuntimeResponseSentState", "InvocationResponse")],
        ["error", "event-1", notAllowed("RuntimeResponseSentState", "InvocationErrorResponse")],
        ["initError", undefined, notAllowed("RuntimeResponseSentState", "InitError")],
        ["next", undefined, "200 event-2"],
      ],
    ],
    [
      "a late response to the event before",
      [
        ["next", undefined, "200 event-1"],
        ["response", "event-1", "202"],
        ["next", undefined, "200 event-2"],
        ["response", "event-1", INVALID_ID],
        ["response", "event-2", "202"],
      ],
    ],
    [
      "a second next while an event runs: the same event",
      [
        ["next", undefined, "200 event-1"],
        ["next", undefined, "200 event-1"],
        ["response", "event-1", "202"],
      ],
    ],
    [
      "an init error",
      [
        ["initError", undefined, "202"],
        ["next", undefined, notAllowed("InitError", "Ready")],
        ["initError", undefined, notAllowed("InitError", "InitError")],
      ],
    ],
    [
      "an init error while an event runs",
      [
        ["next", undefined, "200 event-1"],
        ["initError", undefined, notAllowed("Running", "InitError")],
        ["response", "event-1", "202"],
      ],
    ],
  ])("%s", (_, steps) => {
    expect(play(steps)).toEqual(steps.map(([, , expected]) => expected));
  });
});

describe("while a body arrives", () => {
  test.each(["response", "error"] as const)("a %s is the only one, and there is no next event", (call) => {
    const { state } = decide("Running", "id", call, "id");
    for (const other of ["response", "error", "initError", "next"] as const)
      expect(decide(state, "id", other, "id")).toMatchObject({ action: "refuse", refusal: { status: 403 } });
    expect(received(state)).toBe("RuntimeResponseSentState");
  });

  test("and the connection breaks, the event is unanswered still", () => {
    expect(broken(decide("Running", "id", "response", "id").state)).toBe("Running");
    expect(broken(decide("Started", undefined, "initError").state)).toBe("Started");
    expect(broken("Ready")).toBe("Ready");
  });
});

test("whatever a runtime calls, each event is answered at most once and only under its own id", () => {
  const call = fc.tuple(
    fc.constantFrom<Call>("next", "response", "error", "initError"),
    fc.constantFrom("event-1", "event-2", "event-3", "other"),
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
      const answered = new Set<string>();
      const given = new Set<string>();
      play(calls.map(([name, id]) => [name, id, ""])).forEach((answer, index) => {
        const [name, id] = calls[index] ?? [];
        if (answer.startsWith("200")) given.add(answer.slice(4));
        if (answer === "202" && (name === "response" || name === "error") && id !== undefined) {
          expect(given).toContain(id);
          expect(answered).not.toContain(id);
          answered.add(id);
        }
      });
      expect(given.size).toBeLessThanOrEqual(answered.size + 1);
    }),
  );
});
