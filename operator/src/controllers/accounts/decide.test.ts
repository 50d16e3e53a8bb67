import { describe, expect, test } from "vitest";
import { type KubeObject, Resources } from "../../kube/index.ts";
import { type AccountObject, type AccountObservation, accountOf, decideAccount, isTerminating, type NamespaceObject } from "./decide.ts";

const ours = { "app.kubernetes.io/managed-by": "kappa" };
function namespace(special: { enabled?: boolean; accountId?: string; deleting?: boolean; phase?: string } = {}): NamespaceObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: "team",
      uid: "u-team",
      labels: special.enabled === false ? {} : { "kappa.dev/enabled": "true" },
      annotations: special.accountId === undefined ? {} : { "kappa.dev/account-id": special.accountId },
      ...(special.deleting ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
    status: { phase: special.phase ?? "Active" },
  };
}
const object = (kind: string, name: string, special: Record<string, unknown> = {}): KubeObject => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace: "team", labels: ours },
  ...special,
});
const policy = object("NetworkPolicy", "kappa-default-deny", { spec: { ingress: [] } });
const account = object("ServiceAccount", "kappa-environment");
const binding = object("RoleBinding", "kappa-gateway-account", { roleRef: { name: "a" } });
const pod = (name: string, deleting = false): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "team", uid: name, ...(deleting ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
});
const wanted = (actuals: { policy?: KubeObject; account?: KubeObject; binding?: KubeObject } = {}): AccountObject[] => [
  { resource: Resources.networkPolicy, desired: policy, actual: actuals.policy },
  { resource: Resources.serviceAccount, desired: account, actual: actuals.account },
  { resource: Resources.roleBinding, desired: binding, actual: actuals.binding },
];
const complete = { policy, account, binding };
const ID = "123456789012";
const NOW = Date.parse("2026-01-01T00:10:00Z");
const observation = (special: Partial<AccountObservation>): AccountObservation => ({
  namespace: namespace({ accountId: ID }),
  objects: wanted(complete),
  pods: [],
  podGoneAt: 0,
  now: NOW,
  idTaken: () => false,
  idOfOlder: () => false,
  ...special,
});
const told = (special: Partial<AccountObservation>) =>
  decideAccount(observation(special)).steps.map((step) =>
    "object" in step ? `${step.type} ${step.object.kind} ${step.object.metadata.name}` : step.type,
  );

describe("a namespace that is enabled", () => {
  test("gets isolation first, then the gateway's rights, at last its id", () => {
    expect(told({ namespace: namespace(), objects: wanted() })).toEqual([
      "apply NetworkPolicy kappa-default-deny",
      "apply ServiceAccount kappa-environment",
      "apply RoleBinding kappa-gateway-account",
      "giveId",
    ]);
  });

  test("stable: no writes", () => {
    expect(decideAccount(observation({}))).toEqual({ steps: [], notOwned: [] });
  });

  test("stable: no writes, though others added labels and the API server left out empty lists", () => {
    const labelled = object("NetworkPolicy", "kappa-default-deny", {
      metadata: { name: "kappa-default-deny", namespace: "team", labels: { ...ours, team: "a" } },
      spec: {},
    });
    expect(told({ objects: wanted({ ...complete, policy: labelled }) })).toEqual([]);
  });

  test("gets back what somebody changed", () => {
    const open = object("NetworkPolicy", "kappa-default-deny", { spec: { ingress: [{}] } });
    expect(told({ objects: wanted({ ...complete, policy: open }) })).toEqual(["apply NetworkPolicy kappa-default-deny"]);
  });

  test("gets back what somebody deleted", () => {
    expect(told({ objects: wanted({ policy, binding }) })).toEqual(["apply ServiceAccount kappa-environment"]);
  });

  test("gets a binding to another role made anew, because the role cannot be changed", () => {
    const other = object("RoleBinding", "kappa-gateway-account", { roleRef: { name: "b" } });
    expect(told({ objects: wanted({ ...complete, binding: other }) })).toEqual([
      "delete RoleBinding kappa-gateway-account",
      "apply RoleBinding kappa-gateway-account",
    ]);
  });

  test("keeps somebody else's object, and gets neither the gateway nor an id while it is there", () => {
    const foreign: KubeObject = { ...policy, metadata: { name: "kappa-default-deny", namespace: "team" } };
    const decision = decideAccount(observation({ namespace: namespace(), objects: wanted({ policy: foreign }) }));
    expect(decision.steps.map((step) => ("object" in step ? step.object.kind : step.type))).toEqual(["ServiceAccount"]);
    expect(decision.notOwned).toEqual([foreign]);
  });

  test("keeps the id that it has", () => {
    expect(told({ namespace: namespace({ accountId: "000000000001" }) })).toEqual([]);
  });

  test("gets an id when what it has is none", () => {
    expect(told({ namespace: namespace({ accountId: "abc" }) })).toEqual(["giveId"]);
  });

  test("gets another id when an older namespace has the same", () => {
    expect(told({ idOfOlder: (id) => id === ID })).toEqual(["giveId"]);
  });

  test("never gets an id that is taken", () => {
    const first = decideAccount(observation({ namespace: namespace() })).steps[0];
    if (first?.type !== "giveId") throw new Error("an id was expected");
    const second = decideAccount(observation({ namespace: namespace(), idTaken: (id) => id === first.accountId })).steps[0];
    expect(second).toMatchObject({ type: "giveId" });
    expect(second).not.toEqual(first);
  });
});

describe("a namespace that is not enabled", () => {
  const disabled = namespace({ enabled: false, accountId: ID });

  test("never was: no writes", () => {
    expect(told({ namespace: namespace({ enabled: false }), objects: wanted() })).toEqual([]);
  });

  test("loses what Kappa made and keeps its id", () => {
    expect(told({ namespace: disabled })).toEqual([
      "delete RoleBinding kappa-gateway-account",
      "delete NetworkPolicy kappa-default-deny",
      "delete ServiceAccount kappa-environment",
    ]);
  });

  test("loses the gateway and the pods first, and stays isolated as long as one of them runs", () => {
    expect(told({ namespace: disabled, pods: [pod("a"), pod("b", true)] })).toEqual([
      "delete RoleBinding kappa-gateway-account",
      "delete Pod a",
    ]);
    expect(told({ namespace: disabled, objects: wanted({ policy, account }), pods: [pod("b", true)] })).toEqual([]);
  });

  test("keeps what somebody else made", () => {
    const foreign: KubeObject = { ...account, metadata: { name: "kappa-environment", namespace: "team" } };
    expect(told({ namespace: disabled, objects: wanted({ account: foreign }) })).toEqual([]);
  });
});

describe("a namespace that is going away", () => {
  const going = namespace({ deleting: true, accountId: ID });
  const emptied = (at: number) => ({
    ...going,
    metadata: { ...going.metadata, annotations: { ...going.metadata.annotations, "kappa.dev/emptied-at": new Date(at).toISOString() } },
  });

  test.each([namespace({ deleting: true }), namespace({ phase: "Terminating" }), namespace({ deleting: true, enabled: false })])(
    "gets nothing more",
    (namespace) => {
      expect(isTerminating(namespace)).toBe(true);
      expect(told({ namespace, objects: wanted() })).toEqual([]);
      expect(told({ namespace })).toEqual([]);
    },
  );

  test("is told when its last environment is gone, with the id that it keeps", () => {
    expect(told({ namespace: going, pods: [pod("p", true)] })).toEqual([]);
    expect(decideAccount(observation({ namespace: going, objects: [] })).steps).toEqual([
      { type: "tellEmptied", accountId: ID, at: "2026-01-01T00:10:00.000Z" },
    ]);
  });

  test("is told again only when another one has gone since", () => {
    expect(told({ namespace: emptied(NOW), podGoneAt: NOW - 1 })).toEqual([]);
    expect(told({ namespace: emptied(NOW - 2), podGoneAt: NOW - 1 })).toEqual(["tellEmptied"]);
  });
});

describe("accountOf", () => {
  test.each([
    ["no namespace", undefined, { enabled: false }],
    ["a namespace that is not labelled", namespace({ enabled: false, accountId: ID }), { enabled: false }],
    ["a namespace that goes away", namespace({ deleting: true, accountId: ID }), { enabled: false }],
    ["a namespace without an id", namespace(), { enabled: true }],
    ["a namespace with a broken id", namespace({ accountId: "12" }), { enabled: true }],
    ["an account", namespace({ accountId: ID }), { enabled: true, accountId: ID }],
  ])("of %s", (_, given, expected) => {
    expect(accountOf(given)).toEqual(expected);
  });
});
