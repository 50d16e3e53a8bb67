import { describe, expect, test } from "vitest";
import type { Alias, AliasSpec, AliasStatus, Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import { type AliasView, decideAlias } from "./decide.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const clock = { now: () => NOW };
const later = { now: () => NOW + 3_600_000 };
const TWO = { additionalVersionWeights: { "2": "0.05" } };

const alias = (spec: Partial<AliasSpec> = {}, special: { status?: AliasStatus; metadata?: Partial<Alias["metadata"]> } = {}): Alias => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name: "a", namespace: "team", uid: "u-a", generation: 1, ...special.metadata },
  spec: { functionName: "hello", name: "PROD", functionVersion: "1", ...spec },
  ...(special.status === undefined ? {} : { status: special.status }),
});
const fn = (effective: object | undefined = {}) =>
  ({ metadata: { name: "hello", uid: "u-fn" }, status: { effective } }) as unknown as LambdaFunction;
const version = (number: number, effective: object | undefined = {}): [string, Version] => [
  String(number),
  { metadata: { name: `v${number}` }, spec: { functionName: "hello", version: number }, status: { effective } } as unknown as Version,
];
const view = (of: Alias, special: Partial<AliasView> = {}): AliasView => ({
  alias: of,
  account: { enabled: true, accountId: "123456789012" },
  fn: fn(),
  versions: new Map([version(1), version(2)]),
  region: "us-east-1",
  ...special,
});
const readyOf = (of: AliasView) => decideAlias(of, clock).status?.conditions?.[0];

describe("an alias", () => {
  test("leads to its version", () => {
    const { status, notice } = decideAlias(view(alias()), clock);
    expect(status).toMatchObject({
      aliasArn: "arn:aws:lambda:us-east-1:123456789012:function:hello:PROD",
      effective: { functionVersion: "1" },
      conditions: [{ status: "True", reason: "Resolved", observedGeneration: 1 }],
    });
    expect(notice).toMatchObject({ type: "Normal" });
  });

  test("leads to two by weight", () => {
    expect(decideAlias(view(alias({ routingConfig: TWO })), clock).status?.effective).toEqual({ functionVersion: "1", routingConfig: TWO });
  });

  test("leads to $LATEST", () => {
    expect(decideAlias(view(alias({ functionVersion: "$LATEST" })), clock).status?.effective).toEqual({ functionVersion: "$LATEST" });
  });

  test("stable: no writes, later and whatever others write", () => {
    const { status = {} } = decideAlias(view(alias()), clock);
    const kept = {
      ...status,
      functionUrl: "https://x",
      provisionedConcurrency: { requestedProvisionedConcurrentExecutions: 1, status: "READY" as const },
    };
    expect(decideAlias(view(alias({}, { status: kept })), later)).toEqual({});
  });

  test("has another revision after a change", () => {
    const first = decideAlias(view(alias()), clock).status?.revisionId;
    expect(decideAlias(view(alias({ description: "x" }, { metadata: { generation: 2 } })), clock).status?.revisionId).not.toBe(first);
  });

  test.each<[string, AliasView, string, string]>([
    ["its namespace is no account", view(alias(), { account: { enabled: false } }), "NamespaceNotEnabled", "kubectl label namespace team"],
    [
      "its version does not exist",
      view(alias({ functionVersion: "3" })),
      "VersionNotFound",
      "Version 3 of function hello does not exist. Publish it",
    ],
    [
      "its second version does not exist",
      view(alias({ routingConfig: TWO }), { versions: new Map([version(1)]) }),
      "VersionNotFound",
      "Version 2",
    ],
    [
      "its version cannot be invoked",
      view(alias(), { versions: new Map([["1", { ...version(1)[1], status: {} }]]) }),
      "VersionNotReady",
      "kubectl describe version v1",
    ],
    [
      "its function cannot be invoked",
      view(alias({ functionVersion: "$LATEST" }), { fn: { ...fn(), status: {} } }),
      "FunctionNotReady",
      "kubectl describe function hello",
    ],
    ["an older alias has the name", view(alias(), { nameHeldBy: "other" }), "NameConflict", "Alias other"],
    [
      "it belongs to a function that was deleted",
      view(alias({}, { metadata: { ownerReferences: [{ apiVersion: "x", kind: "Function", name: "hello", uid: "u-former" }] } })),
      "FunctionNotFound",
      "was deleted",
    ],
  ])("leads nowhere while %s, and says what to do", (_, of, reason, message) => {
    expect(readyOf(of)).toMatchObject({ status: "False", reason, message: expect.stringContaining(message) });
    expect(decideAlias(of, clock).status).not.toHaveProperty("effective");
  });

  test("leads nowhere without function", () => {
    const { fn: _, ...rest } = view(alias());
    expect(readyOf(rest)).toMatchObject({ reason: "FunctionNotFound" });
  });
});

describe("an alias whose new version is not there yet", () => {
  const before = () => decideAlias(view(alias()), clock).status ?? {};
  const moved = () => alias({ functionVersion: "3" }, { status: before(), metadata: { generation: 2 } });

  test("goes on leading to the former one", () => {
    const { status } = decideAlias(view(moved()), later);
    expect(status?.effective).toEqual({ functionVersion: "1" });
    expect(status?.conditions?.[0]).toMatchObject({
      reason: "VersionNotFound",
      message: expect.stringContaining("Invocations go on to version 1."),
      observedGeneration: 2,
    });
  });

  test("leads nowhere when the former one is gone as well", () => {
    expect(decideAlias(view(moved(), { versions: new Map([version(2)]) }), later).status).not.toHaveProperty("effective");
  });

  test("leads to the new one as soon as it can be invoked", () => {
    const held = { ...moved(), status: decideAlias(view(moved()), later).status ?? {} };
    const { status } = decideAlias(view(held, { versions: new Map([version(1), version(3)]) }), later);
    expect(status).toMatchObject({ effective: { functionVersion: "3" }, conditions: [{ reason: "Resolved" }] });
  });

  test("leads nowhere when another alias is the older one of the name", () => {
    expect(decideAlias(view(moved(), { nameHeldBy: "other" }), later).status).not.toHaveProperty("effective");
  });
});
