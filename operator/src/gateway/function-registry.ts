import type { Alias, Function as FunctionObject, Version } from "../api/types.generated.ts";
import type { KubeObject } from "../kube/objects.ts";
import {
  type AliasPart,
  aliasPart,
  type FunctionEntry,
  type FunctionPart,
  functionEntry,
  functionKey,
  functionPart,
  type VersionPart,
  versionPart,
} from "./function-entry.ts";

export type { FunctionEntry, Runnable } from "./function-entry.ts";

/** What is kept of a Function object: a thousand of them, with inline code, would not fit the gateway's memory. */
export function trimFunction(object: FunctionObject): FunctionObject {
  const { functionName, reservedConcurrentExecutions } = object.spec;
  const { state, stateReason, stateReasonCode, effective } = object.status ?? {};
  return {
    ...trimmed(object),
    // The code and everything that effective repeats stays in the API server.
    spec: definedOnly({ functionName, reservedConcurrentExecutions }) as FunctionObject["spec"],
    status: definedOnly({ state, stateReason, stateReasonCode, effective }),
  };
}

/** What is kept of a Version object. */
export function trimVersion(object: Version): Version {
  const { functionName, version } = object.spec;
  const { state, stateReason, stateReasonCode, effective } = object.status ?? {};
  return {
    ...trimmed(object),
    spec: definedOnly<Version["spec"]>({ functionName, version }),
    status: definedOnly({ state, stateReason, stateReasonCode, effective }),
  };
}

/** What is kept of an Alias object. */
export function trimAlias(object: Alias): Alias {
  const { functionName, name, functionVersion, routingConfig } = object.spec;
  const effective = object.status?.effective;
  return {
    ...trimmed(object),
    spec: definedOnly<Alias["spec"]>({ functionName, name, functionVersion, routingConfig }),
    status: definedOnly({ effective }),
  };
}

function trimmed<T extends KubeObject>(object: T): Pick<T, "apiVersion" | "kind" | "metadata"> {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: definedOnly({ name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp }),
  };
}

function definedOnly<T extends object>(of: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T;
}

/** A change of one function, its versions or its aliases: what is known of it now, or nothing when it is gone. */
export type FunctionListener = (key: string, entry: FunctionEntry | undefined) => void;

/** What belongs to one function name, by the objects' UIDs. */
interface Named {
  versions: Map<string, VersionPart>;
  aliases: Map<string, AliasPart>;
}

/** All functions, by the names that callers use. Fed from watches; every question is answered from memory. */
export class FunctionRegistry {
  /** Functions with one key, the one that counts first. */
  readonly #functions = new Map<string, FunctionPart[]>();
  readonly #byUid = new Map<string, FunctionPart>();
  /** Versions and aliases may be shown before their function, and stay when that is deleted. */
  readonly #named = new Map<string, Named>();
  readonly #entries = new Map<string, FunctionEntry>();
  readonly #listeners = new Set<FunctionListener>();

  get size(): number {
    return this.#byUid.size;
  }

  find(namespace: string, functionName: string): FunctionEntry | undefined {
    return this.#entries.get(functionKey(namespace, functionName));
  }

  byKey(key: string): FunctionEntry | undefined {
    return this.#entries.get(key);
  }

  /** The function of a Function object, if that object is the one that counts for its name. */
  byUid(uid: string): FunctionEntry | undefined {
    const entry = this.#entries.get(this.#byUid.get(uid)?.key ?? "");
    return entry?.uid === uid ? entry : undefined;
  }

  /** The functions that count, in no order. */
  entries(): Iterable<FunctionEntry> {
    return this.#entries.values();
  }

  /** Calls back after each change; returns the way to stop it. */
  subscribe(listener: FunctionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes an object as the API server shows it. One that is being deleted counts as gone. */
  put(object: FunctionObject): void {
    const part = functionPart(object);
    const former = this.#byUid.get(part.uid);
    if (former && former.key !== part.key) this.#drop(former);
    if (object.metadata.deletionTimestamp !== undefined) {
      this.remove(object);
      return;
    }
    this.#byUid.set(part.uid, part);
    const others = (this.#functions.get(part.key) ?? []).filter(({ uid }) => uid !== part.uid);
    this.#functions.set(
      part.key,
      [...others, part].sort((a, b) => (`${a.created} ${a.uid}` < `${b.created} ${b.uid}` ? -1 : 1)),
    );
    this.#changed(part.key);
  }

  remove(object: FunctionObject): void {
    const part = this.#byUid.get(object.metadata.uid ?? "");
    if (part) this.#drop(part);
  }

  putVersion(object: Version): void {
    const part = object.metadata.deletionTimestamp === undefined ? versionPart(object) : undefined;
    this.#putNamed("versions", object, part);
  }

  removeVersion(object: Version): void {
    this.#putNamed("versions", object, undefined);
  }

  putAlias(object: Alias): void {
    this.#putNamed("aliases", object, object.metadata.deletionTimestamp === undefined ? aliasPart(object) : undefined);
  }

  removeAlias(object: Alias): void {
    this.#putNamed("aliases", object, undefined);
  }

  #putNamed<K extends keyof Named>(
    kind: K,
    { metadata: { namespace = "", uid = "" }, spec: { functionName } }: Version | Alias,
    part: (K extends "versions" ? VersionPart : AliasPart) | undefined,
  ): void {
    const key = functionKey(namespace, functionName);
    const named = this.#named.get(key) ?? { versions: new Map(), aliases: new Map() };
    const parts = named[kind] as Map<string, VersionPart | AliasPart>;
    if (part) parts.set(uid, part);
    else if (!parts.delete(uid)) return;
    if (named.versions.size + named.aliases.size === 0) this.#named.delete(key);
    else this.#named.set(key, named);
    if (this.#functions.has(key)) this.#changed(key);
  }

  #drop(part: FunctionPart): void {
    this.#byUid.delete(part.uid);
    const left = (this.#functions.get(part.key) ?? []).filter(({ uid }) => uid !== part.uid);
    if (left.length === 0) this.#functions.delete(part.key);
    else this.#functions.set(part.key, left);
    this.#changed(part.key);
  }

  #changed(key: string): void {
    const first = this.#functions.get(key)?.[0];
    const named = this.#named.get(key);
    const former = this.#entries.get(key);
    const entry = first && functionEntry(first, named?.versions.values() ?? [], named?.aliases.values() ?? [], former);
    if (entry) this.#entries.set(key, entry);
    else this.#entries.delete(key);
    for (const listener of this.#listeners) listener(key, entry);
  }
}
