/** Every label, annotation and well-known value that Kappa writes or reads, in one place. */

export const GROUP = "kappa.dev";
export const API_VERSION = "kappa.dev/v1alpha1";

export const Label = {
  /** On a Namespace: `"true"` makes it an account. */
  enabled: "kappa.dev/enabled",
  /** What a pod or object is for: see {@link Component}. */
  component: "kappa.dev/component",
  /** `metadata.name` of the Function that an environment belongs to. */
  function: "kappa.dev/function",
  /** Runtime identifier, such as `python3.11`. */
  runtime: "kappa.dev/runtime",
  /** `public`, or one value per VPC configuration: selects the NetworkPolicies. */
  placement: "kappa.dev/placement",
  /** On a pooled environment: a hash of everything that its pool's pods are made from now. */
  pool: "kappa.dev/pool",
  managedBy: "app.kubernetes.io/managed-by",
} as const;

export const Annotation = {
  /** On a Namespace: its 12-digit account id, given once. */
  accountId: "kappa.dev/account-id",
  /** On a Namespace that is being deleted: when it was seen that no environment is left. */
  emptiedAt: "kappa.dev/emptied-at",
  /** On an environment pod: the assignment it was made for or given (`Assignment.assignmentId`). */
  assignment: "kappa.dev/assignment",
  /** With an assignment: `metadata.name` of the Function, since a pod that came from a pool has no such label. */
  function: "kappa.dev/function",
  /** With an assignment: `$LATEST` or a number. */
  version: "kappa.dev/version",
  /** On a pod of provisioned concurrency: the version or alias that declares it. */
  provisioned: "kappa.dev/provisioned",
  /** On such a pod: a hash of everything that it was made from. */
  template: "kappa.dev/template",
  /** On a pod that was made for a pool: the pool's name in its namespace. */
  pool: "kappa.dev/pool",
  /** On a pod of a pool: the gateway that made it. */
  madeBy: "kappa.dev/made-by",
} as const;

/** Condition of a pod of provisioned concurrency: its runtime has initialised and it can take events. The gateway writes it. */
export const INITIALIZED_CONDITION = "kappa.dev/Initialized";

export const Component = { environment: "environment", controller: "controller", gateway: "gateway", nats: "nats" } as const;

export const MANAGED_BY = "kappa";
export const PUBLIC_PLACEMENT = "public";

/** Type of the Secrets that hold an access key: data `accessKeyId`, `secretAccessKey`, `serviceAccountName`. */
export const ACCESS_KEY_SECRET_TYPE = "kappa.dev/access-key";

/** ServiceAccount of every environment pod; it has no permission at all. */
export const ENVIRONMENT_SERVICE_ACCOUNT = "kappa-environment";

/** Field managers, one per writer (server-side apply). */
export const FieldManager = {
  accounts: "kappa-accounts",
  functions: "kappa-functions",
  kinds: "kappa-kinds",
  versions: "kappa-versions",
  aliases: "kappa-aliases",
  provisioned: "kappa-provisioned",
  /** The ConfigMaps that keep the numbers of versions: their existence, not what is in them. */
  versionNumbers: "kappa-version-numbers",
  gateway: "kappa-gateway",
} as const;
