/**
 * Lets a runtime wait in the middle of its start until it is told which function it is.
 *
 * The process is an ordinary start of `bootstrap`, of a function that nothing is known of yet. It loads the runtime client, and stops
 * when that asks for the first environment variable that can differ from function to function. So whatever the client decides by
 * its environment it decides by the function's, and there is no copy of another process, nothing that two of them share.
 */
import { closeSync, promises, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

/** A stream socket: "ready" goes out, one order comes in (u32, big-endian, and as many bytes of JSON). */
const ORDERS = 3;

/** What the shell that started this process added to its environment, as it does in every start. */
const ADDED = ["PWD"];

/**
 * Variables that are read on the way here: by Node (places of modules in the user's folder), `bootstrap` (heap), and the clients while
 * they are loaded (3.3.0 and 4.0.2; the native part has its own copy of the address). Whoever has other values than this process has
 * to start with them.
 */
const READ_FOR_GOOD = [
  "HOME",
  "AWS_LAMBDA_EXEC_WRAPPER",
  "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
  "AWS_LAMBDA_RUNTIME_API",
  "AWS_LAMBDA_RUNTIME_VERBOSE",
  "AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA",
  "AWS_LAMBDA_BENCHMARK_MODE",
];

/** Read by Node's own modules when they are loaded. Functions with variables of Node's get a process of their own. */
const READ_BY_NODE = /^(NODE_|WATCH_REPORT_DEPENDENCIES$)/;

const environment = process.env;
const entry = environment._KAPPA_ZYGOTE;
const requireHere = createRequire(import.meta.url);

await warmUp();
process.argv[1] = entry;
process.env = new Proxy(environment, {
  get(target, name) {
    if (typeof name === "string" && !READ_FOR_GOOD.includes(name) && !READ_BY_NODE.test(name)) becomeFunction();
    return target[name];
  },
  has(target, name) {
    becomeFunction();
    return name in target;
  },
  ownKeys(target) {
    becomeFunction();
    return Reflect.ownKeys(target);
  },
});
await import(entry);

/** Loads and runs once what the first event of any function needs, for V8 compiles functions when they are first called. */
async function warmUp() {
  for (const name of ["http", "net", "os", "path", "util", "worker_threads"]) requireHere(`node:${name}`);
  requireHere("./rapid-client.node");
  // A module as functions are: read, compiled and searched for its exports.
  await import("./warm-up.cjs");
  delete requireHere.cache[requireHere.resolve("./warm-up.cjs")];
  // Starts the threads that the native part waits on.
  await promises.stat(entry);
  // What comes next is then no part of that.
  await new Promise(setImmediate);
}

/** Returns once the environment is the function's. */
function becomeFunction() {
  if (process.env === environment) return;
  process.env = environment;
  // What loading left behind; otherwise the first thing that the function's start would meet.
  gc();
  writeSync(ORDERS, "ready\n");
  const { environment: variables } = JSON.parse(read(read(4).readUInt32BE()));
  closeSync(ORDERS);

  if (READ_FOR_GOOD.some((name) => variables[name] !== environment[name])) startAgain(variables);
  for (const name of Object.keys(environment)) if (!(name in variables || ADDED.includes(name))) delete environment[name];
  for (const [name, value] of Object.entries(variables)) if (environment[name] !== value) environment[name] = value;
}

function read(size) {
  const received = Buffer.alloc(size);
  for (let length = 0; length < size; ) {
    const more = readSync(ORDERS, received, length, size - length);
    // Not wanted any more.
    if (more === 0) process.exit(0);
    length += more;
  }
  return received;
}

/** In this process's place, with these variables from the first instruction on. */
function startAgain(variables) {
  const bootstrap = `${environment.LAMBDA_RUNTIME_DIR}/bootstrap`;
  process.execve(bootstrap, [bootstrap], variables);
}
