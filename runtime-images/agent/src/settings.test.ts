import { expect, test } from "vitest";
import { readSettings } from "./settings.ts";

const POD = {
  KAPPA_GATEWAY_HOST: "kappa-gateway-agents.kappa-system.svc.cluster.local.",
  KAPPA_GATEWAY_PORT: "8081",
  KAPPA_RUNTIME: "python3.11",
  POD_NAME: "f-abc",
  POD_NAMESPACE: "team",
};

test("addresses of gateways to dial first are optional, and each has to be host:port", () => {
  expect(readSettings(POD).gatewayAddresses).toEqual([]);
  expect(readSettings({ ...POD, KAPPA_GATEWAY_ADDRESSES: "10.0.0.1:8081,[fd00::1]:8081" }).gatewayAddresses).toEqual([
    "10.0.0.1:8081",
    "[fd00::1]:8081",
  ]);
  expect(() => readSettings({ ...POD, KAPPA_GATEWAY_ADDRESSES: "10.0.0.1" })).toThrow('KAPPA_GATEWAY_ADDRESSES has "10.0.0.1"');
});

test("what an environment pod sets is enough", () => {
  expect(readSettings(POD)).toMatchObject({
    gatewayPort: 8081,
    tokenFile: "/var/run/secrets/kappa.dev/gateway/token",
    roleFolder: "/var/run/secrets/kubernetes.io/serviceaccount",
    taskRoot: "/var/task",
    unpackRoot: "/var/task",
    maxFileBytes: 512 * 1024 * 1024,
    tmp: "/tmp",
    runtimeRoot: "/var/runtime",
    runtimeApiPort: 9001,
    cgroupRoot: "/sys/fs/cgroup",
    withoutGatewayMs: 600_000,
    inherited: {},
  });
});

test("a package is unpacked under the name by which its folder can be written", () => {
  expect(readSettings({ ...POD, KAPPA_UNPACK_ROOT: "/kappa/volumes/task" })).toMatchObject({
    taskRoot: "/var/task",
    unpackRoot: "/kappa/volumes/task",
  });
  expect(readSettings({ ...POD, KAPPA_TASK_ROOT: "/elsewhere" }).unpackRoot).toBe("/elsewhere");
});

test("a file may be as large as the function's ephemeral storage", () => {
  expect(readSettings({ ...POD, KAPPA_EPHEMERAL_STORAGE_MB: "10240" }).maxFileBytes).toBe(10 * 1024 ** 3);
  expect(() => readSettings({ ...POD, KAPPA_EPHEMERAL_STORAGE_MB: "512Mi" })).toThrow("KAPPA_EPHEMERAL_STORAGE_MB is");
});

test("of the pod's variables a function sees where the Kubernetes API is, and nothing else", () => {
  const pod = { ...POD, KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443", KUBERNETES_PORT: "tcp://10.96.0.1:443" };
  expect(readSettings(pod).inherited).toEqual({ KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" });
});

test("a pod of a pool says so, and any pod whether its runtime starts at once, and for which heap", () => {
  expect(readSettings(POD)).toMatchObject({ pooled: false, zygoteHeapMb: undefined });
  expect(readSettings({ ...POD, KAPPA_ZYGOTE_HEAP_MB: "0" })).toMatchObject({ pooled: false, zygoteHeapMb: 0 });
  expect(readSettings({ ...POD, KAPPA_POOLED: "1", KAPPA_ZYGOTE_HEAP_MB: "512" })).toMatchObject({ pooled: true, zygoteHeapMb: 512 });
  expect(() => readSettings({ ...POD, KAPPA_ZYGOTE_HEAP_MB: "yes" })).toThrow("KAPPA_ZYGOTE_HEAP_MB is");
  expect(() => readSettings({ ...POD, KAPPA_POOLED: "yes" })).toThrow("KAPPA_POOLED is");
});

test("everything that is missing or wrong is named at once", () => {
  expect(() => readSettings({ ...POD, KAPPA_GATEWAY_HOST: "", KAPPA_GATEWAY_PORT: "99999", POD_NAME: undefined })).toThrow(
    /KAPPA_GATEWAY_HOST is not set; KAPPA_GATEWAY_PORT is "99999", not a whole number from 1 to 65535; POD_NAME is not set/,
  );
});
