import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseArtifacts, projectOf } from "./java.ts";

const committed = readFileSync(join(import.meta.dirname, "../../../runtime-images/java17/client.json"), "utf8");
const ONE = { group: "g.h", artifact: "a-b", version: "1.0", sha256: "0".repeat(64) };

test("every jar of the committed list is pinned, and AWS's client, its interfaces and its serialisation are among them", () => {
  const artifacts = parseArtifacts(committed);
  expect(artifacts.map(({ artifact }) => artifact)).toEqual(
    expect.arrayContaining(["aws-lambda-java-core", "aws-lambda-java-runtime-interface-client", "aws-lambda-java-serialization"]),
  );
  for (const { version } of artifacts) expect(version).toMatch(/^\d+(\.\d+)+$/);
});

test("a list that says something else than coordinates and digests is refused", () => {
  expect(parseArtifacts(JSON.stringify([ONE]))).toEqual([ONE]);
  for (const wrong of [{ ...ONE, sha256: "0" }, { ...ONE, version: "[1,2)" }, { ...ONE, artifact: "a</artifactId>" }, { artifact: "a" }])
    expect(() => parseArtifacts(JSON.stringify([wrong]))).toThrow();
});

test("Maven is asked for exactly what is listed", () => {
  expect(projectOf([ONE, { ...ONE, artifact: "c" }])).toContain(
    "<dependencies>" +
      "<dependency><groupId>g.h</groupId><artifactId>a-b</artifactId><version>1.0</version></dependency>" +
      "<dependency><groupId>g.h</groupId><artifactId>c</artifactId><version>1.0</version></dependency>" +
      "</dependencies>",
  );
});
