/** A function as the gateway knows it, made from the Function, Version and Alias objects that bear its name. Pure. */
import type { Alias, FunctionEffective, Function as FunctionObject, Version } from "../api/types.generated.ts";
import { qualifierOf } from "../domain/arns.ts";
import { functionNameOf, runnableId } from "../domain/effective.ts";
import { KappaError } from "../domain/errors.ts";
import { LATEST } from "../domain/names.ts";
import { type AliasRoutes, aliasRoutes, versionsNamed } from "../domain/versions.ts";

/** What can be run: one version of a function, with its configuration in force. */
export interface Runnable {
  effective: FunctionEffective;
  /** Environments made for another id never serve this version. */
  assignmentId: string;
  /** `$LATEST`, or a number as text. */
  version: string;
}

/** Lambda's state of a function or version, as the controller wrote it. */
export interface LambdaState {
  name: string;
  reason?: string;
  code?: string;
}

/** A function as the gateway knows it. */
export interface FunctionEntry {
  /** `namespace/functionName`: what ownership is decided by. */
  key: string;
  namespace: string;
  /** `metadata.name`. */
  name: string;
  /** Lambda's name. */
  functionName: string;
  uid: string;
  /** API server's creation time: of two Functions with one name the older counts. */
  created: string;
  /** `$LATEST`; absent while nothing can be run. */
  runnable?: Runnable;
  /** Of `$LATEST`. */
  state: LambdaState;
  /** Published versions that can be run, by number. */
  versions: ReadonlyMap<string, Runnable>;
  /** Published versions that cannot be run (yet), by number. */
  pending: ReadonlyMap<string, LambdaState>;
  aliases: ReadonlyMap<string, AliasRoutes>;
  /** Cap and guarantee over all versions. */
  reservedConcurrentExecutions?: number;
}

/** A function without its versions and aliases, which are objects of their own. */
export type FunctionPart = Omit<FunctionEntry, "versions" | "pending" | "aliases">;

/** A published version, whichever function bears the name that it is of. */
export interface VersionPart {
  version: string;
  created: string;
  effective?: FunctionEffective;
  state: LambdaState;
}

/** An alias, whichever function bears the name that it is of. */
export interface AliasPart {
  name: string;
  created: string;
  /** As declared, and as it was when all that it names was last there; the first that is complete counts. */
  targets: { names: string[]; routes: AliasRoutes }[];
}

/** Key of a function in ownership and tables. */
export function functionKey(namespace: string, functionName: string): string {
  return `${namespace}/${functionName}`;
}

/** The version that an environment was assigned. */
export function versionOf(assignment: string): string {
  return assignment.slice(assignment.indexOf("/") + 1, assignment.lastIndexOf("/"));
}

/** What is run of a version; absent when there is no such version or it cannot be run. */
export function runnableOf(entry: FunctionEntry, version: string): Runnable | undefined {
  return version === LATEST ? entry.runnable : entry.versions.get(version);
}

/** Whether there is such a version, though it may not be one that can be run now. */
export function hasVersion(entry: FunctionEntry, version: string): boolean {
  return version === LATEST || entry.versions.has(version) || entry.pending.has(version);
}

export function functionPart(object: FunctionObject): FunctionPart {
  const { metadata, spec, status } = object;
  const functionName = functionNameOf(object);
  const namespace = metadata.namespace ?? "";
  const uid = metadata.uid ?? "";
  const effective = status?.effective;
  const reserved = spec.reservedConcurrentExecutions;
  return {
    key: functionKey(namespace, functionName),
    namespace,
    name: metadata.name,
    functionName,
    uid,
    created: metadata.creationTimestamp ?? "",
    ...(effective ? { runnable: runnable(uid, LATEST, effective) } : {}),
    // As declared, not as in force: a limit counts whatever becomes of the package that came with it.
    ...(reserved === undefined ? {} : { reservedConcurrentExecutions: reserved }),
    state: lambdaState(status),
  };
}

/** Absent as long as the controller has not numbered it. */
export function versionPart({ metadata, spec, status }: Version): VersionPart | undefined {
  if (spec.version === undefined) return undefined;
  return {
    version: String(spec.version),
    created: metadata.creationTimestamp ?? "",
    ...(status?.effective ? { effective: status.effective } : {}),
    state: lambdaState(status),
  };
}

export function aliasPart({ metadata, spec, status }: Alias): AliasPart {
  const targets = [spec, ...(status?.effective ? [status.effective] : [])];
  return {
    name: spec.name,
    created: metadata.creationTimestamp ?? "",
    targets: targets.map((target) => ({ names: versionsNamed(target), routes: aliasRoutes(target) })),
  };
}

/**
 * The function with what bears its name. Of two versions of one number, or aliases of one name, the older counts.
 * @param former what this was before, whose unchanged parts are kept
 */
export function functionEntry(
  fn: FunctionPart,
  versions: Iterable<VersionPart>,
  aliases: Iterable<AliasPart>,
  former: FunctionEntry | undefined,
): FunctionEntry {
  const runnables = new Map<string, Runnable>();
  const pending = new Map<string, LambdaState>();
  for (const { version, effective, state } of counting(versions, ({ version }) => version)) {
    const known = former?.uid === fn.uid ? former.versions.get(version) : undefined;
    if (!effective) pending.set(version, state);
    else runnables.set(version, known?.effective === effective ? known : runnable(fn.uid, version, effective));
  }
  const exists = (version: string) => version === LATEST || runnables.has(version);
  const named = new Map<string, AliasRoutes>();
  for (const { name, targets } of counting(aliases, ({ name }) => name)) {
    // One apply may bring an alias before the version that it names.
    const target = targets.find(({ names }) => names.every(exists)) ?? targets[0];
    if (target) named.set(name, target.routes);
  }
  return { ...fn, versions: runnables, pending, aliases: named };
}

/** Of those with one name the oldest. */
function counting<T extends { created: string }>(parts: Iterable<T>, nameOf: (part: T) => string): Iterable<T> {
  const byName = new Map<string, T>();
  for (const part of parts) {
    const known = byName.get(nameOf(part));
    if (!known || part.created < known.created) byName.set(nameOf(part), part);
  }
  return byName.values();
}

function runnable(uid: string, version: string, effective: FunctionEffective): Runnable {
  return { effective, version, assignmentId: runnableId({ uid, version, effective }) };
}

function lambdaState(status: { state?: string; stateReason?: string; stateReasonCode?: string } | undefined): LambdaState {
  return {
    name: status?.state ?? "Pending",
    ...(status?.stateReason === undefined ? {} : { reason: status.stateReason }),
    ...(status?.stateReasonCode === undefined ? {} : { code: status.stateReasonCode }),
  };
}

/**
 * Why a version that has nothing to run cannot be invoked: K104 or K107 with Lambda's text, K100 where there is no such version.
 * @param arn of the function, without qualifier
 */
export function refusalOf(entry: FunctionEntry, version: string, arn: string): KappaError {
  const state = version === LATEST ? entry.state : entry.pending.get(version);
  if (!state) return notFound(arn, version);
  const { name, reason, code } = state;
  if (code === "InvalidZipFileException")
    return new KappaError("K107", reason ?? "The package of the function is not a valid zip archive.");
  const text = `The operation cannot be performed at this time. The function is currently in the following state: ${name}`;
  return new KappaError("K104", name === "Failed" && reason !== undefined ? `${text}. ${reason}` : text);
}

/** The same, of an ARN as it was invoked: Lambda names the qualifier that was meant where none was given. */
export function notFoundInvoked(arn: string): KappaError {
  return notFound(arn.split(":").slice(0, 7).join(":"), qualifierOf(arn) ?? LATEST);
}

/** Lambda's answer for a function, version or alias that is not there. @param arn of the function, without qualifier */
export function notFound(arn: string, qualifier: string): KappaError {
  return new KappaError("K100", `Function not found: ${arn}:${qualifier}`);
}
