import { expect, test } from "vitest";
import { isOurs, mountsBelow } from "./remains.ts";

test("mounts in the state folder are found, and those beside it are not", () => {
  const mountinfo = `22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:40 / /s/kappa/podman/root/overlay rw - overlay overlay rw
41 22 0:41 / /s/kappa-other/x rw - tmpfs tmpfs rw
`;
  expect(mountsBelow(mountinfo, ["/s/kappa"])).toEqual(["/s/kappa/podman/root/overlay"]);
});

test("a process that works with the cluster's files is the cluster's; one that reads its log is a person's", () => {
  const paths = { podman: "/s/kappa/podman", relays: "/s/kappa/relays", internet: "/s/kappa/internet" };
  expect(isOurs({ commandLine: ["conmon", "-r", "/s/kappa/podman/oci-runtime"] }, paths)).toBe(true);
  expect(isOurs({ commandLine: ["socat", "TCP4-LISTEN:1", "UNIX-CONNECT:/s/kappa/relays/1.sock"] }, paths)).toBe(true);
  expect(isOurs({ commandLine: ["tail", "-f", "/s/kappa/audit/audit.log"] }, paths)).toBe(false);
});
