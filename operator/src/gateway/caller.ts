/** Who called: a Kubernetes identity, whichever way it was proven. */
export interface Caller {
  /** What permissions are remembered by: two callers with one id have the same permissions. */
  id: string;
  /** Kubernetes user name. */
  username: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, string[]>>;
  /** The namespace whose account a bare function name is looked up in: a ServiceAccount's own. Absent for other users. */
  namespace?: string;
}

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/;

/** The identity of a ServiceAccount, as the API server itself sees it (kubernetes.io/docs/reference/access-authn-authz/authentication). */
export function serviceAccountCaller(namespace: string, name: string): Caller {
  const username = `system:serviceaccount:${namespace}:${name}`;
  return {
    id: username,
    username,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
    namespace,
  };
}

/** The namespace of a ServiceAccount's user name; absent for other users. */
export function namespaceOfUser(username: string): string | undefined {
  return SERVICE_ACCOUNT.exec(username)?.[1];
}
