import fc from "fast-check";
import { expect, test } from "vitest";
import { checkJson, JsonChecker } from "./json-document.ts";

function inPieces(text: string, size: number): string | undefined {
  const bytes = Buffer.from(text);
  const checker = new JsonChecker();
  for (let i = 0; i < bytes.length; i += size) {
    const problem = checker.push(bytes.subarray(i, i + size));
    if (problem !== undefined) return problem;
  }
  return checker.end();
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("accepts every document that JSON.parse accepts, in pieces of any size", () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 1, max: 7 }), fc.boolean(), (json, size, indented) => {
      const text = indented ? JSON.stringify(JSON.parse(json), null, 2) : json;
      expect(inPieces(text, size)).toBeUndefined();
    }),
  );
});

test("agrees with JSON.parse on documents damaged at one place", () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:\\0123.eE+-tnf \n\u0001x'), fc.boolean(), (json, at, char, insert) => {
      const i = at % (json.length + 1);
      const damaged = json.slice(0, i) + char + json.slice(insert ? i : i + 1);
      expect(inPieces(damaged, 3) === undefined, damaged).toBe(parses(damaged));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["nothing", ""],
  ["two documents", "{} {}"],
  ["a trailing comma", '{"a":1,}'],
  ["a number with a leading zero", "01"],
  ["a bare minus", "-"],
  ["an unknown word", "nul"],
  ["an unclosed string", '"abc'],
  ["a mismatched bracket", "[1}"],
  ["a control character in a string", '"a\nb"'],
  ["a bad escape", '"\\x"'],
  ["a short unicode escape", '"\\u12"'],
])("refuses %s, small and as the end of something large", async (_, text) => {
  expect(checkJson(Buffer.from(text))).toMatch(/^Could not parse payload into json: /);
  const large = Buffer.from(`[${JSON.stringify("x".repeat(40_000))},${text === "" ? "" : text}`);
  expect(await checkJson(large)).toMatch(/^Could not parse payload into json: /);
});

test("checks large payloads without holding the event loop, and finds what is wrong in the last slice", async () => {
  const good = Buffer.from(JSON.stringify({ data: "ab".repeat(500_000), list: [1, 2, { deep: [true, null] }] }));
  expect(await checkJson(good)).toBeUndefined();
  const bad = Buffer.from(good);
  bad[bad.length - 1] = 0x5d;
  expect(await checkJson(bad)).toContain(`position ${bad.length - 1}`);
  let turns = 0;
  const pending = checkJson(good);
  setImmediate(() => turns++);
  await pending;
  expect(turns).toBe(1);
});

test("refuses bytes that are not UTF-8, small and large", async () => {
  expect(checkJson(Buffer.from([0x22, 0xff, 0x22]))).toContain("UTF-8");
  const large = Buffer.concat([Buffer.from(JSON.stringify("x".repeat(50_000))), Buffer.from([0xff])]);
  expect(await checkJson(large)).toContain("UTF-8");
});
