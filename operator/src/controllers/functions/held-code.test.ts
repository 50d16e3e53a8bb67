import { describe, expect, test } from "vitest";
import type { FunctionCode, Function as LambdaFunction } from "../../api/types.generated.ts";
import { digestOf, isDigest, withoutCode } from "./held-code.ts";

const fn = (code: FunctionCode): LambdaFunction =>
  ({ metadata: { name: "f", managedFields: [{}] }, spec: { runtime: "python3.11", code } }) as unknown as LambdaFunction;
const held = (code: FunctionCode) => withoutCode(fn(code)).spec.code;

describe("a cached Function", () => {
  test("has short code, and no managed fields", () => {
    const cached = withoutCode(fn({ inline: "pass" }));
    expect(cached).toEqual({ metadata: { name: "f" }, spec: { runtime: "python3.11", code: { inline: "pass" } } });
  });

  test.each<keyof FunctionCode>(["inline", "zip"])("has the digest of long %s code instead", (kind) => {
    const text = "x".repeat(3000);
    expect(held({ [kind]: text })).toEqual({ [kind]: digestOf(text) });
    expect(isDigest(digestOf(text))).toBe(true);
  });

  test("keeps every other source as it is", () => {
    const code = { url: { url: `https://x/${"a".repeat(2000)}`, sha256: "b".repeat(64) } };
    expect(held(code)).toEqual(code);
  });

  test("has no text of a user's that could be taken for a digest", () => {
    const text = `sha256:${"a".repeat(64)}`;
    expect(held({ inline: text }).inline).not.toBe(text);
    expect(isDigest(held({ inline: text }).inline ?? "")).toBe(true);
  });
});

test("the digest of a digest is itself, so that the code and what is cached of it are the same code", () => {
  expect(digestOf(digestOf("x"))).toBe(digestOf("x"));
  expect(digestOf("x")).not.toBe(digestOf("y"));
});
