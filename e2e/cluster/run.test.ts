import { expect, test } from "vitest";
import { attempt, CommandError, run, waitFor, wordsOf } from "./run.ts";

test("a failing command is told with its exit code and its last words", async () => {
  const failing = run(["sh", "-c", "echo before; echo broken >&2; exit 3"]);
  await expect(failing).rejects.toBeInstanceOf(CommandError);
  await expect(failing).rejects.toThrow(/exit code 3\n\s+broken/);
});

test("a command that does not exist and one that takes too long are told as what they are", async () => {
  expect(await attempt(["kappa-no-such-program"])).toMatchObject({ exitCode: 127, reason: "ENOENT" });
  expect((await attempt(["sleep", "60"], { timeoutMs: 50 })).reason).toMatch(/^not done within/);
});

test("of a command that enters namespaces first, a person reads the command", () => {
  expect(wordsOf(["sh", "-c", 'echo $$ >x; exec "$@"', "kappa", "nsenter", "--target", "1", "--", "podman", "ps"])).toBe("podman ps");
  expect(wordsOf(["go", "build"])).toBe("go build");
});

test("waiting ends with the first answer, or says what did not come", async () => {
  let asked = 0;
  expect(await waitFor("it", 1_000, async () => (++asked === 3 ? "there" : undefined), 1)).toBe("there");
  await expect(waitFor("the moon", 10, async () => undefined, 1)).rejects.toThrow("the moon: not within");
});
