/** The real agent with AWS's real runtime client for Java, against a gateway that speaks the protocol. */
import { rm } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Assignment } from "../../operator/src/api/environment-protocol.ts";
import { type AgentProcess, startAgent, until } from "../agent/testing/agent-process.ts";
import { type AgentLink, startTestGateway, type TestGateway } from "../agent/testing/gateway.ts";
import { compileJava, javaRuntime } from "../agent/testing/java-runtime.ts";
import { assignmentOf, type TestFile, zipOf } from "../agent/testing/packages.ts";

const SOURCE = `
package app;
import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.lang.management.ManagementFactory;
import java.util.*;

public class Functions {
  public static class Echo implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) { return event; }
  }
  public static class Person {
    private String name; private int age; private List<String> tags;
    public String getName() { return name; } public void setName(String name) { this.name = name; }
    public int getAge() { return age; } public void setAge(int age) { this.age = age; }
    public List<String> getTags() { return tags; } public void setTags(List<String> tags) { this.tags = tags; }
  }
  public static class Older implements RequestHandler<Person, Person> {
    public Person handleRequest(Person person, Context context) { person.setAge(person.getAge() + 1); return person; }
  }
  public static class Upper implements RequestStreamHandler {
    public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
      out.write(new String(in.readAllBytes(), "UTF-8").toUpperCase().getBytes("UTF-8"));
    }
  }
  public String greet(Person person, Context context) { return "Hello " + person.getName() + " from " + context.getFunctionName(); }
  public static int length(String text) { return text.length(); }

  public static class About implements RequestHandler<Object, Map<String, Object>> {
    public Map<String, Object> handleRequest(Object event, Context context) {
      var all = new TreeMap<String, Object>();
      all.put("id", context.getAwsRequestId());
      all.put("arn", context.getInvokedFunctionArn());
      all.put("remaining", context.getRemainingTimeInMillis());
      all.put("memory", context.getMemoryLimitInMB());
      all.put("group", context.getLogGroupName());
      all.put("stream", context.getLogStreamName());
      all.put("name", context.getFunctionName());
      all.put("version", context.getFunctionVersion());
      all.put("client", context.getClientContext() == null ? null : context.getClientContext().getCustom());
      all.put("trace", System.getProperty("com.amazonaws.xray.traceHeader"));
      all.put("directory", System.getProperty("user.dir"));
      all.put("options", ManagementFactory.getRuntimeMXBean().getInputArguments());
      all.put("heap", Runtime.getRuntime().maxMemory() >> 20);
      all.put("collectors", ManagementFactory.getGarbageCollectorMXBeans().stream().map(bean -> bean.getName()).toList());
      all.put("environment", System.getenv());
      all.put("unpacked", new File("/tmp/.libaws-lambda-jni.so").exists());
      return all;
    }
  }
  public static class Logs implements RequestHandler<Object, String> {
    public String handleRequest(Object event, Context context) {
      context.getLogger().log("from the logger: grüß\\n");
      System.out.println("from stdout: grüß");
      System.err.println("from stderr");
      return "";
    }
  }
  public static class Fails implements RequestHandler<Object, Object> {
    private int n = 0;
    public Object handleRequest(Object event, Context context) {
      switch (String.valueOf(event)) {
        case "throw": throw new IllegalStateException("outer", new IllegalArgumentException("inner"));
        case "exit": System.exit(3);
        case "memory": var all = new ArrayList<long[]>(); while (true) all.add(new long[1 << 17]);
        case "endless": return new Endless();
        case "stack": return deeper(0);
        default: return ++n;
      }
    }
    private int deeper(int n) { return deeper(n + 1) + 1; }
  }
  public static class Endless { public Endless getSelf() { return this; } }
  public static class Answer implements RequestHandler<Integer, String> {
    public String handleRequest(Integer length, Context context) { return "x".repeat(length - 2); }
  }
  public static class BadStart implements RequestHandler<Object, Object> {
    static int nothing = Integer.parseInt("nothing");
    public Object handleRequest(Object event, Context context) { return nothing; }
  }
  public static class BadConstructor implements RequestHandler<Object, Object> {
    public BadConstructor() { throw new IllegalStateException("at start"); }
    public Object handleRequest(Object event, Context context) { return event; }
  }
  public static class Layered implements RequestHandler<Object, Object> {
    public Object handleRequest(Object event, Context context) { return new library.Library().name(); }
  }
}
`;

const EXECUTABLE = 0o100755;
const gateways: TestGateway[] = [];
const agents: AgentProcess[] = [];
let runtimeRoot: string;
let classes: Record<string, Uint8Array>;

beforeAll(async () => {
  runtimeRoot = await javaRuntime();
  const library = 'package library;\npublic class Library { public String name() { return "in a jar"; } }\n';
  classes = await compileJava(runtimeRoot, { "app/Functions.java": SOURCE, "library/Library.java": library });
}, 300_000);
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop()));
  await Promise.all(gateways.splice(0).map((gateway) => gateway.kill()));
});
afterAll(() => rm(runtimeRoot, { recursive: true, force: true }));

/** An agent that was told to become this function. */
async function assigned(handler: string, over: Partial<Assignment> = {}, files: Record<string, TestFile> = {}) {
  const code = zipOf({ ...classes, ...files });
  const gateway = await startTestGateway();
  gateways.push(gateway);
  gateway.packages.set(code.sha256, code.bytes);
  const agent = await startAgent({ runtimeRoot, gatewayPort: gateway.port, env: { KAPPA_RUNTIME: "java17" } });
  agents.push(agent);
  const link = await gateway.agent();
  return { agent, link, ...(await link.assign(assignmentOf(code, { handler, memorySize: 512, timeout: 30, ...over }))) };
}

/** The same for a function that starts. */
async function running(
  handler: string,
  over: Partial<Assignment> = {},
  files: Record<string, TestFile> = {},
): Promise<{ agent: AgentProcess; link: AgentLink }> {
  const { agent, link, assigned: done, failed, body } = await assigned(handler, over, files);
  if (!done) throw new Error(`not assigned: ${JSON.stringify(failed)} ${body}\n${agent.stdout}\n${agent.stderr}`);
  return { agent, link };
}

/** What a caller learns of a function that does not start. */
async function startError({ link, failed, body }: Awaited<ReturnType<typeof assigned>>): Promise<unknown> {
  return failed ? JSON.parse(body.toString()) : (await link.invoke({})).json;
}

interface JavaError {
  errorType: string;
  errorMessage: string;
  stackTrace?: string[];
}

describe("a handler", () => {
  test("of maps gets the event and answers", async () => {
    const { link } = await running("app.Functions$Echo::handleRequest");
    const event = { text: "ünï😀", numbers: [1, 2.5], nested: { a: true } };
    // The client leaves out what is null.
    const { json, result } = await link.invoke({ ...event, nothing: null });
    expect(json).toEqual(event);
    expect(result).toMatchObject({ reusable: true });
    for (let n = 0; n < 1_000; n++) expect((await link.invoke({ n })).json).toEqual({ n });
  });

  test.each<[string, string, unknown, unknown]>([
    ["of objects", "app.Functions$Older", { name: "Ann", age: 41, tags: ["a"], unknown: 1 }, { name: "Ann", age: 42, tags: ["a"] }],
    ["of streams", "app.Functions$Upper", { a: "grüß" }, { A: "GRÜSS" }],
    ["that is a method with a context", "app.Functions::greet", { name: "Ann" }, "Hello Ann from f"],
    ["that is a static method", "app.Functions::length", "four", 4],
  ])("%s gets the event and answers", async (_kind, handler, event, answer) => {
    const { link } = await running(handler);
    expect((await link.invoke(event)).json).toEqual(answer);
  });

  test("may use a jar in lib", async () => {
    const jar = zipOf({ "library/Library.class": classes["library/Library.class"] ?? "" }).bytes;
    const { "library/Library.class": _, ...own } = classes;
    const all = classes;
    classes = own;
    try {
      const { link } = await running("app.Functions$Layered", {}, { "lib/library.jar": jar });
      expect((await link.invoke({})).json).toBe("in a jar");
    } finally {
      classes = all;
    }
  });

  test("may get and answer 6 MB, but not a byte more than the limit", async () => {
    const { link } = await running("app.Functions::length");
    expect((await link.invoke("y".repeat(6_291_454))).json).toBe(6_291_454);
    const answers = await running("app.Functions$Answer");
    const largest = await answers.link.invoke(6_291_556);
    expect(largest.result.functionError).toBeUndefined();
    expect(largest.body.length).toBe(6_291_556);
    const { result } = await answers.link.invoke(6_291_557);
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Function.ResponseSizeTooLarge", reusable: true });
    expect((await answers.link.invoke(10)).json).toBe("x".repeat(8));
  });

  test("has Lambda's context and environment", async () => {
    const { agent, link } = await running("app.Functions$About");
    const requestId = crypto.randomUUID();
    const { json } = await link.invoke({}, { requestId, clientContext: '{"custom":{"a":"b"}}', traceId: "Root=1-2-3" });
    expect(json).toMatchObject({
      id: requestId,
      arn: "arn:aws:lambda:us-east-1:000000000001:function:f",
      memory: 512,
      group: "/aws/lambda/f",
      stream: "2026/01/01/[$LATEST]0",
      name: "f",
      version: "$LATEST",
      client: { a: "b" },
      trace: "Root=1-2-3",
      directory: agent.taskRoot,
      environment: { _HANDLER: "app.Functions$About", AWS_EXECUTION_ENV: "AWS_Lambda_java17", LAMBDA_TASK_ROOT: agent.taskRoot },
      unpacked: false,
    });
    const { remaining } = json as { remaining: number };
    expect(remaining).toBeGreaterThan(10_000);
    expect(remaining).toBeLessThanOrEqual(30_000);
  });
});

describe("Java", () => {
  type About = { options: string[]; heap: number; collectors: string[] };
  const about = async (over: Partial<Assignment>): Promise<About> =>
    (await (await running("app.Functions$About", over)).link.invoke({})).json as About;

  test.each([
    [256, "222823k"],
    [384, "334233k"],
    [512, "445645k"],
    [3008, "2834432k"],
  ])("with %i MB has the heap that it has on Lambda, and Lambda's other options", async (memorySize, heap) => {
    const { options, collectors } = await about({ memorySize });
    const lambdas = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--add-opens=java.base/java.io=ALL-UNNAMED", "-XX:+ErrorFileToStderr"];
    expect(options).toEqual(expect.arrayContaining([`-XX:MaxHeapSize=${heap}`, ...lambdas]));
    expect(collectors).toContain("MarkSweepCompact");
  });

  test("has the heap, the collector and the compiler that JAVA_TOOL_OPTIONS asks for", async () => {
    const JAVA_TOOL_OPTIONS = "-Xmx100m -XX:+UseParallelGC -XX:TieredStopAtLevel=4";
    const { options, heap, collectors } = await about({ environment: { JAVA_TOOL_OPTIONS } });
    expect(heap).toBeLessThanOrEqual(100);
    expect(collectors).toContain("PS MarkSweep");
    expect(options).not.toContain("-XX:TieredStopAtLevel=1");
    expect(options).toContain("-XX:TieredStopAtLevel=4");
  });

  test("has Lambda's collector when JAVA_TOOL_OPTIONS only speaks of collecting", async () => {
    const JAVA_TOOL_OPTIONS = "-XX:+UseStringDeduplication -XX:-UseGCOverheadLimit -XX:+UseNUMA -XX:MaxGCPauseMillis=100";
    const { options } = await about({ environment: { JAVA_TOOL_OPTIONS } });
    expect(options).toEqual(expect.arrayContaining(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]));
  });

  test("loads the client's classes from the archive", async () => {
    const JAVA_TOOL_OPTIONS = "-Xlog:class+load=info:stdout";
    const { agent, link } = await running("app.Functions$Older", { environment: { JAVA_TOOL_OPTIONS } });
    await link.invoke({ name: "Ann" });
    const lines = (await agent.output("REPORT")).split("\n").filter((line) => line.includes(" source: "));
    const shared = lines.filter((line) => line.includes("shared objects file"));
    expect(lines.filter((line) => /com\.amazonaws\.lambda\.thirdparty.*shared objects file/.test(line)).length).toBeGreaterThan(100);
    expect(shared.length).toBeGreaterThan(0.9 * lines.length);
  });

  test("has the function's variables as they are, whatever those of its start-up file are called", async () => {
    const names = ["runtime", "classpath", "native", "heap", "collector", "compiler", "option", "total", "classes", "code", "wrapper"];
    const environment = Object.fromEntries(names.map((name) => [name, `own ${name}`]));
    const { link } = await running("app.Functions$About", { environment });
    expect((await link.invoke({})).json).toMatchObject({ environment });
  });

  test("is started by the wrapper script, which gets the whole command", async () => {
    const wrapper = { content: '#!/bin/sh\nexport WRAPPED="$*"\nexec "$@"\n', mode: EXECUTABLE };
    const { link } = await running(
      "app.Functions$About",
      { environment: { AWS_LAMBDA_EXEC_WRAPPER: "./wrap.sh" } },
      { "wrap.sh": wrapper },
    );
    const { environment } = (await link.invoke({})).json as { environment: Record<string, string> };
    expect(environment.WRAPPED).toMatch(/^\/\S+\/java -XX:.* com\.amazonaws\S+\.AWSLambda app\.Functions\$About$/);
  });

  test("that has no wrapper script where one is named does not start, and the log says why", async () => {
    const start = await assigned("app.Functions$Echo", { environment: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/absent" } });
    expect(await startError(start)).toMatchObject({ errorMessage: expect.stringMatching(/exit status 127$/) });
    await start.agent.output("/opt/absent: does not exist");
  });
});

test("what a function logs and prints is in its log", async () => {
  const { link } = await running("app.Functions$Logs");
  const { tail } = await link.invoke({}, { logTail: true });
  for (const line of ["from the logger: grüß\n", "from stdout: grüß\n", "from stderr\n"]) expect(tail).toContain(line);
});

test("the logger writes JSON where the function's log has that format", async () => {
  const { agent, link } = await running("app.Functions$Logs", { logging: { format: "JSON", group: "g", stream: "s" } });
  const requestId = link.offer("{}");
  await link.outcome(requestId);
  const output = await agent.output("from the logger");
  const line = output.split("\n").find((text) => text.includes("from the logger")) ?? "";
  expect(JSON.parse(line)).toMatchObject({ message: "from the logger: grüß\n", AWSRequestId: requestId });
});

describe("a failure", () => {
  /** Frames below the function's own are the client's and Java's, as on Lambda; none is of Kappa's. */
  function expectCleanTrace({ stackTrace = [] }: JavaError): void {
    expect(stackTrace[0]).toMatch(/^app\.Functions\$\w+\.handleRequest\(Functions\.java:\d+\)$/);
    expect(stackTrace.join("\n")).not.toMatch(/kappa/i);
  }

  test("of the handler has its type, message, cause and trace", async () => {
    const { agent, link } = await running("app.Functions$Fails");
    const { result, json } = await link.invoke("throw");
    // The client tells the platform only that it was the function's.
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.UserException", reusable: true });
    const error = json as JavaError;
    expect(error).toMatchObject({ errorType: "java.lang.IllegalStateException", errorMessage: "outer" });
    expectCleanTrace(error);
    // The client tells the cause only in the log.
    expect(await agent.output("Caused by: java.lang.IllegalArgumentException: inner\n")).not.toMatch(/kappa/i);
    expect((await link.invoke("")).json).toBe(1);
  });

  test("to make JSON of the answer is an error of the function", async () => {
    const { link } = await running("app.Functions$Fails");
    const { result, json } = await link.invoke("endless");
    expect(result).toMatchObject({ functionError: "Unhandled", reusable: true });
    expect((json as JavaError).errorMessage).toMatch(/serializ/i);
    expect((await link.invoke("")).json).toEqual(expect.any(Number));
  });

  test("to make an object of the event is an error of the function", async () => {
    const { link } = await running("app.Functions$Older");
    const { result, json } = await link.outcome(link.offer("not json"));
    expect(result.functionError).toBe("Unhandled");
    expect((json as JavaError).errorMessage).toMatch(/JSON/);
    expect((await link.invoke({ name: "Ann" })).json).toMatchObject({ age: 1 });
  });

  test.each([
    ["the heap", "memory", "java.lang.OutOfMemoryError", "Java heap space"],
    ["the stack", "stack", "java.lang.StackOverflowError", null],
  ])("for lack of room on %s is told, and the next event has a new process", async (_what, event, errorType, errorMessage) => {
    const { link } = await running("app.Functions$Fails");
    expect((await link.invoke("")).json).toBe(1);
    const { result, json } = await link.invoke(event);
    expect(result).toMatchObject({ functionError: "Unhandled", reusable: true });
    expect(json).toMatchObject(errorMessage === null ? { errorType } : { errorType, errorMessage });
    expect((await link.invoke("")).json).toBe(1);
  });

  test("by System.exit is told as Lambda does, and the next event has a new process", async () => {
    const { link } = await running("app.Functions$Fails");
    const requestId = crypto.randomUUID();
    const { json } = await link.invoke("exit", { requestId });
    expect(json).toEqual({
      errorType: "Runtime.ExitError",
      errorMessage: `RequestId: ${requestId} Error: Runtime exited with error: exit status 3`,
    });
    expect((await link.invoke("")).json).toBe(1);
  });

  test.each([
    ["class", "app.Missing::handleRequest", "java.lang.ClassNotFoundException", /^Class not found: app\.Missing$/],
    ["method", "app.Functions::missing", undefined, /No public method named missing/],
  ])("to find the handler's %s is told to each event", async (_what, handler, errorType, message) => {
    const { link } = await running(handler);
    for (let n = 0; n < 2; n++) {
      const { result, json } = await link.invoke({});
      expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.BadFunctionCode" });
      const error = json as JavaError;
      expect(error.errorType).toBe(errorType);
      expect(error.errorMessage).toMatch(message);
    }
  });

  test.each([
    [
      "a static initialiser",
      "app.Functions$BadStart",
      "java.lang.ExceptionInInitializerError",
      "Error loading class app.Functions$BadStart",
    ],
    ["a constructor", "app.Functions$BadConstructor", "java.lang.IllegalStateException", "at start"],
  ])("of %s is told as the reason why the function does not start", async (_what, handler, errorType, errorMessage) => {
    const start = await assigned(handler);
    expect(await startError(start)).toMatchObject({ errorType, errorMessage });
    expect(await start.agent.output("app.Functions")).not.toMatch(/kappa/i);
  });

  test("does not come of standing still between events", async () => {
    const { agent, link } = await running("app.Functions$Fails");
    await link.invoke("");
    await until(async () => ((await agent.functionProcesses())[0]?.state === "T" ? true : undefined), "Java to be stopped");
    expect((await link.invoke("")).json).toBe(2);
  });
});
