/** CPU follows memory, as in Lambda: one vCPU at 1,769 MB, proportional below and above (Lambda's guide, "Configure function memory"). */

/** Memory that buys one whole vCPU, MB. */
const MEMORY_PER_VCPU_MB = 1769;

/** Thousandths of a vCPU that a function of this memory size is entitled to, at least 1. 128 MB gives 73, 1,769 MB 1,000, 10,240 MB 5,789. */
export function cpuMillis(memorySizeMb: number): number {
  return Math.max(1, Math.ceil((memorySizeMb * 1000) / MEMORY_PER_VCPU_MB));
}
