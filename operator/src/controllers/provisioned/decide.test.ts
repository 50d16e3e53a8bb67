import { describe, expect, test } from "vitest";
import type { PodObject } from "../pods/decide.ts";
import { failureOf, type Progress, podOf, provisionedStatus, retryIn } from "./decide.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const clock = { now: () => NOW };
const later = { now: () => NOW + 60_000 };
const pod = (status: PodObject["status"], metadata: Partial<PodObject["metadata"]> = {}): PodObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", uid: "u", annotations: { "kappa.dev/provisioned": "7", "kappa.dev/template": "t" }, ...metadata },
  ...(status === undefined ? {} : { status }),
});
const initialized = (status: string, message = "") => ({ type: "kappa.dev/Initialized", status, reason: "Why", message });
const ended = (terminated: { reason?: string; message?: string }) => ({ phase: "Failed", containerStatuses: [{ state: { terminated } }] });

describe("a pod of provisioned concurrency", () => {
  test.each<[string, PodObject["status"]]>([
    ["starting", undefined],
    ["starting", { phase: "Pending" }],
    ["unschedulable", { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] }],
    ["initialized", { phase: "Running", conditions: [initialized("True")] }],
    ["failed", { phase: "Running", conditions: [initialized("False")] }],
    ["ended", { phase: "Failed", conditions: [initialized("True")] }],
    ["ended", { phase: "Succeeded" }],
  ])("is %s", (state, status) => {
    expect(podOf(pod(status))).toEqual({ name: "p", uid: "u", qualifier: "7", template: "t", state });
  });

  test("does not count while it is being deleted, nor does any other pod", () => {
    expect(podOf(pod(undefined, { deletionTimestamp: "2026-01-31T12:00:00Z" }))).toBeUndefined();
    expect(podOf(pod(undefined, { annotations: {} }))).toBeUndefined();
  });

  test("failed when its function said so, or when it ended before it could take events", () => {
    expect(failureOf(pod({ phase: "Running", conditions: [initialized("False", "Runtime.ImportModuleError: no index")] }))).toBe(
      "Runtime.ImportModuleError: no index",
    );
    expect(failureOf(pod(ended({ reason: "OOMKilled" })))).toBe("A pod ended before it could take events: OOMKilled");
    expect(failureOf(pod({ phase: "Failed", message: "The node was low on resource: memory." }))).toContain("low on resource");
    expect(failureOf(pod({ phase: "Failed" }))).toBe("A pod ended before it could take events.");
  });

  test("did not fail when it could take events before it ended, nor while it starts", () => {
    expect(failureOf(pod({ ...ended({ reason: "Completed" }), conditions: [initialized("True")] }))).toBeUndefined();
    expect(failureOf(pod({ phase: "Pending" }))).toBeUndefined();
  });
});

describe("a start that failed", () => {
  const failure = (times: number) => ({ times, reason: "x", at: NOW });
  test.each([
    [1, 10_000],
    [2, 20_000],
    [5, 160_000],
    [50, 300_000],
  ])("for the %ith time is tried again after %i ms", (times, ms) => {
    expect(retryIn(failure(times), NOW)).toBe(ms);
    expect(retryIn(failure(times), NOW + ms)).toBe(0);
  });

  test("that did not happen is not waited for", () => {
    expect(retryIn(undefined, NOW)).toBe(0);
  });
});

describe("the status of provisioned concurrency", () => {
  const statusOf = (progress: Partial<Progress>) => provisionedStatus({ requested: 3, initialized: 0, ...progress }, undefined, clock);

  test("is IN_PROGRESS until as many are initialised as were asked for, then READY", () => {
    expect(statusOf({ initialized: 2 })).toEqual({
      requestedProvisionedConcurrentExecutions: 3,
      allocatedProvisionedConcurrentExecutions: 2,
      status: "IN_PROGRESS",
      lastModified: "2026-01-31T12:00:00.000+0000",
    });
    expect(statusOf({ initialized: 3 })).toMatchObject({ status: "READY", allocatedProvisionedConcurrentExecutions: 3 });
  });

  test("says what it waits for", () => {
    expect(statusOf({ waiting: "No node has room." })).toMatchObject({ status: "IN_PROGRESS", statusReason: "No node has room." });
  });

  test("is FAILED with Lambda's refusal, or with the function's own error", () => {
    const failure = { times: 1, reason: "Runtime.ExitError", at: NOW };
    expect(statusOf({ refusal: "too much" })).toMatchObject({ status: "FAILED", statusReason: "too much" });
    expect(statusOf({ failure, waiting: "x" })).toMatchObject({ status: "FAILED", statusReason: "Runtime.ExitError" });
    expect(statusOf({ failure, initialized: 3 })).not.toHaveProperty("statusReason");
    expect(statusOf({ refusal: "x".repeat(5000) })?.statusReason).toHaveLength(1024);
  });

  test("stable: no writes, and the time is that of the declaration", () => {
    const first = statusOf({ initialized: 2 });
    expect(provisionedStatus({ requested: 3, initialized: 2 }, first, later)).toBeUndefined();
    expect(provisionedStatus({ requested: 3, initialized: 3 }, first, later)?.lastModified).toBe(first?.lastModified);
    expect(provisionedStatus({ requested: 4, initialized: 2 }, first, later)?.lastModified).toBe("2026-01-31T12:01:00.000+0000");
  });
});
