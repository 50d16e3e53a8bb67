import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { functionArn, parseFunctionReference } from "./arns.ts";
import { KappaError } from "./errors.ts";

const name = fc.stringMatching(/^[a-zA-Z0-9_-]{1,64}$/);
const account = fc.stringMatching(/^[0-9]{12}$/);
const region = fc.constantFrom("us-east-1", "eu-central-1", "us-gov-west-1", "us-iso-east-1");
const qualifier = fc.option(
  fc.oneof(fc.constant("$LATEST"), fc.stringMatching(/^[1-9][0-9]{0,4}$/), fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_-]{0,30}$/)),
  {
    nil: undefined,
  },
);

describe("parseFunctionReference", () => {
  test.each([
    ["a plain name", "hello", { functionName: "hello" }],
    ["a name with a version", "hello:7", { functionName: "hello", qualifier: "7" }],
    ["a name with $LATEST", "hello:$LATEST", { functionName: "hello", qualifier: "$LATEST" }],
    ["a partial ARN", "123456789012:function:hello", { functionName: "hello", accountId: "123456789012" }],
    [
      "a partial ARN with an alias",
      "123456789012:function:hello:PROD",
      { functionName: "hello", accountId: "123456789012", qualifier: "PROD" },
    ],
    [
      "a full ARN",
      "arn:aws:lambda:us-east-1:123456789012:function:My_Fn",
      { functionName: "My_Fn", accountId: "123456789012", region: "us-east-1" },
    ],
    [
      "a full ARN of another partition",
      "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f:1",
      { functionName: "f", accountId: "123456789012", region: "us-gov-west-1", qualifier: "1" },
    ],
  ])("reads %s", (_, text, expected) => {
    expect(parseFunctionReference(text)).toEqual(expected);
  });

  test("takes the qualifier from the parameter when the name has none", () => {
    expect(parseFunctionReference("hello", "PROD")).toEqual({ functionName: "hello", qualifier: "PROD" });
  });

  test("accepts the same qualifier twice", () => {
    expect(parseFunctionReference("hello:1", "1")).toEqual({ functionName: "hello", qualifier: "1" });
  });

  test("refuses two qualifiers that contradict each other, in Lambda's words", () => {
    expect(() => parseFunctionReference("hello:1", "2")).toThrow(
      "The derived qualifier from the function name does not match the specified qualifier.",
    );
  });

  test.each([
    "",
    "he llo",
    "a/b",
    "hello:",
    ":1",
    "hello:$latest",
    "arn:aws:s3:::bucket",
    "a".repeat(65),
    `hello:${"q".repeat(129)}`,
    "hello\n",
  ])("refuses %j with a 400", (text) => {
    expect(() => parseFunctionReference(text)).toThrow(KappaError);
    try {
      parseFunctionReference(text);
    } catch (error) {
      expect(error).toMatchObject({ code: "K103" });
    }
  });

  test("refuses a malformed Qualifier parameter", () => {
    expect(() => parseFunctionReference("hello", "a b")).toThrow("at 'qualifier'");
  });

  test("does not echo a reference of any length", () => {
    expect(() => parseFunctionReference("x".repeat(100_000))).toThrow(/^.{1,400}$/);
  });

  test("reads back every ARN that functionArn writes", () => {
    fc.assert(
      fc.property(region, account, name, qualifier, (r, a, n, q) => {
        const arn = functionArn({ region: r, accountId: a, functionName: n, qualifier: q });
        const expected = { functionName: n, accountId: a, region: r, ...(q === undefined ? {} : { qualifier: q }) };
        expect(parseFunctionReference(arn)).toEqual(expected);
      }),
    );
  });

  test("either refuses a text with K103 or returns a name that is valid", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        try {
          expect(parseFunctionReference(text).functionName).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
        } catch (error) {
          expect(error).toMatchObject({ code: "K103" });
        }
      }),
    );
  });
});
