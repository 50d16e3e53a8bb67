import { execFileSync } from "node:child_process";
import { constants } from "node:os";
import { expect, test } from "vitest";
import { startCommand } from "./start-command.ts";

test("a program starts with the limits, the priority and the ignored signal, and with its variables as they are", () => {
  const [file, ...args] = startCommand("/usr/bin/env", 3 * 1024 * 1024);
  // Run as nothing but env, it prints what it was given.
  const env = { A: "ü 'quoted' $HOME", EMPTY: "", PATH: "/nowhere" };
  expect(execFileSync(file, args, { env, encoding: "utf8" }).split("\n")).toEqual(
    expect.arrayContaining(["A=ü 'quoted' $HOME", "EMPTY=", "PATH=/nowhere"]),
  );
  const [shell, ...rest] = startCommand("/bin/sh", 3 * 1024 * 1024);
  const input = "ulimit -n; ulimit -Hn; ulimit -f; ulimit -Hf; nice; grep ^SigIgn: /proc/self/status";
  const [open, openHard, blocks, blocksHard, nice, ignored] = execFileSync(shell, rest, { input, encoding: "utf8" }).split("\n");
  expect([open, openHard, blocks, nice]).toEqual(["1024", "1024", "6144", "19"]);
  expect(blocksHard).not.toBe("6144");
  expect(Number.parseInt(ignored?.split("\t")[1] ?? "", 16) & (1 << (constants.signals.SIGXFSZ - 1))).not.toBe(0);
});

test("in an image without a shell or without nice, it is started as it is", () => {
  expect(startCommand("/var/runtime/bootstrap", 1, (path) => path === "/bin/sh")).toEqual(["/var/runtime/bootstrap"]);
  expect(startCommand("/var/runtime/bootstrap", 1, () => false)).toEqual(["/var/runtime/bootstrap"]);
});
