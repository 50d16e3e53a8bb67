import fc from "fast-check";
import { expect, test } from "vitest";
import { GatheredBytes } from "./gathered-bytes.ts";

test("gives back what it was given, in order and in one piece, and is empty then", () => {
  const parts = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.nat(200_000).map((size) => new Uint8Array(size).fill(size & 255)),
    ),
    {
      maxLength: 30,
    },
  );
  fc.assert(
    fc.property(parts, (given) => {
      const gathered = new GatheredBytes();
      for (const part of given) gathered.add(part);
      const whole = Buffer.concat(given);
      expect(gathered.length).toBe(whole.length);
      expect(gathered.take().equals(whole)).toBe(true);
      expect([gathered.length, gathered.take().length]).toEqual([0, 0]);
    }),
    { numRuns: 50 },
  );
});

test("a part that is changed afterwards, as a connection's buffer is, was copied", () => {
  const gathered = new GatheredBytes();
  const part = Buffer.from("abc");
  gathered.add(part);
  part.fill(0);
  expect(gathered.take().toString()).toBe("abc");
});
