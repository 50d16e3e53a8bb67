/** Execution roles as RBAC has them: a ServiceAccount, and what it may invoke. */
import { kubectl } from "../../support/cluster.ts";

const NAMESPACE = "default";

export const serviceAccount = (name: string): object => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name, namespace: NAMESPACE },
});

/** A ServiceAccount that may invoke the named functions and no others. */
export const mayInvoke = (name: string, functions: string[]): object[] => [
  serviceAccount(name),
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name, namespace: NAMESPACE },
    rules: [{ apiGroups: ["kappa.dev"], resources: ["functions/invoke"], resourceNames: functions, verbs: ["create"] }],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name, namespace: NAMESPACE },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
    subjects: [{ kind: "ServiceAccount", name, namespace: NAMESPACE }],
  },
];

/** Deletes what {@link mayInvoke} and {@link serviceAccount} describe. */
export const removeRoles = (...names: string[]): Promise<string> =>
  kubectl("delete", "-n", NAMESPACE, "--ignore-not-found", ...names.flatMap((name) => KINDS.map((kind) => `${kind}/${name}`)));

const KINDS = ["rolebindings", "roles", "serviceaccounts"] as const;
