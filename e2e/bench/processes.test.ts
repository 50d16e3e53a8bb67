import { expect, test } from "vitest";
import { cpuPerCall, parseProcesses, partOf } from "./processes.ts";

const stat = (user: number, system: number) => `(node a) b) S 1 1 1 0 -1 4194560 1 0 0 0 ${user} ${system} 0 0 20`;
const look = (pid: number, command: string, user = 0, system = 0) =>
  [
    `/proc/${pid}/cmdline:${command.replaceAll(" ", "\0")}`,
    `/proc/${pid}/stat:${pid} ${stat(user, system)}`,
    `/proc/${pid}/cgroup:4:memory:/kubepods/burstable/podabc/def`,
    `/proc/${pid}/cgroup:0::/`,
    `/proc/${pid}/status:VmRSS:\t   70000 kB`,
    `/proc/${pid}/status:RssAnon:\t   20480 kB`,
  ].join("\n");

test("a process is read from its files, whatever its name has in it", () => {
  expect(parseProcesses("n", look(7, "/kappa/loader /kappa/node /kappa/agent.cjs", 12, 3))).toEqual([
    {
      pid: 7,
      node: "n",
      command: "/kappa/loader /kappa/node /kappa/agent.cjs",
      cgroup: "4:memory:/kubepods/burstable/podabc/def 0::/",
      userMs: 120,
      systemMs: 30,
      anonymousBytes: 20 * 1024 * 1024,
      residentBytes: 70_000 * 1024,
    },
  ]);
});

test("one that ended while it was looked at is left out", () => {
  expect(parseProcesses("n", "/proc/7/cmdline:sh\n/proc/8/stat:8 (kworker) S 1")).toEqual([]);
});

test("the agent is told from the init that started it, and parts from others", () => {
  expect(partOf({ command: "/kappa/loader /kappa/node /kappa/agent.cjs" })).toBe("agent");
  expect(partOf({ command: "/kappa/init -- /kappa/loader /kappa/node /kappa/agent.cjs" })).toBeUndefined();
  expect(partOf({ command: "/var/lang/bin/node --expose-gc /var/runtime/index.mjs" })).toBe("runtime");
  expect(partOf({ command: "etcd" })).toBeUndefined();
});

test("CPU is counted per call and part; what was not there before does not count", () => {
  const before = parseProcesses("n", look(7, "/kappa/loader /kappa/node /kappa/agent.cjs", 10, 0));
  const after = parseProcesses(
    "n",
    `${look(7, "/kappa/loader /kappa/node /kappa/agent.cjs", 30, 10)}\n${look(8, "/kappa/loader /kappa/node /kappa/agent.cjs", 99, 99)}`,
  );
  expect(cpuPerCall(before, after, 1_000)).toEqual(new Map([["agent", { user: 200, system: 100 }]]));
});
