import { expect, test } from "vitest";
import { DNS_ADDRESS, internetCorefile, zoneFile } from "../internet/addresses.ts";
import { wiring } from "../internet/internet.ts";
import { containersConf, storageConf } from "../podman/config.ts";
import { corefileWithLocalInternet } from "./dns.ts";
import { STORAGE_CLASS, storageFolders, storageObjects } from "./storage.ts";

test("names outside the cluster are asked of the local internet and of nobody else", () => {
  const corefile = ".:53 {\n    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n}\n";
  const changed = corefileWithLocalInternet(corefile);
  expect(changed).toContain(`forward . ${DNS_ADDRESS} {`);
  expect(changed).not.toContain("/etc/resolv.conf");
  expect(corefileWithLocalInternet(changed)).toBe(changed);
  expect(() => corefileWithLocalInternet(".:53 {}")).toThrow("forward");
});

test("every volume lies in a folder of its own, which the node gets", () => {
  const volumes: { spec: { local: { path: string }; storageClassName: string } }[] = JSON.parse(JSON.stringify(storageObjects()));
  expect(volumes.map((volume) => volume.spec.local.path)).toEqual(storageFolders);
  expect(new Set(storageFolders).size).toBe(storageFolders.length);
  expect(new Set(volumes.map((volume) => volume.spec.storageClassName))).toEqual(new Set([STORAGE_CLASS.metadata.name]));
});

test("the internet's zone is served where it is asked for, and every other name does not exist", () => {
  const corefile = internetCorefile("/s/zone");
  expect(corefile.match(/bind 203\.0\.113\.53/g)).toHaveLength(2);
  expect(corefile.indexOf("file /s/zone")).toBeLessThan(corefile.indexOf("template"));
  expect(zoneFile()).toMatch(/^www IN A 203\.0\.113\.10$/m);
});

test("the wire's commands touch the cluster's side and the internet's namespace, each its own", () => {
  const lines = wiring().map((argv) => argv.join(" "));
  expect(lines).toContain("ip route add 203.0.113.0/24 via 192.0.2.2");
  expect(lines).toContain("nsenter --net=/run/netns/kappa-internet -- ip addr add 203.0.113.10/32 dev lo");
});

test("podman is told a folder of ours for everything that it keeps", () => {
  const text = containersConf("/s/podman") + storageConf("/s/podman");
  const folders = [...text.matchAll(/= \[?"(\/[^"]+)"/g)].map((match) => match[1]);
  expect(folders).toHaveLength(7);
  for (const path of folders) expect(path).toMatch(/^\/s\/podman\//);
});
