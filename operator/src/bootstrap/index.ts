import { randomBytes } from "node:crypto";
import { createUserKey } from "../bus/nkeys.ts";
import { KappaError } from "../domain/errors.ts";
import { type KubeClient, KubeError, type KubeObject, type ResourceRef, Resources } from "../kube/index.ts";
import { Label, MANAGED_BY } from "../resources/labels.ts";
import {
  AUTH_CONF,
  CREDENTIALS,
  type CredentialPlan,
  type CredentialSecret,
  type Found,
  type Generate,
  planCredentials,
  SERVER_SECRET,
  type SecretData,
} from "./plan.ts";

/** What the job is told. */
export interface BootstrapConfig {
  /** Namespace of the release. */
  namespace: string;
}

export interface BootstrapDeps {
  client: Pick<KubeClient, "get" | "create" | "apply">;
  log: { info(fields: object, message: string): void };
  /** Source of new credentials; the system's random source when absent. */
  generate?: Generate;
}

interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

interface Workload extends KubeObject {
  spec?: { template?: { metadata?: { annotations?: Record<string, string> } } };
}

/** Field manager of everything written here. */
const FIELD_MANAGER = "kappa-bootstrap";

/** On a pod template: the revision of the credentials that its pods started with; a change makes new pods. */
const CREDENTIALS_ANNOTATION = "kappa.dev/credentials";

/** On the server's Secret: the revision that the workloads were last told. */
const ROLLED_OUT_ANNOTATION = "kappa.dev/credentials-rolled-out";

const apps = (kind: string, plural: string): ResourceRef => ({ apiVersion: "apps/v1", kind, plural, namespaced: true });

/** Everything that reads credentials, and reads them once, when it starts. NATS first: the others can only log in to it after. */
const WORKLOADS = [
  { resource: apps("StatefulSet", "statefulsets"), name: "kappa-nats" },
  { resource: apps("Deployment", "deployments"), name: "kappa-controller" },
  { resource: apps("Deployment", "deployments"), name: "kappa-gateway" },
];

const randomCredentials: Generate = {
  seed: () => createUserKey().seed,
  secret: () => randomBytes(32).toString("base64url"),
};

/**
 * Makes the credentials that are missing and writes NATS's accounts from them; what exists is kept. Runs before every install
 * and upgrade; may be interrupted anywhere, run again, and run twice at once.
 * @throws KappaError K300 when a Secret holds something unusable, K301 when the API server refuses
 */
export async function runBootstrap(
  { client, log, generate = randomCredentials }: BootstrapDeps,
  { namespace }: BootstrapConfig,
): Promise<void> {
  const plan = await settleCredentials(client, namespace, generate);
  for (const name of [...Object.keys(plan.create), ...Object.keys(plan.complete)]) log.info({ namespace, name }, "credentials made");

  const server = await client.get<Secret>(Resources.secret, { namespace, name: SERVER_SECRET });
  const rolledOut = server?.metadata.annotations?.[ROLLED_OUT_ANNOTATION];
  if (decode(server)?.[AUTH_CONF] === plan.authConf && rolledOut === plan.revision) {
    log.info({ namespace, revision: plan.revision }, "credentials are complete");
    return;
  }
  const write = (revision: string | undefined): Promise<Secret> =>
    client.apply(
      Resources.secret,
      secret(namespace, SERVER_SECRET, { [AUTH_CONF]: plan.authConf }, revision === undefined ? {} : { [ROLLED_OUT_ANNOTATION]: revision }),
      { fieldManager: FIELD_MANAGER },
    );
  // Accounts first, then the pods that read them, then the note that it was done: interrupted anywhere, the next run goes on.
  await write(rolledOut);
  for (const { resource, name } of WORKLOADS) await restartWith(client, resource, { namespace, name }, plan.revision);
  await write(plan.revision);
  log.info({ namespace, revision: plan.revision }, "NATS accounts written");
}

/** Reads, plans and creates until nothing is missing. A Secret that somebody else created meanwhile is read, not overwritten. */
async function settleCredentials(client: BootstrapDeps["client"], namespace: string, generate: Generate): Promise<CredentialPlan> {
  for (let attempt = 1; ; attempt++) {
    const found: Found = {};
    for (const name of Object.keys(CREDENTIALS) as CredentialSecret[]) {
      const data = decode(await client.get<Secret>(Resources.secret, { namespace, name }));
      if (data !== undefined) found[name] = data;
    }
    const plan = planCredentials(found, generate);
    try {
      for (const [name, data] of Object.entries(plan.create)) await client.create(Resources.secret, secret(namespace, name, data));
      for (const [name, data] of Object.entries(plan.complete))
        await client.apply(Resources.secret, secret(namespace, name, data), { fieldManager: FIELD_MANAGER });
      return plan;
    } catch (error) {
      if (!(error instanceof KubeError && error.alreadyExists)) throw error;
      if (attempt === MAX_ATTEMPTS)
        throw new KappaError("K301", `Secrets of ${namespace} keep appearing while they are made.`, { cause: error });
    }
  }
}

/** More than the Secrets there are: each attempt that fails finds at least one more of them. */
const MAX_ATTEMPTS = Object.keys(CREDENTIALS).length + 1;

async function restartWith(
  client: BootstrapDeps["client"],
  resource: ResourceRef,
  ref: { namespace: string; name: string },
  revision: string,
): Promise<void> {
  const workload = await client.get<Workload>(resource, ref);
  // Before the first install there is nothing to restart, and applying would create it.
  if (workload === undefined || workload.spec?.template?.metadata?.annotations?.[CREDENTIALS_ANNOTATION] === revision) return;
  const change: Workload = {
    apiVersion: resource.apiVersion,
    kind: resource.kind,
    // The uid makes sure that a workload deleted in between is not created anew from this fragment.
    metadata: { ...ref, ...(workload.metadata.uid === undefined ? {} : { uid: workload.metadata.uid }) },
    spec: { template: { metadata: { annotations: { [CREDENTIALS_ANNOTATION]: revision } } } },
  };
  await client.apply(resource, change, { fieldManager: FIELD_MANAGER });
}

function secret(namespace: string, name: string, data: SecretData, annotations: Record<string, string> = {}): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace, name, labels: { [Label.managedBy]: MANAGED_BY }, annotations },
    type: "Opaque",
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")])),
  };
}

function decode(found: Secret | undefined): SecretData | undefined {
  if (found === undefined) return undefined;
  return Object.fromEntries(Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]));
}
