/**
 * Runs the stages of `make test` in order and ends with one line `N passed, N failed`: the sum over all stages.
 *
 *     node scripts/test.ts [static|unit|integration|function|runtimes|concurrency ...]      default: all
 *
 * A stage's exit status and its counts are both believed: a test file that cannot even be loaded counts as a failure.
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join, relative } from "node:path";
import { measuredCommit } from "./commit.ts";

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  /** What failed, by name and first line of its message: said again at the end, where a reader of a long log looks. */
  failures: string[];
}

const nothing: Tally = { passed: 0, failed: 0, skipped: 0, failures: [] };

interface Stage {
  name: string;
  run: () => Promise<Tally>;
}

const root = new URL("..", import.meta.url).pathname;
const results = join(root, ".kappa");

/** Runs a command with its output on ours. Resolves to the exit status; a signal counts as 1. */
function run(command: string, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

const sum = (a: Tally, b: Tally): Tally => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
  failures: [...a.failures, ...b.failures],
});

const failure = (what: string): Tally => ({ ...nothing, failed: 1, failures: [what] });

/** A command that passes or fails as one. */
async function check(command: string, args: string[]): Promise<Tally> {
  return (await run(command, args)) === 0 ? { ...nothing, passed: 1 } : failure([command, ...args].join(" "));
}

async function inTurn(checks: readonly (readonly [string, string[]])[]): Promise<Tally> {
  let total = nothing;
  for (const [command, args] of checks) total = sum(total, await check(command, args));
  return total;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; duration?: number | null; failureMessages?: string[] | null }[];
  }[];
}

const firstLine = (text: string) => text.split("\n", 1)[0] ?? "";

function failuresOf({ testResults }: VitestReport): string[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((r) => r.status === "failed");
    if (status === "failed" && assertionResults.length === 0) return [`${file}: ${firstLine(message)}`];
    return failed.map((r) => `${file} > ${r.fullName}: ${firstLine(r.failureMessages?.[0] ?? "")}`);
  });
}

/** A full-size run is evidence for an issue: what ran, how it ended, on which commit and machine. It is committed. */
function writeEvidence(suite: string, report: VitestReport): void {
  const { commit, changed } = measuredCommit();
  const rows = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.map((r) => `| ${r.fullName.replaceAll("|", "\\|")} | ${r.status} | ${((r.duration ?? 0) / 1000).toFixed(1)} |`),
  );
  const text = [
    `# Suite \`${suite}\`, full size`,
    "",
    `- Date: ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`,
    `- Commit: ${commit}${changed ? " and uncommitted changes" : ""}`,
    `- Machine: ${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    `- ${report.numPassedTests} passed, ${report.numFailedTests} failed`,
    "",
    "| test | result | seconds |",
    "|---|---|---:|",
    ...rows,
    "",
  ].join("\n");
  const folder = join(root, "e2e/suites/results");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${suite}.md`), text);
}

async function vitest(project: string, suite?: string): Promise<Tally> {
  const file = join(results, `${project.replace("*", "")}.json`);
  rmSync(file, { force: true });
  const status = await run("vitest", [
    "run",
    "--project",
    project,
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${file}`,
    ...(suite === undefined ? [] : [`e2e/suites/${suite}`]),
  ]);
  let report: VitestReport;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return failure(`vitest --project ${project} wrote no report`);
  }
  if (suite !== undefined && process.env.SIZE === "full") writeEvidence(suite, report);
  const failures = failuresOf(report);
  // vitest also fails on what happens outside any test, such as an unhandled rejection.
  if (status !== 0 && failures.length === 0) failures.push(`vitest --project ${project}: an error outside any test, see above`);
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

/** A suite of e2e/suites, on the cluster with this checkout's Kappa on it. */
async function onCluster(suite: string): Promise<Tally> {
  const up = await inTurn([
    ["node", ["e2e/cluster/main.ts", "up"]],
    ["node", ["e2e/cluster/install.ts"]],
  ]);
  return up.failed ? up : sum(up, await vitest("e2e", suite));
}

const stages: Stage[] = [
  {
    name: "static",
    run: () =>
      inTurn([
        ["biome", ["ci", "."]],
        ["depcruise", ["--config", ".dependency-cruiser.cjs", "operator", "runtime-images", "e2e", "scripts"]],
        ["knip", []],
        ["tsc", ["-p", "."]],
        ["node", ["scripts/generate.ts", "--check"]],
      ]),
  },
  { name: "unit", run: () => vitest("unit") },
  {
    name: "integration",
    run: async () => {
      const built = await check("node", ["e2e/cluster/main.ts", "parts"]);
      return built.failed ? built : sum(built, await vitest("integration*"));
    },
  },
  ...["function", "runtimes", "concurrency"].map((suite) => ({ name: suite, run: () => onCluster(suite) })),
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !stages.some((s) => s.name === name));
if (unknown.length > 0) {
  console.error(`unknown stage ${unknown.join(", ")}; there are ${stages.map((s) => s.name).join(", ")}`);
  process.exit(2);
}

mkdirSync(results, { recursive: true });
const started = Date.now();
const selected = stages.filter((s) => wanted.length === 0 || wanted.includes(s.name));
let total = nothing;
for (const [index, stage] of selected.entries()) {
  const elapsed = Math.round((Date.now() - started) / 1000);
  console.log(`\n[${index + 1}/${selected.length}] ${stage.name} (elapsed ${elapsed} s)`);
  const tally = await stage.run();
  console.log(`${stage.name}: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
  total = sum(total, tally);
}
const line = `${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`;
writeFileSync(join(results, "total"), `${line}\n`);
if (total.failures.length > 0) console.log(`\nfailed:\n${total.failures.map((what) => `- ${what}`).join("\n")}`);
console.log(`\n${line}`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
