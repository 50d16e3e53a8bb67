import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { checkPortsFree, type Facts, olderThan, problemsOf } from "./requirements.ts";

const GIB = 2 ** 30;
const good: Facts = {
  userId: 0,
  platform: "linux",
  arch: "x64",
  system: ["debian"],
  memoryBytes: 8 * GIB,
  freeBytes: { "/cache": 50 * GIB },
  goVersion: "1.26.8",
  goNeeded: "1.26.0",
  fileSystems: ["overlay", "ext4"],
  controllers: ["cpu", "cpuset", "memory", "pids"],
  namespaces: true,
  missingPackages: ["socat"],
  aptGet: true,
};

test("a good machine has no problem, and packages that apt-get installs are none", () => {
  expect(problemsOf(good, "podman")).toEqual([]);
});

describe("each missing requirement is named with its remedy", () => {
  test.each<[string, Partial<Facts>, RegExp, RegExp]>([
    ["not root", { userId: 1000 }, /not root/, /as root/],
    ["another system", { system: ["fedora"] }, /"fedora"/, /Debian 12|KAPPA_ENGINE=docker/],
    ["little memory", { memoryBytes: 2 * GIB }, /2\.0 GiB of memory/, /at least/],
    ["little disk", { freeBytes: { "/cache": GIB } }, /\/cache has 1\.0 GiB free/, /XDG_CACHE_HOME/],
    ["no Go", { goVersion: undefined }, /no Go/, /install Go 1\.26\.0/],
    ["old Go", { goVersion: "1.25.9" }, /Go is 1\.25\.9/, /install Go 1\.26\.0/],
    ["no overlayfs", { fileSystems: ["ext4"] }, /overlayfs/, /modprobe overlay/],
    ["no memory controller", { controllers: ["cpu", "cpuset", "pids"] }, /missing: memory/, /cgroup/],
    ["no namespaces", { namespaces: false }, /namespaces are refused/, /CAP_SYS_ADMIN/],
    ["packages without apt-get", { aptGet: false }, /not installed: socat/, /package manager/],
  ])("%s", (_name, change, what, remedy) => {
    const problems = problemsOf({ ...good, ...change }, "podman");
    expect(problems).toHaveLength(1);
    expect(problems[0]?.what).toMatch(what);
    expect(problems[0]?.remedy).toMatch(remedy);
  });
});

test("Docker needs neither Debian nor the machine's own cgroups", () => {
  expect(problemsOf({ ...good, system: ["fedora"], controllers: [], namespaces: false, missingPackages: [] }, "docker")).toEqual([]);
});

test.each([
  ["1.26", "1.26.0", false],
  ["1.9.9", "1.26", true],
  ["1.26.8", "1.26.0", false],
  ["1.26rc1", "1.27", true],
])("Go %s is older than %s: %s", (a, b, older) => {
  expect(olderThan(a, b)).toBe(older);
});

test("a port that somebody listens on is named with the variable that chooses another one", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const taken = typeof address === "object" && address ? address.port : 0;
  await expect(checkPortsFree({ api: taken, gateway: taken, spare: taken })).rejects.toMatchObject({
    message: expect.stringContaining(`port ${taken} of 127.0.0.1 is taken`),
    remedy: expect.stringContaining("KAPPA_API_PORT"),
  });
  await new Promise((resolve) => server.close(resolve));
});
