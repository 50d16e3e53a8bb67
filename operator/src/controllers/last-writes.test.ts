import { describe, expect, test } from "vitest";
import { LastWrites } from "./last-writes.ts";

const object = (resourceVersion: string, uid = "u") => ({
  apiVersion: "v1",
  kind: "X",
  metadata: { namespace: "n", name: "a", uid, resourceVersion },
});

describe("LastWrites", () => {
  test("gives back the cached object when nothing was written", () => {
    const cached = object("1");
    expect(new LastWrites().latest(cached)).toBe(cached);
  });

  test("gives what was written while the cache still has what that was based on", () => {
    const writes = new LastWrites<ReturnType<typeof object>>();
    const written = object("2");
    writes.note(object("1"), written);
    expect(writes.latest(object("1"))).toBe(written);
    expect(writes.latest(object("1"))).toBe(written);
  });

  test("gives the last of several writes, however far behind them the cache is", () => {
    const writes = new LastWrites<ReturnType<typeof object>>();
    writes.note(object("1"), object("2"));
    const last = object("3");
    writes.note(writes.latest(object("1")), last);
    expect(writes.latest(object("1"))).toBe(last);
    expect(writes.latest(object("2"))).toBe(last);
    const moved = object("4");
    expect(writes.latest(moved)).toBe(moved);
  });

  test("gives the cached object once the cache has moved on", () => {
    const writes = new LastWrites<ReturnType<typeof object>>();
    writes.note(object("1"), object("2"));
    const moved = object("3");
    expect(writes.latest(moved)).toBe(moved);
    const again = object("1");
    expect(writes.latest(again)).toBe(again);
  });

  test("does not take a new object of the same name for the old one", () => {
    const writes = new LastWrites<ReturnType<typeof object>>();
    writes.note(object("1"), object("2"));
    const other = object("1", "other");
    expect(writes.latest(other)).toBe(other);
  });

  test("forgets", () => {
    const writes = new LastWrites<ReturnType<typeof object>>();
    writes.note(object("1"), object("2"));
    writes.forget("n/a");
    const cached = object("1");
    expect(writes.latest(cached)).toBe(cached);
  });
});
