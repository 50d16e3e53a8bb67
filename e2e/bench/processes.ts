/** What the nodes' kernels say of processes. */
import { execOnNode } from "../cluster/index.ts";
import { NODES } from "../cluster/settings.ts";

export interface Process {
  pid: number;
  node: string;
  /** With spaces between its words. */
  command: string;
  /** Cgroups' paths, in which the UID of its pod is. */
  cgroup: string;
  /** Milliseconds of CPU so far. */
  userMs: number;
  systemMs: number;
  /** Bytes of memory of its own, and of all that it has in memory. */
  anonymousBytes: number;
  residentBytes: number;
}

/** One process for all of them: grep puts the path of the file before each line. */
const LOOK = [
  "grep --text --no-messages --with-filename . /proc/[0-9]*/cmdline /proc/[0-9]*/stat /proc/[0-9]*/cgroup",
  "grep --no-messages --with-filename -E '^(RssAnon|VmRSS):' /proc/[0-9]*/status",
].join("; ");

/** All processes of all nodes. */
export async function processes(): Promise<Process[]> {
  const found = await Promise.all(
    NODES.map(async (node) => parseProcesses(node, (await execOnNode(node, ["sh", "-c", `${LOOK}; true`])).stdout)),
  );
  return found.flat();
}

/** What `LOOK` printed. Those that ended meanwhile, and the kernel's own, which have no command, are left out. Pure. */
export function parseProcesses(node: string, text: string): Process[] {
  const files = new Map<number, Record<string, string[]>>();
  for (const line of text.split("\n")) {
    const match = /^\/proc\/(\d+)\/(\w+):(.*)$/s.exec(line);
    if (!match) continue;
    const pid = Number(match[1]);
    const of = files.get(pid) ?? {};
    files.set(pid, of);
    of[match[2] ?? ""] = [...(of[match[2] ?? ""] ?? []), match[3] ?? ""];
  }
  return [...files].flatMap(([pid, { cmdline, stat, cgroup, status }]) => {
    if (!cmdline || !stat || !cgroup || !status) return [];
    const numbers = (stat[0] ?? "").slice((stat[0] ?? "").lastIndexOf(")") + 2).split(" ");
    return [
      {
        pid,
        node,
        command: cmdline.join(" ").replaceAll("\0", " ").trim(),
        cgroup: cgroup.join(" "),
        // Fields 14 and 15 of proc(5), in hundredths of a second.
        userMs: Number(numbers[11]) * 10,
        systemMs: Number(numbers[12]) * 10,
        anonymousBytes: kibibytes(status, "RssAnon"),
        residentBytes: kibibytes(status, "VmRSS"),
      },
    ];
  });
}

const kibibytes = (status: readonly string[], name: string): number =>
  Number(/(\d+) kB/.exec(status.find((line) => line.startsWith(`${name}:`)) ?? "")?.[1] ?? 0) * 1024;

/** The parts of Kappa and of the bench by what they were started with. */
const PARTS: readonly [part: string, command: RegExp][] = [
  ["gateway", /main\.mjs gateway/],
  ["agent", /^\S*loader \S*node .*agent\.cjs/],
  ["runtime", /\/var\/runtime|\/var\/lang\/bin|bootstrap|zygote/],
  ["load program", /program\.mjs load/],
  ["bare server", /program\.mjs serve/],
  ["emulator", /^\/bench\/aws-lambda-rie/],
  ["containerd and its shims", /containerd/],
  ["kubelet", /\/kubelet /],
];

/** The part that a process is; undefined for one that is no part of what is measured. */
export const partOf = ({ command }: Pick<Process, "command">): string | undefined => PARTS.find(([, words]) => words.test(command))?.[0];

/** Microseconds of CPU that each part used between two looks, per call. */
export function cpuPerCall(
  before: readonly Process[],
  after: readonly Process[],
  calls: number,
): Map<string, { user: number; system: number }> {
  const earlier = new Map(before.map((process) => [`${process.node} ${process.pid}`, process]));
  const used = new Map<string, { user: number; system: number }>();
  for (const process of after) {
    const part = partOf(process);
    const was = earlier.get(`${process.node} ${process.pid}`);
    if (part === undefined || was === undefined) continue;
    const sum = used.get(part) ?? { user: 0, system: 0 };
    sum.user += ((process.userMs - was.userMs) * 1000) / calls;
    sum.system += ((process.systemMs - was.systemMs) * 1000) / calls;
    used.set(part, sum);
  }
  return used;
}
