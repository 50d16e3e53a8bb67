import * as lambda from "@aws-sdk/client-lambda";
import { describe, expect, test } from "vitest";
import { LastUpdateStatus, LastUpdateStatusReasonCode, Reason, State, StateReasonCode } from "./reasons.ts";

describe("what SDKs and waiters read is in Lambda's own model", () => {
  test.each([
    ["State", State, lambda.State],
    ["StateReasonCode", StateReasonCode, lambda.StateReasonCode],
    ["LastUpdateStatus", LastUpdateStatus, lambda.LastUpdateStatus],
    ["LastUpdateStatusReasonCode", LastUpdateStatusReasonCode, lambda.LastUpdateStatusReasonCode],
  ])("%s", (_name, ours, theirs) => {
    expect(Object.values(theirs)).toEqual(expect.arrayContaining(Object.values(ours)));
  });
});

test("reasons of conditions are words that the API server accepts as such", () => {
  for (const reason of Object.values(Reason)) expect(reason).toMatch(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/);
});
