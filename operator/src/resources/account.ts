/** What Kappa makes in a namespace that was enabled as an account, besides its NetworkPolicies. */
import { ENVIRONMENT_SERVICE_ACCOUNT, Label, MANAGED_BY } from "./labels.ts";

/** ClusterRole with what the gateway needs in an account; the chart installs it, a RoleBinding grants it. */
const GATEWAY_ACCOUNT_ROLE = "kappa-gateway-account";

const RBAC = "rbac.authorization.k8s.io";

/** The ServiceAccount of every environment pod. It may do nothing; its projected token only says which pod it is. */
export function environmentServiceAccount(namespace: string) {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: ENVIRONMENT_SERVICE_ACCOUNT, namespace, labels: { [Label.managedBy]: MANAGED_BY } },
    automountServiceAccountToken: false,
  };
}

/** Lets the gateway make pods and read access keys in this namespace. */
export function gatewayRoleBinding(namespace: string, gateway: { serviceAccount: string; namespace: string }) {
  return {
    apiVersion: `${RBAC}/v1`,
    kind: "RoleBinding",
    metadata: { name: GATEWAY_ACCOUNT_ROLE, namespace, labels: { [Label.managedBy]: MANAGED_BY } },
    roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: GATEWAY_ACCOUNT_ROLE },
    subjects: [{ kind: "ServiceAccount", name: gateway.serviceAccount, namespace: gateway.namespace }],
  };
}
