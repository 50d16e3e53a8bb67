import { expect, test } from "vitest";
import { cgroupName, joiningCgroup, parseHierarchies } from "./cgroups.ts";

const HYBRID = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 22 0:25 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
33 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
`;

test("each cgroup hierarchy of a hybrid system is found with the options that mount it again", () => {
  expect(parseHierarchies(HYBRID)).toEqual([
    { mountPoint: "/sys/fs/cgroup/cpu,cpuacct", type: "cgroup", options: "cpu,cpuacct" },
    // Without "none" the kernel takes a named hierarchy for one with all controllers.
    { mountPoint: "/sys/fs/cgroup/systemd", type: "cgroup", options: "none,name=systemd" },
    { mountPoint: "/sys/fs/cgroup/unified", type: "cgroup2", options: "" },
  ]);
});

test("a process joins every hierarchy before it becomes the command, and the leaf where cgroup v2 allows no process above", () => {
  const [flag, script, ...rest] = joiningCgroup(parseHierarchies(HYBRID), "kappa-1");
  expect([flag, rest]).toEqual(["-c", ["kappa"]]);
  expect(script).toBe(
    "echo $$ >/sys/fs/cgroup/cpu,cpuacct/kappa-1/cgroup.procs; echo $$ >/sys/fs/cgroup/systemd/kappa-1/cgroup.procs; " +
      'echo $$ >/sys/fs/cgroup/unified/kappa-1/init/cgroup.procs; exec "$@"',
  );
});

test("a namespace takes the cluster's cgroup as its root, not the leaf", () => {
  const [, script] = joiningCgroup(parseHierarchies(HYBRID), "kappa-1", true);
  expect(script).toContain("/sys/fs/cgroup/unified/kappa-1/cgroup.procs");
});

test("two state folders never share a cgroup, and one always has the same", () => {
  expect(cgroupName("/a/kappa")).toBe(cgroupName("/a/kappa"));
  expect(cgroupName("/a/kappa")).not.toBe(cgroupName("/b/kappa"));
});
