/**
 * Signals to everything in the environment but the agent and PID 1: freeze, thaw and kill reach what a function started, however
 * it hid it (own session, double fork, ignored signals).
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Processes {
  /** Sends a signal to all of them. That there are none is no error. */
  signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** Ends one of them. */
  kill(pid: number): void;
  /** Their ids. */
  list(): number[];
}

/** Inode of the machine's own PID namespace (Linux, PROC_PID_INIT_INO). */
const INITIAL_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Processes of this environment. In a container of its own that is everything there is, and one system call reaches it all at
 * once, with no gap in which a child could be forked (kill(2), pid −1). Anywhere else – a test – that call would hit the whole
 * machine, so there only the agent's descendants are sought out.
 */
export function environmentProcesses(): Processes {
  return ownsPidNamespace() ? namespaceProcesses : descendants(process.pid);
}

/** Whether the agent was started by its namespace's init, or is it. */
function ownsPidNamespace(): boolean {
  if (process.pid !== 1 && process.ppid !== 1) return false;
  try {
    return readlinkSync("/proc/self/ns/pid") !== INITIAL_PID_NAMESPACE;
  } catch {
    return false;
  }
}

const namespaceProcesses: Processes = {
  signal(signal) {
    send(-1, signal);
  },
  kill: (pid) => send(pid, "SIGKILL"),
  list() {
    return processIds().filter((pid) => pid !== 1 && pid !== process.pid);
  },
};

/** Repeats until no new process shows up, because one may be forked while the list is read. */
function descendants(root: number): Processes {
  return {
    signal(signal) {
      const done = new Set<number>();
      for (let found = true; found; ) {
        found = false;
        for (const pid of descendantsOf(root)) {
          if (done.has(pid)) continue;
          done.add(pid);
          found = true;
          send(pid, signal);
        }
      }
    },
    kill: (pid) => send(pid, "SIGKILL"),
    list: () => descendantsOf(root),
  };
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Gone in the meantime, or nothing there at all.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Process ids below `root`, from /proc. */
export function descendantsOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const pid of processIds()) {
    const parent = parentOf(pid);
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(pid);
    else children.set(parent, [pid]);
  }
  const found = [...(children.get(root) ?? [])];
  for (let at = 0; at < found.length; at++) found.push(...(children.get(found[at] ?? 0) ?? []));
  return found;
}

function processIds(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name is in parentheses and may itself hold any character (proc_pid_stat(5)).
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}
