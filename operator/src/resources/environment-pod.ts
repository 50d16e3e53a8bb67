/**
 * The pods of execution environments. Pure: the gateway makes pods from this where traffic needs them, the
 * controller where they are declared, and both make the same ones.
 */
import { createHash } from "node:crypto";
import { cpuMillis } from "../domain/cpu.ts";
import type { EffectiveConfiguration } from "../domain/effective.ts";
import { heapMbOf, type PoolKey, poolName } from "../domain/pool-key.ts";
import { startsAhead } from "../domain/start-variables.ts";
import {
  type CommonInput,
  ENVIRONMENT_CONTAINER,
  type EnvironmentSettings,
  environmentTemplate,
  type Resources,
} from "./environment-template.ts";
import { Annotation, API_VERSION, INITIALIZED_CONDITION, Label } from "./labels.ts";
import { environmentPodName, functionLabelValue, poolPodName } from "./names.ts";

export type { EnvironmentSettings } from "./environment-template.ts";

/** `/tmp` of a pooled environment, MB: Lambda's default. */
export const POOL_EPHEMERAL_STORAGE_MB = 512;

/** The Function object that an environment belongs to. */
interface FunctionRef {
  uid: string;
  name: string;
  namespace: string;
}

/** What a pod of a function's own is made for. */
export interface EnvironmentPodInput extends CommonInput {
  function: FunctionRef;
  effective: Pick<EffectiveConfiguration, "runtime" | "memorySize" | "ephemeralStorageMb" | "architectures" | "environment">;
  /** `$LATEST` or a number. */
  version: string;
  assignmentId: string;
  /** Value of the placement label, which selects the NetworkPolicies. */
  placement: string;
  /** Of provisioned concurrency: the version or alias that it was declared for. */
  provisioned?: { qualifier: string };
}

/** What a pod of a pool is made for. */
export interface PoolPodInput extends CommonInput {
  pool: PoolKey;
  size: PoolPodSize;
  /** Pod name of the gateway that makes it: the only one that its agent can prove itself to without a ticket. */
  madeBy: string;
}

/** Memory of a pooled environment, MB, before the agent's allowance. CPU follows memory. */
export interface PoolPodSize {
  /** Its limit: no function that needs more fits it. */
  memoryMb: number;
  /** The memory size that it requests a part of: what waits needs no more than a small function. */
  requestedMb: number;
}

/**
 * The desired pod of one function's environment.
 * @throws KappaError K114 when there is no image for the runtime
 */
export function environmentPod(input: EnvironmentPodInput) {
  const { function: fn, effective, provisioned } = input;
  const siblings = { [Label.function]: functionLabelValue(fn.name) };
  return environmentTemplate(input, {
    name: environmentPodName(fn.name, input.suffix),
    namespace: fn.namespace,
    runtime: effective.runtime,
    architecture: effective.architectures[0] ?? "x86_64",
    ephemeralStorageMb: effective.ephemeralStorageMb,
    resources: resources(effective.memorySize, effective.memorySize, input.settings),
    env: startsAhead(effective) ? [zygoteVariable(heapMbOf(effective))] : [],
    labels: { ...siblings, [Label.placement]: input.placement },
    annotations: {
      ...assigned(fn, input),
      ...(provisioned === undefined ? {} : { [Annotation.provisioned]: provisioned.qualifier }),
    },
    ownerReferences: [ownerOf(fn)],
    siblings,
    // What is ready is what can take an event, which the gateway knows and writes.
    ...(provisioned === undefined ? {} : { readinessGates: [{ conditionType: INITIALIZED_CONDITION }] }),
  });
}

/**
 * The desired pod of a pool: an environment that belongs to no function yet.
 * @throws KappaError K114 when there is no image for the runtime
 */
export function poolPod(input: PoolPodInput) {
  const { pool } = input;
  const siblings = { [Label.pool]: poolHash(input) };
  return environmentTemplate(input, {
    ...poolParticulars(input),
    name: poolPodName(pool.runtime, input.suffix),
    labels: { ...siblings, [Label.placement]: pool.placement },
    annotations: { [Annotation.pool]: poolName(pool), [Annotation.madeBy]: input.madeBy },
    siblings,
  });
}

/** Tells the pods of a pool from those that an installation with another image or other settings has made. */
export function poolHash(input: Pick<PoolPodInput, "pool" | "size" | "images" | "settings">): string {
  const { images, settings } = input;
  const pod = environmentTemplate(
    { images, settings, suffix: "" },
    { ...poolParticulars(input), name: "", labels: { [Label.placement]: input.pool.placement }, annotations: {}, siblings: {} },
  );
  return createHash("sha256").update(JSON.stringify(pod)).digest("hex").slice(0, 16);
}

function poolParticulars({ pool, size, settings }: Pick<PoolPodInput, "pool" | "size" | "settings">) {
  return {
    namespace: pool.namespace,
    runtime: pool.runtime,
    architecture: pool.architecture,
    ephemeralStorageMb: POOL_EPHEMERAL_STORAGE_MB,
    resources: resources(size.memoryMb, Math.min(size.requestedMb, size.memoryMb), settings),
    env: [{ name: "KAPPA_POOLED", value: "1" }, zygoteVariable(pool.heapMb)],
  };
}

/** Has the agent start the runtime before it has an assignment, for such a heap. */
function zygoteVariable(heapMb: number) {
  return { name: "KAPPA_ZYGOTE_HEAP_MB", value: String(heapMb) };
}

/**
 * Makes a pooled pod a function's, as a merge patch: of annotations, because labels are what a network plugin tells pods apart by, and
 * takes seconds to follow. A pod of another UID refuses it.
 */
export function assignmentPatch(podUid: string, fn: FunctionRef, to: Pick<EnvironmentPodInput, "version" | "assignmentId">): object {
  return { metadata: { uid: podUid, annotations: assigned(fn, to), ownerReferences: [ownerOf(fn)] } };
}

/** Gives a pooled pod a function's own size, as a patch of its subresource `resize`. */
export function resizePatch(memorySizeMb: number, settings: Pick<EnvironmentSettings, "overcommit" | "agentAllowance">): object {
  return { spec: { containers: [{ name: ENVIRONMENT_CONTAINER, resources: resources(memorySizeMb, memorySizeMb, settings) }] } };
}

/** Says of a pod of provisioned concurrency whether it can take events, as a patch of its subresource `status`. */
export function initializedPatch(is: { status: "True" | "False"; reason: string; message: string; at: string }): object {
  const { at, ...condition } = is;
  return { status: { conditions: [{ type: INITIALIZED_CONDITION, ...condition, lastTransitionTime: at }] } };
}

function assigned(fn: FunctionRef, { version, assignmentId }: Pick<EnvironmentPodInput, "version" | "assignmentId">) {
  return { [Annotation.assignment]: assignmentId, [Annotation.function]: fn.name, [Annotation.version]: version };
}

function ownerOf(fn: FunctionRef) {
  // blockOwnerDeletion would need the right to set finalizers on Functions, and buys nothing.
  return { apiVersion: API_VERSION, kind: "Function", name: fn.name, uid: fn.uid, controller: true, blockOwnerDeletion: false };
}

/** @param requestedMb the memory size that a part is requested of */
function resources(
  memoryMb: number,
  requestedMb: number,
  { overcommit, agentAllowance }: Pick<EnvironmentSettings, "overcommit" | "agentAllowance">,
): Resources {
  return {
    limits: { memory: `${memoryMb + agentAllowance.memoryMb}Mi`, cpu: `${cpuMillis(memoryMb) + agentAllowance.cpuMillis}m` },
    requests: {
      memory: `${portion(requestedMb, overcommit.memory)}Mi`,
      cpu: `${portion(cpuMillis(requestedMb), overcommit.cpu)}m`,
    },
  };
}

/** A share of a limit as a request: at least 1, since 0 would make the pod best-effort and the first to be evicted. */
function portion(whole: number, share: number): number {
  return Math.max(1, Math.min(whole, Math.ceil(whole * share)));
}
