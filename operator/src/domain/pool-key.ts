/** Which pool an environment of a function can come from, as a pure rule. */
import type { EffectiveConfiguration } from "./effective.ts";

/** Pods of one key are alike: each can become any function of its namespace that has the key. */
export interface PoolKey {
  namespace: string;
  runtime: string;
  /** Value of the placement label. */
  placement: string;
  architecture: EffectiveConfiguration["architectures"][number];
  /** See {@link heapMbOf}: of the runtime that waits. */
  heapMb: number;
}

/** What a pool's pods have, and what a function therefore has to be content with. */
export interface PoolLimits {
  /** MiB. */
  memoryMb: number;
  ephemeralStorageMb: number;
}

/** V8 and HotSpot take the largest size of their heap when the process starts, and never again. */
const FIXED_HEAP = /^(nodejs|java)/;

/** Memory size that the heap of a runtime is made for when it starts, MB; 0 where it follows no limit. */
export function heapMbOf({ runtime, memorySize }: Pick<EffectiveConfiguration, "runtime" | "memorySize">): number {
  return FIXED_HEAP.test(runtime) ? memorySize : 0;
}

/** The pool whose pods fit a function; absent where its environments need a pod of their own. */
export function poolKeyOf(
  of: {
    namespace: string;
    placement: string;
    effective: Pick<EffectiveConfiguration, "runtime" | "memorySize" | "ephemeralStorageMb" | "architectures">;
  },
  limits: PoolLimits,
): PoolKey | undefined {
  const { runtime, memorySize, ephemeralStorageMb, architectures } = of.effective;
  if (runtime === "" || memorySize > limits.memoryMb || ephemeralStorageMb !== limits.ephemeralStorageMb) return undefined;
  return {
    namespace: of.namespace,
    runtime,
    placement: of.placement,
    architecture: architectures[0] ?? "x86_64",
    heapMb: heapMbOf(of.effective),
  };
}

/** Name of a pool in its namespace. */
export function poolName({ runtime, placement, architecture, heapMb }: Omit<PoolKey, "namespace">): string {
  return `${runtime}/${placement}/${architecture}/${heapMb}`;
}

/** Name of a pool in tables and ownership. */
export function poolText(key: PoolKey): string {
  return `pool/${key.namespace}/${poolName(key)}`;
}
