/** Which functions a runtime can be started for before it has theirs: some variables act only when a process starts. Pure. */

/** Names, or beginnings of names where they end with an asterisk. */
const START_VARIABLES = [
  // Node.js, and libuv's thread pool.
  "NODE_*",
  "UV_THREADPOOL_SIZE",
  "PYTHON*",
  // The JVM.
  "JAVA_TOOL_OPTIONS",
  "JDK_JAVA_OPTIONS",
  "_JAVA_OPTIONS",
  // The dynamic linker and the C library (ld.so(8), locale(7), tzset(3), mallopt(3)).
  "LD_*",
  "LANG",
  "LANGUAGE",
  "LC_*",
  "TZ",
  "MALLOC_*",
  "GLIBC_TUNABLES",
  // OpenSSL.
  "OPENSSL_CONF",
  "SSL_CERT_*",
  // Lambda's wrapper script, which is to start the runtime itself.
  "AWS_LAMBDA_EXEC_WRAPPER",
] as const;

/** Sets the size of the heap for runtimes in which that is fixed: their zygote is started with it, others without. */
const HEAP_VARIABLE = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

type Variables = Readonly<Record<string, string>>;

/** Whether a runtime with these variables has to be started anew, although there is a zygote that was started with those. */
export function needsFreshStart(zygote: Variables, runtime: Variables): boolean {
  if (zygote[HEAP_VARIABLE] !== undefined && zygote[HEAP_VARIABLE] !== runtime[HEAP_VARIABLE]) return true;
  return Object.keys({ ...zygote, ...runtime }).some((name) => zygote[name] !== runtime[name] && isStartVariable(name));
}

/** Runtimes that have loaded before the rest of a pod's start is over. Java's warms itself up for much longer. */
const QUICK = /^(nodejs|python)/;

/** Whether a pod that is made for a function starts the runtime at once, while its agent still finds its gateways. */
export function startsAhead({ runtime, environment }: { runtime: string; environment: Variables }): boolean {
  return QUICK.test(runtime) && !Object.keys(environment).some(isStartVariable);
}

function isStartVariable(name: string): boolean {
  return START_VARIABLES.some((known) => (known.endsWith("*") ? name.startsWith(known.slice(0, -1)) : name === known));
}
