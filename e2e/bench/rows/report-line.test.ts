import { expect, test } from "vitest";
import { reported } from "./report-line.ts";

const REPORT =
  "REPORT RequestId: 1\tDuration: 1.25 ms\tBilled Duration: 14 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 12.34 ms\t\n";

test("the handler's time and the initialisation's are read from a log's REPORT line", () => {
  expect(reported(`START RequestId: 1 Version: $LATEST\n${REPORT}`)).toEqual({ duration: 1.25, initDuration: 12.34 });
});

test("a warm event has no initialisation, and a log without its end tells nothing", () => {
  expect(reported(REPORT.replace("\tInit Duration: 12.34 ms", ""))).toEqual({ duration: 1.25, initDuration: undefined });
  expect(reported("START RequestId: 1\n")).toBeUndefined();
});
