import { expect, test } from "vitest";
import { containerdConfiguration, criBaseSpec, sandboxImage } from "./recipes.ts";

const KINDS = `[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.test-handler.options]
    SystemdCgroup = true
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "example.org/pause:3.10"
  restrict_oom_score_adj = false
`;

test("containerd makes every cgroup itself and lowers no OOM score", () => {
  const text = containerdConfiguration(KINDS);
  expect(text.match(/SystemdCgroup = false/g)).toHaveLength(2);
  expect(text).not.toContain("SystemdCgroup = true");
  // A key may be there only once.
  expect(text.match(/restrict_oom_score_adj/g)).toHaveLength(1);
  expect(text).toContain("restrict_oom_score_adj = true");
  expect(text).toContain("disable_apparmor = true");
});

test("a configuration of another kind version that cannot be changed is refused instead of passed on", () => {
  expect(() => containerdConfiguration("version = 3\n")).toThrow("restrict_oom_score_adj");
  expect(() => sandboxImage("version = 3\n")).toThrow("sandbox_image");
});

test("the sandbox image is the one that containerd is configured with", () => {
  expect(sandboxImage(KINDS)).toBe("example.org/pause:3.10");
});

test("containers get no limits of open files and kind's hook", () => {
  const spec = JSON.parse(criBaseSpec('{"ociVersion":"1.2","process":{"rlimits":[{"type":"RLIMIT_NOFILE"}],"cwd":"/"}}'));
  expect(spec).toEqual({
    ociVersion: "1.2",
    process: { cwd: "/" },
    hooks: { createContainer: [{ path: "/kind/bin/mount-product-files.sh" }] },
  });
});
