import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { Lending, type LendingPeers } from "./account-lending.ts";
import { PeerRefusal, type RequestType } from "./peer-messages.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Of a lender with one borrower: what that is asked, and what it answers. */
function lendingTo(borrower: string, answer: (what: RequestType) => unknown) {
  const asked: RequestType[] = [];
  const peers = {
    epoch: 1,
    alive: ["lender", borrower],
    connected: () => [borrower],
    ownerOf: () => "lender",
    isSelf: (name: string) => name === "lender",
    request: async (_name: string, what: RequestType) => {
      asked.push(what);
      return answer(what);
    },
  } as LendingPeers;
  let term = 0;
  const lending = new Lending({ account: "team", clock: systemClock, peers, nextTerm: () => ++term }, () => {});
  return { asked, lending };
}

const nothingHeld = { lent: 0, charged: 0, n: 1 };

test("one that knows nothing of what it was lent is heard again, and holds what it says then", async () => {
  const { asked, lending } = lendingTo("borrower", (what) => {
    if (what === "recall") throw new PeerRefusal("it is not the term that is counted in here");
    return nothingHeld;
  });
  await lending.hear();
  lending.grant("borrower", 3);
  expect(lending.lent).toBe(3);
  await lending.recall();
  expect(asked).toEqual(["hold", "recall", "hold"]);
  expect(lending.lent).toBe(0);
});

test("what one holds that does not answer stays lent", async () => {
  let hangs = false;
  const { asked, lending } = lendingTo("borrower", () => {
    if (hangs) throw new Error("no answer in time");
    return nothingHeld;
  });
  await lending.hear();
  lending.grant("borrower", 3);
  hangs = true;
  await lending.recall();
  expect(asked).toEqual(["hold", "recall"]);
  expect(lending.lent).toBe(3);
});

test("who lends no more asks no more", async () => {
  const { asked, lending } = lendingTo("borrower", () => {
    throw new Error("no answer in time");
  });
  void lending.hear();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked.length).toBeGreaterThan(2);
  lending.end();
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked).toHaveLength(before);
  expect(lending.open).toBe(false);
});
