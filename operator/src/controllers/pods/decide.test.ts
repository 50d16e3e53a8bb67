import { describe, expect, test } from "vitest";
import { FINISHED_GRACE_MS, type PodObject, sweepDelay } from "./decide.ts";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const pod = (phase: string, finishedAt?: string, deletionTimestamp?: string): PodObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "n", ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
  status: { phase, ...(finishedAt === undefined ? {} : { containerStatuses: [{ state: { terminated: { finishedAt } } }] }) },
});

describe("sweepDelay", () => {
  test.each(["Pending", "Running", "Unknown"])("leaves a pod alone that is %s", (phase) => {
    expect(sweepDelay(pod(phase), NOW, NOW)).toBeUndefined();
  });

  test("leaves a pod alone that is being deleted already", () => {
    expect(sweepDelay(pod("Failed", "2026-01-01T00:00:00Z", "2026-01-01T00:09:00Z"), NOW, NOW)).toBeUndefined();
  });

  test.each(["Succeeded", "Failed"])("lets a pod that %s be read for a minute after its end", (phase) => {
    expect(sweepDelay(pod(phase, "2026-01-01T00:09:40Z"), NOW, NOW)).toBe(FINISHED_GRACE_MS - 20_000);
    expect(sweepDelay(pod(phase, "2026-01-01T00:08:00Z"), NOW, NOW)).toBe(0);
  });

  test("counts from when it was seen when the pod does not say when it ended, as an evicted one", () => {
    expect(sweepDelay(pod("Failed"), NOW - 10_000, NOW)).toBe(FINISHED_GRACE_MS - 10_000);
  });

  test("does not wait for a node whose clock is ahead", () => {
    expect(sweepDelay(pod("Failed", "2026-01-01T05:00:00Z"), NOW - FINISHED_GRACE_MS, NOW)).toBe(0);
  });
});
