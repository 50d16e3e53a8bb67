import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { end, identify, isRunning, parseStat } from "./processes.ts";

test("a process name with brackets and spaces does not shift the fields", () => {
  const fields = ["S", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "4711", "20"];
  expect(parseStat(`42 (a) b) (c) ${fields.join(" ")}`)).toEqual({ state: "S", startTime: "4711" });
  expect(parseStat("")).toBeUndefined();
});

test("a process that ignores SIGTERM is ended all the same, and another one that got its id is left alone", async () => {
  const child = spawn("sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const id = await identify(child.pid ?? 0);
  expect(id).toBeDefined();
  if (!id) return;
  await end({ ...id, startTime: "1" }); // as recorded before a reboot
  expect(await isRunning(id)).toBe(true);
  await end(id, "SIGTERM", 100);
  expect(await isRunning(id)).toBe(false);
});
