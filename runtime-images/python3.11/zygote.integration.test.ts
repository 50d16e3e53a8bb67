/** A function that a zygote becomes finds what it would find in a fresh start. */
import { once } from "node:events";
import { chmod, copyFile, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pythonRuntime } from "../agent/testing/python-runtime.ts";
import { RuntimeStart, type StartOptions, WAYS, type Way } from "../agent/testing/runtime-start.ts";

let runtimeRoot: string;
let start: RuntimeStart;

beforeAll(async () => {
  runtimeRoot = await pythonRuntime();
  for (const name of ["zygote", "zygote.py"]) await copyFile(join(import.meta.dirname, name), join(runtimeRoot, name));
  await chmod(join(runtimeRoot, "zygote"), 0o755);
  start = await RuntimeStart.create();
}, 600_000);
afterAll(async () => {
  await start?.close();
  await rm(runtimeRoot, { recursive: true, force: true });
});

/** What the handler of this source answers when its runtime came that way. */
async function answer(way: Way, source: string, over: Partial<StartOptions> = {}): Promise<unknown> {
  await start.become(way, { runtime: "python3.11", runtimeRoot, files: { "app.py": source }, ...over });
  return await start.invoke();
}

const INTROSPECTION = `
import sys
AT_IMPORT = {
    "modules": sorted(sys.modules),
    "path": list(sys.path),
    "importers": sorted(sys.path_importer_cache),
    "finders": [str(finder).split(" at 0x")[0] for finder in sys.meta_path],
    "stack": [],
}
import gc, locale, logging, os, re, resource, signal, site, subprocess, time, traceback, warnings
AT_IMPORT["stack"] = [(frame.filename, frame.name) for frame in traceback.extract_stack()]

def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = re.sub(r"\\d+", "N", os.readlink("/proc/self/fd/" + name))
        except FileNotFoundError:
            pass  # That of the listing itself.
    return found

def status(*names):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return {name: lines[name].strip() for name in names}

def handler(event, context):
    root = logging.getLogger()
    main = sys.modules["__main__"]
    return {
        **AT_IMPORT,
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "command line": open("/proc/self/cmdline").read(),
        "executable": sys.executable,
        "flags": str(sys.flags),
        "main": [main.__file__, str(main.__spec__), sorted(vars(main))],
        "user's modules": [site.ENABLE_USER_SITE, site.USER_SITE, site.USER_BASE],
        "environment": dict(os.environ),
        "environment of a child": sorted(subprocess.run(["/usr/bin/env"], capture_output=True, text=True).stdout.splitlines()),
        "working directory": os.getcwd(),
        "descriptors": descriptors(),
        "signals": {str(number): str(signal.getsignal(number)).split(" at 0x")[0] for number in signal.valid_signals()},
        "status": status("SigBlk", "SigIgn", "SigCgt", "Threads", "Umask"),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")},
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "session": os.getsid(0) == os.getpid(),
        "logging": [
            root.level,
            [(type(h).__name__, h.level, h.formatter._fmt, h.formatter.datefmt, [type(f).__name__ for f in h.filters]) for h in root.handlers],
            sorted(root.manager.loggerDict), logging.Formatter.converter.__name__, logging.raiseExceptions, logging.lastResort.level,
        ],
        "warnings": [str(entry) for entry in warnings.filters],
        "streams": [[type(s).__name__, s.encoding, s.errors, s.line_buffering, s.fileno()] for s in (sys.stdin, sys.stdout, sys.stderr)],
        "locale": [locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), sys.getfilesystemencoding()],
        "time zone": [time.tzname, time.timezone, time.localtime(0).tm_hour],
        "collector": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.callbacks],
        "interpreter": [sys.getrecursionlimit(), sys.getswitchinterval(), sys.dont_write_bytecode, sys.gettrace() is None,
                        sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__],
        "stack of the handler": [(frame.filename, frame.name) for frame in traceback.extract_stack()],
        "context": {name: str(value) for name, value in vars(context).items() if name not in ("aws_request_id", "_epoch_deadline_time_in_ms")},
    }
`;

test("what a function can observe is as in a fresh start", async () => {
  const assignment = { environment: { OWN: "value", PATH: "/own:/usr/bin:/bin" } };
  const fresh = (await answer("bootstrap", INTROSPECTION, { assignment })) as Record<string, unknown>;
  const become = (await answer("zygote", INTROSPECTION, { assignment })) as Record<string, unknown>;
  expect(fresh.errorMessage).toBeUndefined();
  for (const what of Object.keys(fresh)) expect(become[what], what).toEqual(fresh[what]);
  expect(Object.keys(become)).toEqual(Object.keys(fresh));
  expect(fresh.environment).toMatchObject({ OWN: "value", LC_CTYPE: "C.UTF-8", PWD: start.taskRoot });
});

test("a module of the package comes before one of the standard library that a fresh start has not loaded yet", async () => {
  const files = { "app.py": "import http\nhandler = lambda event, context: http.OWN", "http.py": "OWN = 'own'" };
  for (const way of WAYS) expect(await answer(way, "", { files })).toBe("own");
});

test("records count their time from the start of the function, not of the process", async () => {
  const source = "import logging\nhandler = lambda event, context: logging._startTime * 1000";
  await start.end();
  await start.zygote({ runtime: "python3.11", runtimeRoot, files: {} });
  const before = Date.now() - 1;
  expect(await answer("zygote", source)).toBeGreaterThanOrEqual(before);
});

describe("what the client's environment says about the log holds", () => {
  const source = `
import logging
def handler(event, context):
    logging.getLogger().debug("finest")
    logging.getLogger().info("fine %s", "text")
    logging.getLogger().error("bad")
    print("plain")
    raise ValueError("last")
`;
  test.each([
    { format: "Text" } as const,
    { format: "JSON" } as const,
    { format: "JSON", applicationLevel: "DEBUG" } as const,
    { format: "JSON", applicationLevel: "ERROR" } as const,
  ])("%o", async (logging) => {
    const outputs: string[] = [];
    for (const way of WAYS) {
      const error = await answer(way, source, { assignment: { logging: { ...logging, group: "g", stream: "s" } } });
      expect(error).toMatchObject({ errorType: "ValueError", stackTrace: [expect.stringContaining("in handler")] });
      await start.idle();
      outputs.push((await start.output()).replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME").replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, "ID"));
    }
    expect(outputs[0]).toContain("bad");
    expect(outputs[1]).toBe(outputs[0]);
  });
});

test("a function that does not start says the same", async () => {
  for (const source of ["import absent", "raise TypeError('at start')", "def other(): pass", "def handler(:"]) {
    const errors: unknown[] = [];
    for (const way of WAYS) errors.push(await answer(way, source).catch((error: Error) => error.message));
    expect(errors[0]).toMatch(/^init error /);
    expect(errors[1]).toBe(errors[0]);
  }
});

test("no two have the same random numbers, and a zygote's are its own", async () => {
  const source = `
import os, random, tempfile, uuid, secrets
handler = lambda event, context: [random.random(), str(uuid.uuid4()), hash("text"), secrets.token_hex(), os.urandom(8).hex(), next(tempfile._get_candidate_names())]
`;
  const drawn: unknown[] = [];
  for (let times = 0; times < 2; times++) drawn.push(...((await answer("zygote", source)) as unknown[]));
  expect(new Set(drawn).size).toBe(drawn.length);
});

test("a variable that has to be there from the start makes it start again", async () => {
  const source = `
import os, site
started_with = dict(entry.split("=", 1) for entry in open("/proc/self/environ").read().split("\\0") if entry)
handler = lambda event, context: [started_with.get("HOME"), os.environ["HOME"], site.getuserbase(), os.environ["PWD"], sorted(os.environ)]
`;
  const assignment = { environment: { HOME: "/home/of/its/own" } };
  const become = await answer("zygote", source, { assignment });
  expect(become).toEqual(await answer("bootstrap", source, { assignment }));
  expect((become as string[])[0]).toBe("/home/of/its/own");
});

test("a zygote that nobody needs any more ends without a word", async () => {
  await start.end();
  const child = await start.zygote({ runtime: "python3.11", runtimeRoot, files: {} });
  const exit = once(child, "exit");
  (child.stdio[3] as Socket).destroy();
  expect(await exit).toEqual([0, null]);
  expect(await start.output()).toBe("");
});
