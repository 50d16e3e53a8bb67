/** Which stored packages nobody needs any more, and which needed ones are missing. Pure. */

/** How long a package is kept after the last reference to it went, milliseconds; as long has every package been stored at least. */
export const UNREFERENCED_GRACE_MS = 3_600_000;

/** A package in the store. */
export interface PackageInfo {
  sha256: string;
  /** When it was stored, epoch milliseconds. */
  storedAt: number;
}

export interface SweepObservation {
  stored: readonly PackageInfo[];
  /** Packages that a Function, Version or LayerVersion refers to. */
  referenced: ReadonlySet<string>;
  /** When each package was first seen to be unreferenced, in the sweeps before this one, epoch milliseconds. */
  unreferencedSince: ReadonlyMap<string, number>;
  /** Packages whose references may not be visible yet. */
  isRecent: (sha256: string) => boolean;
  now: number;
}

export interface SweepDecision {
  remove: string[];
  /** Referenced, and not stored: they have to be fetched again. */
  missing: string[];
  /** For the next sweep. */
  unreferencedSince: Map<string, number>;
}

export function decideSweep({ stored, referenced, unreferencedSince, isRecent, now }: SweepObservation): SweepDecision {
  const present = new Set(stored.map(({ sha256 }) => sha256));
  const decision: SweepDecision = {
    remove: [],
    missing: [...referenced].filter((sha256) => !present.has(sha256)),
    unreferencedSince: new Map(),
  };
  for (const { sha256, storedAt } of stored) {
    if (referenced.has(sha256) || isRecent(sha256)) continue;
    const since = unreferencedSince.get(sha256) ?? now;
    const isDue = now - since >= UNREFERENCED_GRACE_MS && now - storedAt >= UNREFERENCED_GRACE_MS;
    if (isDue) decision.remove.push(sha256);
    else decision.unreferencedSince.set(sha256, since);
  }
  return decision;
}
