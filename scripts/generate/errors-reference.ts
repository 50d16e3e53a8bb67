import { CATALOGUE, type CatalogueEntry } from "../../operator/src/domain/errors.ts";
import { code, generatedFrom, table } from "./markdown.ts";

/** Writes `docs/reference/errors.md`: every error that a person can see, with what to do about it. */
export function errorsReference(catalogue: Record<string, CatalogueEntry> = CATALOGUE): string {
  const rows = Object.entries(catalogue).map(([errorCode, entry]) => [
    code(errorCode),
    lambdaAnswer(entry),
    entry.meaning,
    entry.remedy,
    entry.retryable ? "yes" : "no",
  ]);
  return [
    "# Errors",
    generatedFrom("operator/src/domain/errors.ts"),
    "Codes appear in logs and events. Lambda's API answers with Lambda's own type and status, where an error travels over it. " +
      "*Retry* says whether the same can succeed later without anybody changing anything.",
    table(["Code", "On Lambda's API", "What is wrong", "What to do", "Retry"], rows),
    "",
  ].join("\n\n");
}

function lambdaAnswer({ lambdaType, status }: CatalogueEntry): string {
  return lambdaType === undefined ? "" : `${code(lambdaType)} (${status})`;
}
