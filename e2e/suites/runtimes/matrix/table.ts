/**
 * What Lambda answers, per runtime and per way to fail: the one table that the cells are made from.
 *
 * Where the words are from: what a language's own client reports is in its source (awslambdaric 4.2.2 `bootstrap.py`, aws-lambda-ric 3.3.0
 * and 4.0.2 `index.mjs`, aws-lambda-java-runtime-interface-client 2.9.0 `UserFault` and `EventHandlerLoader`, aws-lambda-go 1.55.1 `errors.go`). What
 * the platform reports (`Runtime.ExitError`, `Runtime.InvalidEntrypoint`, `Sandbox.Timedout`) was recorded from Lambda by many:
 * awslabs/aws-lambda-cpp#30 and aws/aws-lambda-dotnet#480 for ends of the process, aws/aws-lambda-go#554, bakdata/aws-lambda-r-runtime#62
 * and awslabs/aws-lambda-dart-runtime#20 for a bootstrap that cannot be executed.
 */
import type { Runtime } from "../support/functions.ts";
import type { PackageFile } from "../support/zip.ts";
import { goProgram, javaClasses, nodeFiles, otherMachine, pythonFiles, shellFiles } from "./handlers.ts";

/** An error document. */
export interface Failure {
  /** Absent: the runtime's client reports none. */
  errorType?: string;
  message: RegExp;
  /** The document's field that holds the stack trace, and what its lines, each as JSON where it is no text, are joined by line breaks. */
  stack?: readonly [field: "stackTrace" | "trace", lines: RegExp];
}

/** A way in which a function cannot start. */
export interface BadStart {
  /** What differs from the row's function that works. */
  handler?: string;
  environment?: Record<string, string>;
  files?: () => Promise<Record<string, PackageFile>>;
  answer: Failure;
  /** The runtime starts, and its client tells of it with the event. */
  starts?: true;
  /** What the function's log has to show beside Lambda's own lines. */
  log?: RegExp;
}

/** What a function can be asked for that goes wrong in the handler: the `kind` of its event. */
export type Kind = "error" | "panic" | "exit" | "crash" | "unserialisable";

export interface Row {
  name: string;
  runtime: Runtime;
  handler: string;
  files: () => Promise<Record<string, PackageFile>>;
  /** Seconds; room for the runtime to start again within an event, as after a time-out. */
  timeout: number;
  /** By cell. */
  invocations: Readonly<Record<string, readonly [Kind, Failure | { verbatim: string }]>>;
  /** By cell. */
  starts: Readonly<Record<string, BadStart>>;
  /** A shell script answers one event with many processes: not what size and number are measured with. */
  small?: boolean;
}

const ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

/** What Lambda itself says of a runtime. */
const platform = (errorType: string, words: string): Failure => ({ errorType, message: new RegExp(`^RequestId: ${ID} Error: ${words}$`) });
const exited = (how: string): Failure => platform("Runtime.ExitError", `Runtime exited with error: ${how}`);
/** The kernel's word for a crash; whether it says more depends on the limit for core files. */
const signalled = (words: string): Failure => exited(`signal: ${words}(?: \\(core dumped\\))?`);
const noEntrypoint = (words: string): Failure => platform("Runtime.InvalidEntrypoint", words);

export const timedOut = (seconds: number): Failure => platform("Sandbox.Timedout", `Task timed out after ${seconds}\\.00 seconds`);
export const TOO_LARGE: Failure = {
  errorType: "Function.ResponseSizeTooLarge",
  message: /^Response payload size exceeded maximum allowed payload size \(6291556 bytes\)\.$/,
};

const python: Row = {
  name: "python3.11",
  runtime: "python3.11",
  handler: "index.handler",
  files: pythonFiles,
  timeout: 3,
  invocations: {
    error: [
      "error",
      {
        errorType: "ValueError",
        message: /^no such luck$/,
        stack: ["stackTrace", /^ {2}File "\/var\/task\/index\.py", line \d+, in handler\n {4}raise ValueError\("no such luck"\)\n$/],
      },
    ],
    exit: ["exit", exited("exit status 3")],
    "crash by signal": ["crash", signalled("segmentation fault")],
    "unserialisable result": [
      "unserialisable",
      {
        errorType: "Runtime.MarshalError",
        message: /^Unable to marshal response: Object of type set is not JSON serializable$/,
        stack: ["stackTrace", /^$/],
      },
    ],
  },
  starts: {
    "init failure": {
      environment: { INIT: "fail" },
      answer: {
        errorType: "ValueError",
        message: /^no such luck$/,
        stack: ["stackTrace", / {2}File "\/var\/task\/index\.py", line \d+, in <module>\n {4}raise ValueError\("no such luck"\)\n$/],
      },
      log: /\[ERROR\] ValueError: no such luck/,
    },
    "handler missing": {
      handler: "index.nothing",
      answer: {
        errorType: "Runtime.HandlerNotFound",
        message: /^Handler 'nothing' missing on module 'index'$/,
        stack: ["stackTrace", /^$/],
      },
      log: /\[ERROR\] Runtime\.HandlerNotFound: Handler 'nothing' missing on module 'index'/,
    },
    "import error": {
      handler: "import_error.handler",
      answer: {
        errorType: "Runtime.ImportModuleError",
        message: /^Unable to import module 'import_error': No module named 'nothing'$/,
        stack: ["stackTrace", /^$/],
      },
      log: /\[ERROR\] Runtime\.ImportModuleError: Unable to import module 'import_error': No module named 'nothing'/,
    },
    "syntax error": {
      handler: "syntax_error.handler",
      answer: {
        errorType: "Runtime.UserCodeSyntaxError",
        message: /^Syntax error in module 'syntax_error': .+ \(syntax_error\.py, line 1\)$/,
        stack: ["stackTrace", /^ {2}File "\/var\/task\/syntax_error\.py" Line 1\n {4}def handler\(event context\):\n$/],
      },
      log: /\[ERROR\] Runtime\.UserCodeSyntaxError: Syntax error in module 'syntax_error'/,
    },
  },
};

/** @param unserialisable the type of what JSON.stringify refuses: each of the client's two versions has its own */
const node = (runtime: "nodejs22.x" | "nodejs24.x", unserialisable: string): Row => ({
  name: runtime,
  runtime,
  handler: "index.handler",
  files: nodeFiles,
  timeout: 3,
  invocations: {
    error: [
      "error",
      {
        errorType: "RangeError",
        message: /^no such luck$/,
        stack: ["trace", /^RangeError: no such luck\n {4}at \S*handler \(file:\/\/\/var\/task\/index\.mjs:\d+:\d+\)\n/],
      },
    ],
    exit: ["exit", exited("exit status 3")],
    "crash by signal": ["crash", signalled("segmentation fault")],
    "unserialisable result": [
      "unserialisable",
      {
        errorType: unserialisable,
        message: /^Unable to stringify response body$/,
        stack: ["trace", /Unable to stringify response body\n {4}at .*\/var\/runtime\//],
      },
    ],
  },
  starts: {
    "init failure": {
      environment: { INIT: "fail" },
      answer: {
        errorType: "RangeError",
        message: /^no such luck$/,
        stack: ["trace", /^RangeError: no such luck\n {4}at file:\/\/\/var\/task\/index\.mjs:\d+:\d+\n/],
      },
      log: /RangeError: no such luck/,
    },
    "handler missing": {
      handler: "index.nothing",
      answer: {
        errorType: "Runtime.HandlerNotFound",
        message: /^index\.nothing is undefined or not exported$/,
        stack: ["trace", /index\.nothing is undefined or not exported\n {4}at .*\/var\/runtime\//],
      },
      log: /index\.nothing is undefined or not exported/,
    },
    "import error": {
      handler: "import_error.handler",
      answer: {
        errorType: "Runtime.ImportModuleError",
        message: /^Error: Cannot find module 'nothing'\nRequire stack:\n- \/var\/task\/import_error\.cjs/,
        stack: ["trace", /Error: Cannot find module 'nothing'\n/],
      },
      log: /Cannot find module 'nothing'/,
    },
    "syntax error": {
      handler: "syntax_error.handler",
      answer: {
        errorType: "Runtime.UserCodeSyntaxError",
        message: /^SyntaxError: /,
        stack: ["trace", /SyntaxError: /],
      },
      log: /Runtime\.UserCodeSyntaxError/,
    },
  },
});

const java: Row = {
  name: "java17",
  runtime: "java17",
  handler: "example.Handler::handleRequest",
  files: javaClasses,
  timeout: 6,
  invocations: {
    error: [
      "error",
      {
        errorType: "java.lang.IllegalStateException",
        message: /^no such luck$/,
        // Of the client's own frames none is left: UserFault.filterStackTrace.
        stack: ["stackTrace", /^example\.Handler\.handleRequest\(Handler\.java:\d+\)(?:\n(?!com\.amazonaws).*)*$/],
      },
    ],
    exit: ["exit", exited("exit status 3")],
    "crash by signal": ["crash", signalled("aborted")],
    "unserialisable result": [
      "unserialisable",
      {
        errorType: "java.lang.RuntimeException",
        message: /^An error occurred during JSON serialization of response$/,
        stack: ["stackTrace", /^(?!.*example\.)/],
      },
    ],
  },
  starts: {
    "init failure": {
      environment: { INIT: "fail" },
      // Without a stack trace, "for compatibility with legacy/native runtime": LambdaErrorConverter.fromUserFault.
      answer: { errorType: "java.lang.IllegalStateException", message: /^no such luck$/ },
      log: /java\.lang\.IllegalStateException: no such luck[\s\S]*at example\.Handler\.<init>\(Handler\.java:\d+\)/,
    },
    "handler missing": {
      handler: "example.Handler::nothing",
      starts: true,
      answer: { message: /^No public method named nothing with appropriate method signature found on class example\.Handler$/ },
      log: /No public method named nothing/,
    },
    "handler missing: its class": {
      handler: "example.Nothing::handleRequest",
      starts: true,
      answer: { errorType: "java.lang.ClassNotFoundException", message: /^Class not found: example\.Nothing$/ },
      log: /Class not found: example\.Nothing: java\.lang\.ClassNotFoundException/,
    },
    "import error": {
      handler: "example.NeedsMissing::handle",
      starts: true,
      answer: { errorType: "java.lang.NoClassDefFoundError", message: /^Error loading class example\.NeedsMissing: example\/Missing$/ },
      log: /java\.lang\.NoClassDefFoundError/,
    },
    // What the compiler refuses never gets there; a class file that is damaged does.
    "syntax error": {
      handler: "example.Corrupt::handle",
      answer: {
        errorType: "java.lang.ClassFormatError",
        message: /^Error loading class example\.Corrupt: Incompatible magic value \d+ in class file example\/Corrupt$/,
      },
      log: /java\.lang\.ClassFormatError/,
    },
  },
};

/** Frames of the client and of Go itself are around the function's own. */
const FRAMES_OF_GO = /(?:^|\n)\{"path":"example\/main\.go","line":\d+,"label":"handle"\}\n/;

const go: Row = {
  name: "provided.al2023",
  runtime: "provided.al2023",
  // Lambda ignores it: a program for provided.al2023 has its handler in itself.
  handler: "anything.at.all",
  files: goProgram,
  timeout: 3,
  invocations: {
    error: ["error", { errorType: "noSuchLuck", message: /^no such luck$/ }],
    "error: a panic": ["panic", { errorType: "noSuchLuck", message: /^no such luck$/, stack: ["stackTrace", FRAMES_OF_GO] }],
    exit: ["exit", exited("exit status 3")],
    "crash by signal": ["crash", signalled("killed")],
    "unserialisable result": ["unserialisable", { errorType: "UnsupportedTypeError", message: /^json: unsupported type: chan int$/ }],
  },
  starts: {
    "init failure": {
      environment: { INIT: "fail" },
      answer: exited("exit status 2"),
      log: /panic: no such luck\n\ngoroutine 1 \[running\]:/,
    },
    // The handler is the program.
    "handler missing": {
      files: async () => ({ "main.go": "package main\n" }),
      answer: noEntrypoint("Couldn't find valid bootstrap\\(s\\): \\[/var/task/bootstrap /opt/bootstrap\\]"),
    },
    // What a program needs before it runs: its loader or interpreter, such as /bin/sh with a carriage return.
    "import error": {
      files: async () => ({ bootstrap: { content: "#!/bin/nothing\n", mode: 0o755 } }),
      answer: noEntrypoint("fork/exec /var/task/bootstrap: no such file or directory"),
    },
    "syntax error: a program for another machine": {
      files: async () => ({ bootstrap: { content: await otherMachine(), mode: 0o755 } }),
      answer: noEntrypoint("fork/exec /var/task/bootstrap: exec format error"),
    },
    "syntax error: a program that may not be executed": {
      files: async () => ({ bootstrap: { content: "#!/bin/sh\n", mode: 0o644 } }),
      answer: noEntrypoint("fork/exec /var/task/bootstrap: permission denied"),
    },
  },
};

const shell: Row = {
  name: "provided.al2023, a shell script",
  runtime: "provided.al2023",
  handler: "function.handler",
  files: shellFiles,
  timeout: 3,
  small: true,
  invocations: {
    error: ["error", { errorType: "Shell.Failed", message: /^no such luck$/ }],
    exit: ["exit", exited("exit status 3")],
    "crash by signal": ["crash", signalled("segmentation fault")],
    // Nobody asks whether it is JSON.
    "unserialisable result": ["unserialisable", { verbatim: "not { JSON\n" }],
  },
  starts: {
    "init failure": { environment: { INIT: "fail" }, answer: { errorType: "Shell.NoSuchLuck", message: /^no such luck$/ } },
    "handler missing": {
      handler: "function.nothing",
      starts: true,
      answer: { errorType: "Shell.Failed", message: /nothing: command not found$/ },
    },
    "import error": {
      handler: "nothing.handler",
      answer: exited("exit status 1"),
      log: /\/var\/task\/nothing\.sh: No such file or directory/,
    },
    "syntax error": {
      handler: "syntax_error.handler",
      answer: exited("exit status 2"),
      log: /\/var\/task\/syntax_error\.sh: line 1: syntax error near unexpected token/,
    },
  },
};

export const TABLE: readonly Row[] = [
  python,
  node("nodejs22.x", "Error"),
  node("nodejs24.x", "Runtime.JSONStringifyError"),
  java,
  go,
  shell,
];
