import { expect, test } from "vitest";
import { needsFreshStart, startsAhead } from "./start-variables.ts";

const ZYGOTE = { LANG: "en_US.UTF-8", TZ: ":UTC", LD_LIBRARY_PATH: "/lib64", NODE_PATH: "/var/runtime", PATH: "/bin" };
const RUNTIME = { ...ZYGOTE, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128", GREETING: "hello", HOME: "/tmp" };

test("a function that sets none of them takes the zygote", () => {
  expect(needsFreshStart(ZYGOTE, RUNTIME)).toBe(false);
  expect(needsFreshStart(ZYGOTE, { ...RUNTIME, PATH: "/opt/tools", MY_NODE_OPTIONS: "x", LANGUAGES: "x", AWS_LAMBDA_EXEC: "x" })).toBe(
    false,
  );
});

test("one that sets what the zygote was started with takes it too", () => {
  expect(needsFreshStart(ZYGOTE, { ...RUNTIME, TZ: ":UTC" })).toBe(false);
});

test.each([
  "NODE_OPTIONS",
  "NODE_EXTRA_CA_CERTS",
  "NODE_PATH",
  "UV_THREADPOOL_SIZE",
  "PYTHONPATH",
  "PYTHONHASHSEED",
  "JAVA_TOOL_OPTIONS",
  "JDK_JAVA_OPTIONS",
  "_JAVA_OPTIONS",
  "LD_PRELOAD",
  "LD_LIBRARY_PATH",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "TZ",
  "MALLOC_ARENA_MAX",
  "GLIBC_TUNABLES",
  "OPENSSL_CONF",
  "SSL_CERT_FILE",
  "AWS_LAMBDA_EXEC_WRAPPER",
])("%s gets a process of its own", (name) => {
  expect(needsFreshStart(ZYGOTE, { ...RUNTIME, [name]: "another" })).toBe(true);
});

test("a heap of another size needs another process, where the zygote was started for one", () => {
  const zygote = { ...ZYGOTE, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128" };
  expect(needsFreshStart(zygote, RUNTIME)).toBe(false);
  expect(needsFreshStart(zygote, { ...RUNTIME, AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256" })).toBe(true);
});

test.each([
  ["nodejs24.x", { GREETING: "hello" }, true],
  ["python3.11", {}, true],
  ["nodejs22.x", { NODE_OPTIONS: "--enable-source-maps" }, false],
  ["python3.11", { TZ: "Europe/Paris" }, false],
  ["java17", {}, false],
  ["provided.al2023", {}, false],
])("the pod of a function of %s with %j starts its runtime at once: %s", (runtime, environment, ahead) => {
  expect(startsAhead({ runtime, environment })).toBe(ahead);
});
