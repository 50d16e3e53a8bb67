/**
 * Code that Functions hold themselves, as caches keep them: a digest in place of long texts. A thousand Functions may hold 250 MB, which
 * is read once each and never again. Pure.
 */
import { createHash } from "node:crypto";
import type { Function as LambdaFunction } from "../../api/types.generated.ts";

/** Characters of a text that is kept as it is: most Functions' inline code, which then needs no further request. */
const KEPT = 2048;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** A Function without its managed fields, and with digests of its long code. For caches. */
export function withoutCode(fn: LambdaFunction): LambdaFunction {
  delete fn.metadata.managedFields;
  const { inline, zip } = fn.spec.code;
  if (isKept(inline) && isKept(zip)) return fn;
  const code = {
    ...fn.spec.code,
    ...(inline === undefined ? {} : { inline: heldText(inline) }),
    ...(zip === undefined ? {} : { zip: heldText(zip) }),
  };
  return { ...fn, spec: { ...fn.spec, code } };
}

/** Whether a text is not the code but the digest of it. Code that looks like one never is in a cache: it has a digest of its own there. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** The digest of a text, or the text itself when it is one: equal for the code and for what a cache has of it. */
export function digestOf(text: string): string {
  return isDigest(text) ? text : `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/** Also of what looks like a digest: nobody takes a user's text for one of ours. */
function heldText(text: string): string {
  return text.length <= KEPT && !isDigest(text) ? text : `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function isKept(text: string | undefined): boolean {
  return text === undefined || heldText(text) === text;
}
