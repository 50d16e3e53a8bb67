import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { afterAction, afterWelcome, NO_VIEW, type View } from "./claim.ts";

const A = { name: "a", address: "10.0.0.1:8081" };
const B = { name: "b", address: "10.0.0.2:8081" };
const owned: View = { epoch: 5, owner: "a", members: [A], source: "a" };

describe("a welcome", () => {
  test("is believed when it is the first one", () => {
    expect(afterWelcome(NO_VIEW, "a", { epoch: 1, members: [A] })).toEqual({ epoch: 1, owner: undefined, members: [A], source: "a" });
  });

  test("of a later view replaces owner and members, whoever sends it", () => {
    expect(afterWelcome(owned, "b", { epoch: 6, owner: "b", members: [B] })).toEqual({ epoch: 6, owner: "b", members: [B], source: "b" });
  });

  test("of an earlier view changes nothing", () => {
    expect(afterWelcome(owned, "b", { epoch: 4, owner: "b", members: [B] })).toBe(owned);
  });

  test("of the same view by another gateway does not change what the owner said", () => {
    expect(afterWelcome(owned, "b", { epoch: 5, owner: "b", members: [B] })).toEqual(owned);
  });

  test("of the owner replaces the members that another gateway told", () => {
    const told = { ...owned, members: [B], source: "b" };
    expect(afterWelcome(told, "a", { epoch: 5, owner: "a", members: [A, B] })).toMatchObject({ owner: "a", members: [A, B], source: "a" });
  });

  test("names an owner where none was known", () => {
    expect(afterWelcome({ ...owned, owner: undefined }, "a", { epoch: 5, owner: "b", members: [A] })).toMatchObject({ owner: "b" });
  });
});

describe("an assignment or event", () => {
  test("of the same or a later view makes its sender the owner", () => {
    expect(afterAction(owned, "b", 5)).toEqual({ ...owned, owner: "b" });
    expect(afterAction(owned, "b", 6)).toEqual({ ...owned, owner: "b", epoch: 6 });
  });

  test("of an earlier view is the owner's alone", () => {
    expect(afterAction(owned, "a", 4)).toBe(owned);
    expect(afterAction(owned, "b", 4)).toBeUndefined();
    expect(afterAction({ ...owned, owner: undefined }, "b", 4)).toBeUndefined();
  });
});

test("once a gateway has acted on a view, none with an earlier one can, whatever is told in between", () => {
  const name = fc.constantFrom("a", "b", "c");
  const epoch = fc.integer({ min: 0, max: 9 });
  const step = fc.record({ acts: fc.boolean(), from: name, epoch, owner: fc.option(name, { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let view = NO_VIEW;
      let latest = 0;
      for (const { acts, from, epoch, owner } of steps) {
        const before = view;
        if (acts) {
          const after = afterAction(view, from, epoch);
          if (epoch < latest && from !== before.owner) expect(after).toBeUndefined();
          view = after ?? view;
        } else view = afterWelcome(view, from, { epoch, members: [], ...(owner === undefined ? {} : { owner }) });
        latest = Math.max(latest, epoch);
        expect(view.epoch).toBe(latest);
      }
    }),
  );
});
