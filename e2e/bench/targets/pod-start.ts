import { waitFor } from "../../cluster/run.ts";
import type { Api } from "../api.ts";
import { requestThat } from "../audit.ts";
import { epochMs, NAMESPACE } from "../site.ts";

/** Of a pod what is needed here. */
export interface EnvironmentPod {
  metadata: {
    name: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string; name: string }[];
    deletionTimestamp?: string;
  };
  spec: Record<string, unknown> & { containers: Record<string, unknown>[] };
  status: { phase: string };
}

const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const ENVIRONMENTS = `${PODS}?labelSelector=${encodeURIComponent("kappa.dev/component=environment")}`;

/** The environments' pods of the bench's account. */
export const environments = async (api: Api): Promise<EnvironmentPod[]> => (await api.get<{ items: EnvironmentPod[] }>(ENVIRONMENTS)).items;

/** Whether a pod is, or was made, a function's. */
export const isOf = ({ metadata }: EnvironmentPod, functionName: string): boolean =>
  metadata.ownerReferences?.some(({ kind, name }) => kind === "Function" && name === functionName) === true;

/** A function's environments that were seen while something ran. */
export interface Seen {
  uids: Set<string>;
  /** How many there were, look by look; those that end are not counted. */
  counts: number[];
}

/** Looks at a function's environments every so often while `work` runs. */
export async function watched<T>(
  api: Api,
  functionName: string,
  everyMs: number,
  work: () => Promise<T>,
): Promise<{ result: T; seen: Seen }> {
  const seen: Seen = { uids: new Set(), counts: [] };
  let isOver = false;
  const look = async () => {
    while (!isOver) {
      const found = (await environments(api)).filter((pod) => isOf(pod, functionName));
      for (const pod of found) seen.uids.add(pod.metadata.uid);
      seen.counts.push(found.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  const working = work().finally(() => {
    isOver = true;
  });
  const [result] = await Promise.all([working, look()]);
  return { result, seen };
}

/**
 * How long Kubernetes takes from accepting a pod until its process runs, by that process' own clock. The pod is like `model` in
 * everything but what it runs and what it is to Kappa.
 */
export async function podStart(api: Api, model: EnvironmentPod, name: string): Promise<number> {
  const { nodeName: _, ...spec } = model.spec;
  const [container] = spec.containers;
  const born = ["/kappa/node", "--eval", "process.stdout.write(String(performance.timeOrigin))"];
  const since = epochMs();
  await api.create(PODS, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE },
    spec: { ...spec, terminationGracePeriodSeconds: 1, containers: [{ ...container, command: born }] },
  });
  await waitFor(`pod ${name} has ended`, 120_000, async () => {
    const { status } = await api.get<EnvironmentPod>(`${PODS}/${name}`);
    if (status.phase === "Failed") throw new Error(`pod ${name} failed`);
    return status.phase === "Succeeded" ? true : undefined;
  });
  const at = Number(await api.text(`${PODS}/${name}/log`));
  const accepted = await requestThat(
    `pod ${name} is in the audit log`,
    since - 1_000,
    (request) => request.verb === "create" && request.name === name,
  );
  await api.remove(`${PODS}/${name}`);
  return at - accepted.answeredAt;
}
