/** A namespace of its own as an account, whose functions the test's caller may invoke by their ARNs. */
import { apply, clusterEnv, eventually, kubectl } from "./cluster.ts";

/** Whom the access key of `make -s env` stands for. */
const CALLER = { kind: "ServiceAccount", name: "kappa-admin", namespace: "default" } as const;

export interface Account {
  namespace: string;
  id: string;
  /** ARN of a function there. */
  arn(functionName: string, qualifier?: string): string;
}

/** Makes the namespace and enables it. */
export async function makeAccount(namespace: string, ...more: object[]): Promise<Account> {
  await apply(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels: { "kappa.dev/enabled": "true" } } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "caller", namespace },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "kappa-invoker" },
      subjects: [CALLER],
    },
    ...more,
  );
  const path = "jsonpath={.metadata.annotations.kappa\\.dev/account-id}";
  const id = await eventually(
    `${namespace} has its account id`,
    async () => (await kubectl("get", "namespace", namespace, "-o", path)) || undefined,
  );
  const region = clusterEnv().AWS_REGION ?? "";
  return {
    namespace,
    id,
    arn: (name, qualifier) => `arn:aws:lambda:${region}:${id}:function:${name}${qualifier === undefined ? "" : `:${qualifier}`}`,
  };
}

/** Deletes the namespace with everything in it. */
export const removeAccount = (namespace: string): Promise<string> =>
  kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=true", "--timeout=200s");
