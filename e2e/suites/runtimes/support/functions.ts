/** Function objects of any runtime, and where their packages go. */
import { putUserObject } from "../../support/objects.ts";
import { zipOf } from "./zip.ts";

/** The runtimes that Kappa has. */
export type Runtime = "python3.11" | "nodejs22.x" | "nodejs24.x" | "java17" | "provided.al2023";

/** What `spec.code.zip` may hold, in characters of base64 (crds/functions.yaml). */
const MAX_ZIP_CHARACTERS = 180_000;

/** A package as `spec.code`: in the object itself where it fits, else in the bucket `code` of the namespace's object store under `key`. */
export async function codeOf(key: string, zip: Uint8Array): Promise<object> {
  const base64 = Buffer.from(zip).toString("base64");
  if (base64.length <= MAX_ZIP_CHARACTERS) return { zip: base64 };
  await putUserObject("default", "code", key, zip);
  return { object: { bucket: "code", key } };
}

/** The same for single files of source text. */
export const filesCode = (files: Parameters<typeof zipOf>[0]): object => ({ zip: Buffer.from(zipOf(files)).toString("base64") });

/** A Function object in the namespace `default`. */
export function lambdaFunction(name: string, runtime: Runtime, handler: string, code: object, spec: object = {}): object {
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace: "default" },
    spec: { runtime, handler, code, ...spec },
  };
}
