/** How Lambda's names become Kubernetes' names. Everything that computes a `metadata.name` or a label value from a name is here. */
import { createHash } from "node:crypto";

/** Longest DNS label and longest label value (RFC 1123; Kubernetes' object names that become host names are bounded by it). */
const MAX_LABEL = 63;
/** Hexadecimal digits of the hash that tells two names apart that would otherwise become one. */
const HASH_LENGTH = 8;

/**
 * `metadata.name` of the object that stands for a function with this name in Lambda's spelling: the same text when it already is
 * a DNS label, else its lower-cased form with a short hash (`MyFn_Test` → `myfn-test-` and 8 digits).
 */
export function objectName(lambdaName: string): string {
  const plain = lambdaName.toLowerCase().replace(/[^a-z0-9-]/g, "-");
  const trimmed = trimHyphens(plain);
  if (trimmed === lambdaName && trimmed.length <= MAX_LABEL) return trimmed;
  return shortened(trimmed === "" ? "fn" : trimmed, lambdaName, MAX_LABEL);
}

/** The value of the label `kappa.dev/function` for a Function with this `metadata.name`: the name itself when it fits a label. */
export function functionLabelValue(metadataName: string): string {
  return metadataName.length <= MAX_LABEL ? metadataName : shortened(metadataName, metadataName, MAX_LABEL);
}

/** Name of an environment pod: the function's name, trimmed, and the suffix. Always a DNS label, since it becomes the pod's host name. */
export function environmentPodName(functionMetadataName: string, suffix: string): string {
  const room = MAX_LABEL - suffix.length - 1;
  // Dots are legal in a Function's name and not in a host name.
  return `${trimHyphens(functionMetadataName.replaceAll(".", "-").slice(0, room))}-${suffix}`;
}

/** Name of a pooled environment's pod. */
export function poolPodName(runtime: string, suffix: string): string {
  return environmentPodName(`pool-${runtime}`, suffix);
}

/**
 * `metadata.name` of a version that is published through the API. It ends with the number, so no two functions' versions have one name;
 * who publishes with kubectl chooses any other.
 */
export function versionObjectName(functionName: string, version: number): string {
  return `${objectName(functionName)}-${version}`;
}

/** One of the ConfigMaps of an account in which the numbers of versions are kept. */
export function versionNumbersName(shard: number): string {
  return `kappa-version-numbers-${shard.toString(16)}`;
}

function shortened(text: string, hashed: string, length: number): string {
  const hash = createHash("sha256").update(hashed).digest("hex").slice(0, HASH_LENGTH);
  return `${trimHyphens(text.slice(0, length - HASH_LENGTH - 1))}-${hash}`;
}

/** DNS labels and label values start and end with a letter or digit. */
function trimHyphens(text: string): string {
  return text.replace(/^[-.]+|[-.]+$/g, "");
}
