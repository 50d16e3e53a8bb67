/** What a version freezes of its function. Pure. */
import type { Function as LambdaFunction, Version, VersionSpec } from "../../api/types.generated.ts";
import type { EffectiveConfiguration } from "../../domain/effective.ts";
import { isSame } from "../matches.ts";
import { given } from "../status.ts";

/** The part of a version's spec that nothing changes once it is published. */
export type Frozen = Omit<
  VersionSpec,
  "functionName" | "publishIf" | "provisionedConcurrentExecutions" | "eventInvokeConfig" | "permissions"
>;

/** Whether a version has its number and its code, and with them everything. */
export function isPublished(version: Version): boolean {
  return version.spec.version !== undefined && version.spec.code !== undefined;
}

/** What a version of this function would freeze now: its configuration in force. The number is given by whoever reserves it. */
export function frozenFrom(fn: LambdaFunction, effective: EffectiveConfiguration): Omit<Frozen, "version"> {
  const { spec } = fn;
  const { runtime, handler, layers, vpcConfig, imageConfig, deadLetterConfig, runtimeClassName, description } = spec;
  const { memorySize, timeout, ephemeralStorage, role, architectures, loggingConfig, tracingConfig } = spec;
  const hasVariables = Object.keys(spec.environment.variables).length > 0;
  return {
    code: { package: { sha256: effective.packageSha256, size: effective.codeSize } },
    ...{ memorySize, timeout, ephemeralStorage, role, architectures, loggingConfig, tracingConfig },
    ...(hasVariables ? { environment: spec.environment } : {}),
    ...given({ runtime, handler, layers, vpcConfig, imageConfig, deadLetterConfig, runtimeClassName, description }),
  };
}

/** What a published version has frozen. */
export function frozenOf(spec: VersionSpec): Frozen {
  const {
    functionName: _function,
    publishIf: _guards,
    provisionedConcurrentExecutions: _provisioned,
    eventInvokeConfig: _events,
    permissions: _permissions,
    ...frozen
  } = spec;
  return frozen;
}

/** Whether two versions are the same code and configuration. What is said of them, and their numbers, do not count. */
export function isSameContent(a: Omit<Frozen, "version">, b: Frozen): boolean {
  const { description: _a, ...contentA } = a;
  const { description: _b, version: _number, ...contentB } = b;
  return isSame(contentA, contentB);
}
