import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** The part of a structural OpenAPI schema that the generators read. */
export interface Schema {
  type?: "object" | "array" | "string" | "integer" | "boolean";
  format?: string;
  description?: string;
  default?: unknown;
  enum?: string[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-validations"?: { rule: string; message?: string; messageExpression?: string; fieldPath?: string }[];
}

export interface Crd {
  metadata: { name: string };
  spec: {
    group: string;
    scope: string;
    names: { kind: string; listKind: string; plural: string; singular: string; shortNames: string[]; categories: string[] };
    versions: {
      name: string;
      subresources?: { status?: Record<string, never> };
      additionalPrinterColumns: { name: string; type: string; jsonPath: string; priority?: number; description?: string }[];
      schema: { openAPIV3Schema: Schema };
    }[];
  };
}

/** Function first: what several kinds share is named after it. */
const ORDER = ["Function", "Version", "Alias", "EventSourceMapping", "LayerVersion", "Vpc"];

/** Reads every `crds/*.yaml`, in the order in which the kinds are documented. */
export function readCrds(root: string): Crd[] {
  const folder = join(root, "crds");
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => parse(readFileSync(join(folder, file), "utf8")) as Crd)
    .sort((a, b) => ORDER.indexOf(a.spec.names.kind) - ORDER.indexOf(b.spec.names.kind));
}

/** The schema of the one version that a CRD of ours has. */
export function rootSchema(crd: Crd): Schema {
  const version = crd.spec.versions[0];
  if (version === undefined) throw new Error(`${crd.metadata.name} has no version: add spec.versions`);
  return version.schema.openAPIV3Schema;
}
