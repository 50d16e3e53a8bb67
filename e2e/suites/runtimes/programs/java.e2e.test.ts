/** Jackson over megabytes of JSON on java17, through both of Lambda's handler interfaces, and here. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, must } from "../../support/cluster.ts";
import { lambdaClient } from "../../support/lambda.ts";
import { codeOf, lambdaFunction } from "../support/functions.ts";
import { javaPackage } from "../support/packages.ts";
import { invokeRaw, newFolder, programFolder, removeFolder, unpacked } from "./program.ts";

const folder = newFolder();
const client = lambdaClient();
const summary = "e2e-programs-java-summary";
const fahrenheit = "e2e-programs-java-fahrenheit";
let program = "";

/** Measurements of 40 stations as JSON text of about `megabytes`; characters of several lengths in UTF-8 among them. */
function measurements(megabytes: number): string {
  const notes = ["calm", "übers Meer", "霧", "☀️", 'said "fine"', "back\\slash"];
  const list: object[] = [];
  for (let i = 0, size = 0; size < megabytes * 1e6; i++) {
    const one = {
      station: `station-${(i * 7) % 40}`,
      at: new Date(Date.UTC(2026, 0, 1) + i * 61_000).toISOString(),
      celsius: ((i * 37) % 701) / 10 - 30.5,
      humidity: (i * 13) % 101,
      notes: [notes[i % 6], notes[(i * 5) % 6]],
    };
    list.push(one);
    size += Buffer.byteLength(JSON.stringify(one)) + 1;
  }
  return JSON.stringify({ measurements: list });
}

/** The same class from the same package, run by the Java here. */
const here = (handler: string, event: string) =>
  must("java", ["-cp", `${program}:${program}/lib/*`, "-Dfile.encoding=UTF-8", "example.weather.Here", handler], { input: event });

beforeAll(async () => {
  const zip = await javaPackage(programFolder("java-jackson"));
  program = unpacked(zip, folder, "weather");
  const code = await codeOf("programs-java-jackson.zip", zip);
  const spec = { memorySize: 1769, timeout: 60 };
  await applyAndWait(
    lambdaFunction(summary, "java17", "example.weather.Summary::handleRequest", code, spec),
    lambdaFunction(fahrenheit, "java17", "example.weather.Fahrenheit", code, spec),
  );
});
afterAll(async () => {
  removeFolder(folder);
  await deleteFunctions(summary, fahrenheit);
});

test("a RequestHandler gets 5 MB as objects and sums them up as the same class does here", async () => {
  const event = measurements(5);
  const answer = await invokeRaw(client, summary, event);
  expect(answer.functionError, answer.text).toBeUndefined();
  expect(Object.keys(JSON.parse(answer.text))).toHaveLength(40);
  expect(answer.text).toBe(await here("example.weather.Summary", event));
});

test("a RequestStreamHandler reads 5 MB and writes 5 MB, the bytes that the same class writes here", async () => {
  const event = measurements(5);
  const answer = await invokeRaw(client, fahrenheit, event);
  expect(answer.functionError, answer.text.slice(0, 1000)).toBeUndefined();
  expect(answer.text.length).toBeGreaterThan(4e6);
  expect(answer.text).toBe(await here("example.weather.Fahrenheit", event));
});
