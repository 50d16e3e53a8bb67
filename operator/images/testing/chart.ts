import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { attempt } from "../../../e2e/cluster/run.ts";
import { binary } from "../../testing/binaries.ts";

const chart = join(import.meta.dirname, "../../../charts/kappa");

/** The namespace that the chart is rendered for. */
export const NAMESPACE = "kappa-system";

/** A rendered object; what is inside depends on its kind. */
export interface Rendered {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: Record<string, unknown>;
  [member: string]: unknown;
}

/** Runs helm. Its programs are looked up like the servers'. */
async function helm(command: string, values: object): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-chart-"));
  try {
    await writeFile(join(folder, "values.yaml"), stringify(values));
    const target = command === "template" ? ["kappa", chart] : [chart];
    return await attempt([
      join(dirname(binary("kubectl")), "helm"),
      command,
      ...target,
      "--namespace",
      NAMESPACE,
      "--values",
      join(folder, "values.yaml"),
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Every object of the chart, hooks included. @throws Error with helm's words */
export async function renderChart(values: object = {}): Promise<Rendered[]> {
  const { exitCode, stdout, stderr } = await helm("template", values);
  if (exitCode !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document): unknown => document.toJS())
    .filter((object): object is Rendered => typeof object === "object" && object !== null);
}

/** What `helm lint` has to say; empty when it has no complaint. */
export async function lintChart(): Promise<string> {
  const { exitCode, stdout } = await helm("lint", {});
  const complaints = stdout.split("\n").filter((line) => /^\[(WARNING|ERROR)\]/.test(line));
  return exitCode === 0 ? complaints.join("\n") : stdout;
}
