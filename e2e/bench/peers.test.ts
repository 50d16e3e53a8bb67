import { expect, test } from "vitest";
import { peersFrom } from "./peers.ts";

test("no peer is measured unless it is named", () => {
  expect(peersFrom(undefined)).toEqual([]);
  expect(peersFrom("")).toEqual([]);
  expect(peersFrom(" knative,")).toEqual(["knative"]);
});

test("an unknown peer is told, not left out", () => {
  expect(() => peersFrom("knative,openfaas")).toThrow('PEERS names "openfaas"');
});
