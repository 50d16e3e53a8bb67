/** Programs that bring their own runtime to provided.al2023: AWS's package for Go, and a loop in shell. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, kubectl, must, root } from "../../support/cluster.ts";
import { lambdaClient } from "../../support/lambda.ts";
import { codeOf, filesCode, lambdaFunction } from "../support/functions.ts";
import { goPackage } from "../support/packages.ts";
import { filesBelow } from "../support/zip.ts";
import { invokeRaw, newFolder, programFolder, removeFolder, unpacked } from "./program.ts";

const folder = newFolder();
const client = lambdaClient();
const go = "e2e-programs-go";
const shell = "e2e-programs-shell";
let program = "";

beforeAll(async () => {
  const zip = await goPackage(programFolder("go-invoice"));
  program = unpacked(zip, folder, "invoice");
  const goCode = await codeOf("programs-go-invoice.zip", zip);
  await applyAndWait(
    lambdaFunction(go, "provided.al2023", "bootstrap", goCode, { memorySize: 256, timeout: 10 }),
    lambdaFunction(shell, "provided.al2023", "words.count", filesCode(await filesBelow(programFolder("shell-words"))), { timeout: 10 }),
  );
});
afterAll(async () => {
  removeFolder(folder);
  await deleteFunctions(go, shell);
});

describe("aws-lambda-go", () => {
  const order = JSON.stringify({
    id: "2026-π",
    ordered: "2026-01-30T10:00:00+01:00",
    items: [
      { article: "nail", quantity: 1000, cents: 2 },
      { article: "hammer", quantity: 1, cents: 1999 },
      { article: "saw <fine>", quantity: 2, cents: 2450 },
      { article: "plank", quantity: 12, cents: 849 },
    ],
  });

  test("a typed event becomes the invoice that the same program makes here", async () => {
    const answer = await invokeRaw(client, go, order);
    expect(answer.functionError, answer.text).toBeUndefined();
    const { caller, ...invoice } = JSON.parse(answer.text);
    expect(caller).toBeDefined();
    const local = await must(join(program, "bootstrap"), ["local"], { input: order });
    // Byte by byte but for the invocation's own part, which is the last field.
    expect(answer.text.replace(`,"caller":${JSON.stringify(caller)}`, "")).toBe(local);
    expect(invoice.best).toEqual(["plank", "saw <fine>", "nail"]);
  });

  test("the context tells request id, ARN, client context, deadline, and whose environment it is", async () => {
    const arn = await kubectl("get", "function", go, "-o", "jsonpath={.status.functionArn}");
    const answer = await invokeRaw(client, go, order, {
      ClientContext: Buffer.from(JSON.stringify({ custom: { tenant: "größe" } })).toString("base64"),
    });
    expect(JSON.parse(answer.text).caller).toEqual({
      requestId: answer.requestId,
      arn,
      function: go,
      version: "$LATEST",
      memoryMB: 256,
      custom: { tenant: "größe" },
      hasTime: true,
    });
  });

  test("an error is told by the name of its Go type", async () => {
    const answer = await invokeRaw(client, go, '{"id":"7","ordered":"2026-01-30T10:00:00Z","items":[]}');
    expect(answer.functionError).toBe("Unhandled");
    expect(JSON.parse(answer.text)).toMatchObject({ errorType: "EmptyOrder", errorMessage: "order 7 is empty" });
  });
});

describe("a bootstrap in shell", () => {
  const here = (event: string) =>
    must("bash", ["-c", 'source words.sh; count "$(cat)"'], { input: event, cwd: programFolder("shell-words") });

  test("gets the event's very bytes and answers what the same function prints here", async () => {
    const event = JSON.stringify({ text: readFileSync(join(root, "README.md"), "utf8"), "'quotes'": '"\\`$(date)' });
    const answer = await invokeRaw(client, shell, event);
    expect(answer.functionError, answer.text).toBeUndefined();
    // The shell's here-string ends what it posts with a line end.
    expect(answer.text).toBe(`${await here(event)}\n`);
  });

  test("fails with the error that it posts, and serves the next event", async () => {
    const failed = await invokeRaw(client, shell, '"fail"');
    expect(failed.functionError).toBe("Unhandled");
    expect(JSON.parse(failed.text)).toEqual({ errorMessage: "the handler ended with 7", errorType: "Shell.Status" });
    const answer = await invokeRaw(client, shell, '"one two two"');
    expect(answer.text).toBe(`${await here('"one two two"')}\n`);
    expect(answer.log).toContain("an event of 13 bytes\n");
  });
});
