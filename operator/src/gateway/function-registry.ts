import type { FunctionEffective, Function as FunctionObject } from "../api/types.generated.ts";
import { assignmentId, functionNameOf } from "../domain/effective.ts";
import { KappaError } from "../domain/errors.ts";
import { LATEST } from "../domain/names.ts";

/** What can be run of a function: its configuration in force. */
export interface Runnable {
  effective: FunctionEffective;
  /** Environments made for another id never serve this function. */
  assignmentId: string;
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
  /** Absent while nothing can be run. */
  runnable?: Runnable;
  /** Lambda's state, as the controller wrote it. */
  state: { name: string; reason?: string; code?: string };
}

/** What is kept of a Function object: a thousand of them, with inline code, would not fit the gateway's memory. */
export function trimFunction(object: FunctionObject): FunctionObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = object.metadata;
  const { state, stateReason, stateReasonCode, effective } = object.status ?? {};
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: definedOnly({ name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp }),
    // The code and everything that effective repeats stays in the API server.
    spec: definedOnly({ functionName: object.spec.functionName }) as FunctionObject["spec"],
    status: definedOnly({ state, stateReason, stateReasonCode, effective }),
  };
}

function definedOnly<T extends object>(of: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
}

/** A change of one function: what is known of it now, or nothing when it is gone. */
export type FunctionListener = (key: string, entry: FunctionEntry | undefined) => void;

/** All functions, by the names that callers use. Fed from a watch; every question is answered from memory. */
export class FunctionRegistry {
  /** Functions with one key, the one that counts first. */
  readonly #byKey = new Map<string, FunctionEntry[]>();
  readonly #byUid = new Map<string, FunctionEntry>();
  readonly #listeners = new Set<FunctionListener>();

  get size(): number {
    return this.#byUid.size;
  }

  find(namespace: string, functionName: string): FunctionEntry | undefined {
    return this.#byKey.get(functionKey(namespace, functionName))?.[0];
  }

  byKey(key: string): FunctionEntry | undefined {
    return this.#byKey.get(key)?.[0];
  }

  /** The function of a Function object, if that object is the one that counts for its name. */
  byUid(uid: string): FunctionEntry | undefined {
    const entry = this.#byUid.get(uid);
    return entry && this.byKey(entry.key) === entry ? entry : undefined;
  }

  /** The functions that count, in no order. */
  *entries(): Generator<FunctionEntry> {
    for (const [first] of this.#byKey.values()) if (first) yield first;
  }

  /** Calls back after each change; returns the way to stop it. */
  subscribe(listener: FunctionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes an object as the API server shows it. One that is being deleted counts as gone. */
  put(object: FunctionObject): void {
    const entry = entryOf(object);
    const former = this.#byUid.get(entry.uid);
    if (former && former.key !== entry.key) this.#drop(former);
    if (object.metadata.deletionTimestamp !== undefined) {
      this.remove(object);
      return;
    }
    this.#byUid.set(entry.uid, entry);
    const others = (this.#byKey.get(entry.key) ?? []).filter((e) => e.uid !== entry.uid);
    this.#byKey.set(
      entry.key,
      [...others, entry].sort((a, b) => (`${a.created} ${a.uid}` < `${b.created} ${b.uid}` ? -1 : 1)),
    );
    this.#tell(entry.key);
  }

  remove(object: FunctionObject): void {
    const entry = this.#byUid.get(object.metadata.uid ?? "");
    if (entry) this.#drop(entry);
  }

  #drop(entry: FunctionEntry): void {
    this.#byUid.delete(entry.uid);
    const left = (this.#byKey.get(entry.key) ?? []).filter((e) => e.uid !== entry.uid);
    if (left.length === 0) this.#byKey.delete(entry.key);
    else this.#byKey.set(entry.key, left);
    this.#tell(entry.key);
  }

  #tell(key: string): void {
    const entry = this.byKey(key);
    for (const listener of this.#listeners) listener(key, entry);
  }
}

/** Key of a function in ownership and tables. */
export function functionKey(namespace: string, functionName: string): string {
  return `${namespace}/${functionName}`;
}

function entryOf(object: FunctionObject): FunctionEntry {
  const { metadata, status } = object;
  const functionName = functionNameOf(object);
  const namespace = metadata.namespace ?? "";
  const uid = metadata.uid ?? "";
  const effective = status?.effective;
  return {
    key: functionKey(namespace, functionName),
    namespace,
    name: metadata.name,
    functionName,
    uid,
    created: metadata.creationTimestamp ?? "",
    ...(effective
      ? { runnable: { effective, assignmentId: assignmentId({ uid, version: LATEST, revisionId: effective.revisionId }) } }
      : {}),
    state: {
      name: status?.state ?? "Pending",
      ...(status?.stateReason === undefined ? {} : { reason: status.stateReason }),
      ...(status?.stateReasonCode === undefined ? {} : { code: status.stateReasonCode }),
    },
  };
}

/** Why a function without anything to run cannot be invoked: K104 or K107 with Lambda's text. */
export function refusalOf({ state: { name, reason, code } }: FunctionEntry): KappaError {
  if (code === "InvalidZipFileException")
    return new KappaError("K107", reason ?? "The package of the function is not a valid zip archive.");
  const text = `The operation cannot be performed at this time. The function is currently in the following state: ${name}`;
  return new KappaError("K104", name === "Failed" && reason !== undefined ? `${text}. ${reason}` : text);
}
