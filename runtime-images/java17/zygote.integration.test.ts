/** A function that a zygote becomes finds what it would find in a fresh start. */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileJava, javaRuntime } from "../agent/testing/java-runtime.ts";
import { zipOf } from "../agent/testing/packages.ts";
import { RuntimeStart, type StartOptions, WAYS, type Way } from "../agent/testing/runtime-start.ts";

const SOURCES = {
  "app/About.java": `
package app;
import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.lang.management.ManagementFactory;
import java.nio.charset.Charset;
import java.nio.file.*;
import java.security.Security;
import java.util.*;
import java.util.stream.*;

public class About implements RequestHandler<Map<String, Object>, Map<String, Object>> {
  private final Map<String, Object> all = new TreeMap<>();

  public About() throws Exception {
    var properties = new TreeMap<String, Object>();
    System.getProperties().forEach((name, value) -> properties.put((String) name, value));
    all.put("properties", properties);
    all.put("threads", ManagementFactory.getThreadMXBean() == null ? null : threads());
    all.put("stack at start", stack());
    all.put("serializer searched", state("com.amazonaws.services.lambda.runtime.api.client.PojoSerializerLoader", "initialized"));
    all.put("logger", LambdaRuntime.getLogger().getClass().getName());
    all.put("context class loader", Thread.currentThread().getContextClassLoader().getClass().getName());
    all.put("hooks", hooks());
    all.put("accessor", accessor());
  }

  public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
    try {
      return look(context);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private Map<String, Object> look(Context context) throws Exception {
    all.put("descriptors", descriptors());
    all.put("environment", System.getenv());
    all.put("environment of a child", lines(new ProcessBuilder("/usr/bin/env").start()));
    all.put("inherited environment", lines(Runtime.getRuntime().exec("/usr/bin/env")));
    all.put("child by its name", lines(new ProcessBuilder("env").start()));
    all.put("options", ManagementFactory.getRuntimeMXBean().getInputArguments());
    all.put("class path", ManagementFactory.getRuntimeMXBean().getClassPath());
    var thread = Thread.currentThread();
    all.put("thread", List.of(thread.getName(), thread.getId(), thread.getPriority(), thread.isDaemon(), thread.getThreadGroup().getName()));
    var next = new Thread(() -> {});
    all.put("next thread", List.of(next.getName(), next.getId()));
    all.put("stack", stack());
    all.put("streams", List.of(System.in.getClass().getName(), System.out.getClass().getName(), System.err.getClass().getName(), System.in.read()));
    var wanted = List.of("SigBlk", "SigIgn", "SigCgt", "Umask", "NoNewPrivs");
    all.put("status", Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> wanted.contains(line.split(":")[0])).toList());
    all.put("limits", Files.readAllLines(Path.of("/proc/self/limits")));
    all.put("directory", new File("").getAbsolutePath());
    all.put("locale", List.of(Locale.getDefault().toString(), Charset.defaultCharset().name(), TimeZone.getDefault().getID()));
    all.put("providers", Arrays.stream(Security.getProviders()).map(Object::toString).toList());
    all.put("security", List.of(Security.getProperty("jdk.tls.disabledAlgorithms"), Security.getProperty("networkaddress.cache.negative.ttl")));
    all.put("heap", Runtime.getRuntime().maxMemory());
    all.put("collectors", ManagementFactory.getGarbageCollectorMXBeans().stream().map(bean -> bean.getName()).toList());
    all.put("handler of uncaught exceptions", String.valueOf(Thread.getDefaultUncaughtExceptionHandler()));
    all.put("context", List.of(context.getFunctionName(), context.getFunctionVersion(), context.getMemoryLimitInMB(), context.getLogGroupName(), context.getLogStreamName(), context.getLogger().getClass().getName()));
    all.put("training", List.of(loadable("Training"), loadable("Training$Event")));
    return all;
  }

  private static List<String> threads() {
    return Thread.getAllStackTraces().keySet().stream().map(thread -> thread.getName() + thread.getId() + thread.isDaemon()).sorted().collect(Collectors.toList());
  }

  private static List<String> stack() {
    return Arrays.stream(new Throwable().getStackTrace()).map(StackTraceElement::toString).filter(frame -> !frame.startsWith("dev.kappa.runtime.Zygote.main(")).collect(Collectors.toList());
  }

  private static Object state(String type, String name) throws Exception {
    var field = Class.forName(type).getDeclaredField(name);
    field.setAccessible(true);
    return field.get(null);
  }

  /** Java makes a numbered class for a method that is called often by reflection. */
  private static String accessor() throws Exception {
    var method = About.class.getMethod("caller");
    var caller = "";
    for (int n = 0; n < 20; n++) caller = (String) method.invoke(null);
    return caller;
  }

  public static String caller() {
    return new Throwable().getStackTrace()[1].getClassName();
  }

  /** A hook that somebody had registered would be registered twice. */
  private static List<String> hooks() {
    var hook = new Thread(() -> {});
    Runtime.getRuntime().addShutdownHook(hook);
    return List.of(String.valueOf(Runtime.getRuntime().removeShutdownHook(hook)));
  }

  private static List<String> lines(Process child) throws Exception {
    return new BufferedReader(new InputStreamReader(child.getInputStream())).lines().sorted().collect(Collectors.toList());
  }

  private static List<String> descriptors() throws Exception {
    var found = new ArrayList<String>();
    for (var file : new File("/proc/self/fd").listFiles())
      try {
        var target = Files.readSymbolicLink(file.toPath()).toString();
        // The machine itself looks there for its limits from time to time, for a moment.
        if (!target.startsWith("/sys/fs/cgroup/")) found.add(target.replaceAll("[0-9]+", "N"));
      } catch (NoSuchFileException gone) {
        // That of the listing itself.
      }
    Collections.sort(found);
    return found;
  }

  private static boolean loadable(String name) {
    try {
      Class.forName(name);
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }
}
`,
  "app/Functions.java": `
package app;
import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.security.SecureRandom;
import java.util.*;

public class Functions {
  public static class Person { public String name; public int age; public Date born; }
  public static class Older implements RequestHandler<Person, Person> {
    public Person handleRequest(Person person, Context context) { if (person != null) person.age++; return person; }
  }
  public static class Upper implements RequestStreamHandler {
    public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
      out.write(new String(in.readAllBytes(), "UTF-8").toUpperCase().getBytes("UTF-8"));
    }
  }
  public String greet(Person person, Context context) { return "Hello " + person.name; }
  public static class Layered implements RequestHandler<Object, Object> {
    public Object handleRequest(Object event, Context context) { return new library.Library().name(); }
  }
  public static class Random implements RequestHandler<Object, Object> {
    public Object handleRequest(Object event, Context context) {
      return List.of(Math.random(), new java.util.Random().nextLong(), UUID.randomUUID(), new SecureRandom().nextLong(), new SplittableRandom().nextLong());
    }
  }
  public static class Zoned implements RequestHandler<Object, Object> {
    static { System.setProperty("user.timezone", "Asia/Tokyo"); }
    public Object handleRequest(Object event, Context context) { return TimeZone.getDefault().getID(); }
  }
  public static class Logs implements RequestHandler<Object, Object> {
    public Object handleRequest(Object event, Context context) {
      context.getLogger().log("plain\\n");
      context.getLogger().log("fine", com.amazonaws.services.lambda.runtime.logging.LogLevel.DEBUG);
      context.getLogger().log("bad", com.amazonaws.services.lambda.runtime.logging.LogLevel.ERROR);
      System.out.println("out");
      System.err.println("err");
      throw new IllegalStateException("last", new IllegalArgumentException("cause"));
    }
  }
  public static class BadStart implements RequestHandler<Object, Object> {
    static int nothing = Integer.parseInt("nothing");
    public Object handleRequest(Object event, Context context) { return nothing; }
  }
  public static class BadConstructor implements RequestHandler<Object, Object> {
    public BadConstructor() { throw new IllegalStateException("at start"); }
    public Object handleRequest(Object event, Context context) { return event; }
  }
}
`,
  "app/Own.java": `
package app;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import java.io.*;
import java.lang.reflect.Type;

/** A serializer that the function brings. */
public class Own implements CustomPojoSerializer {
  public <T> T fromJson(InputStream input, Type type) { return null; }
  public <T> T fromJson(String input, Type type) { return null; }
  public <T> void toJson(T value, OutputStream output, Type type) {
    try { output.write("\\"own\\"".getBytes()); } catch (IOException e) { throw new UncheckedIOException(e); }
  }
}
`,
  "library/Library.java": 'package library;\npublic class Library { public String name() { return "in a jar"; } }\n',
};

let runtimeRoot: string;
let start: RuntimeStart;
let classes: Record<string, Uint8Array>;

beforeAll(async () => {
  runtimeRoot = await javaRuntime();
  const { "library/Library.class": library, ...own } = await compileJava(runtimeRoot, SOURCES);
  classes = { ...own, "lib/library.jar": zipOf({ "library/Library.class": library ?? "" }).bytes };
  start = await RuntimeStart.create();
}, 300_000);
afterAll(async () => {
  await start?.close();
  await rm(runtimeRoot, { recursive: true, force: true });
});

function options(handler: string, over: Partial<StartOptions> = {}): StartOptions {
  const { assignment, files, ...rest } = over;
  return {
    runtime: "java17",
    runtimeRoot,
    files: { ...classes, ...files },
    assignment: { memorySize: 512, handler: `app.${handler}`, ...assignment },
    ...rest,
  };
}

/** What the handler answers when its runtime came that way. */
async function answer(way: Way, handler: string, event: unknown = {}, over: Partial<StartOptions> = {}): Promise<unknown> {
  await start.become(way, options(handler, over));
  return await start.invoke(event);
}

/** What is the same in no two starts. */
const normal = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, "ID")
    .replaceAll(/@[\da-f]+/g, "@HASH");

test("what a function can observe is as in a fresh start", async () => {
  const assignment = { environment: { OWN: "välue\n=x", EMPTY: "", PATH: `${start.taskRoot}:/usr/bin:/bin` } };
  const fresh = (await answer("bootstrap", "About", {}, { assignment })) as Record<string, unknown>;
  const become = (await answer("zygote", "About", {}, { assignment })) as Record<string, unknown>;
  expect(fresh.accessor).toMatch(/GeneratedMethodAccessor\d+$/);
  expect(fresh).toMatchObject({ environment: { OWN: expect.anything(), PWD: start.taskRoot }, training: [false, false] });
  for (const what of Object.keys(fresh)) expect(become[what], what).toEqual(fresh[what]);
  expect(Object.keys(become)).toEqual(Object.keys(fresh));
});

test.each([
  ["of objects", "Functions$Older", { name: "Ann", age: 41, born: 0 }, { name: "Ann", age: 42, born: 0 }],
  ["of streams", "Functions$Upper", { a: "grüß" }, { A: "GRÜSS" }],
  ["that is a method", "Functions::greet", { name: "Ann" }, "Hello Ann"],
  ["with a jar in lib", "Functions$Layered", {}, "in a jar"],
])("a handler %s answers in a zygote", async (_kind, handler, event, expected) => {
  for (const way of WAYS) expect(await answer(way, handler, event)).toEqual(expected);
});

test("the serializer that a function brings is found", async () => {
  const files = { "META-INF/services/com.amazonaws.services.lambda.runtime.CustomPojoSerializer": "app.Own" };
  for (const way of WAYS) expect(await answer(way, "Functions$Older", {}, { files })).toBe("own");
});

test("a function may say which time zone is to be the default one", async () => {
  for (const way of WAYS) expect(await answer(way, "Functions$Zoned")).toBe("Asia/Tokyo");
});

test("no two zygotes have the same random numbers", async () => {
  const numbers: unknown[] = [];
  for (let n = 0; n < 2; n++) numbers.push(...((await answer("zygote", "Functions$Random")) as unknown[]));
  expect(numbers).toHaveLength(10);
  expect(new Set(numbers).size).toBe(10);
});

describe("what a function logs and the report of its failure are as in a fresh start", () => {
  test.each([{ format: "Text" } as const, { format: "JSON" } as const, { format: "JSON", applicationLevel: "ERROR" } as const])(
    "%o",
    async (logging) => {
      const [errors, outputs]: [unknown[], string[]] = [[], []];
      for (const way of WAYS) {
        errors.push(await answer(way, "Functions$Logs", {}, { assignment: { logging: { ...logging, group: "g", stream: "s" } } }));
        await start.idle();
        outputs.push(normal(await start.output()));
      }
      expect(errors[0]).toMatchObject({
        errorType: "java.lang.IllegalStateException",
        stackTrace: [expect.stringContaining("app.Functions$Logs")],
      });
      expect(errors[1]).toEqual(errors[0]);
      expect(outputs[0]).toContain("bad");
      expect(outputs[0]).toContain("Caused by: java.lang.IllegalArgumentException: cause");
      expect(outputs[1]).toBe(outputs[0]);
    },
  );
});

test.each(["Missing::handleRequest", "Functions::missing", "Functions$BadStart", "Functions$BadConstructor", "::"])(
  "a function that does not start says the same: %s",
  async (handler) => {
    const told: unknown[] = [];
    for (const way of WAYS) {
      const error = await answer(way, handler).catch((reason: Error) => reason.message);
      // Or it ends.
      await start.idle().catch(() => {});
      told.push([error, normal(await start.output())]);
    }
    expect(JSON.stringify(told[0])).toMatch(/error/i);
    expect(told[1]).toEqual(told[0]);
  },
);

test("the heap is the pool's, which is the function's memory", async () => {
  for (const memorySize of [128, 1769]) {
    const heaps: unknown[] = [];
    for (const way of WAYS) heaps.push(((await answer(way, "About", {}, { assignment: { memorySize } })) as { heap: number }).heap);
    expect(heaps[1]).toBe(heaps[0]);
  }
});

test("a zygote that gets no order ends quietly", async () => {
  await start.end();
  for (const said of ["", "\0\0", "\0\0\0\x09{"]) {
    const child = await start.zygote(options("About"));
    const exit = once(child, "exit");
    (child.stdio[3] as Socket).end(said);
    expect(await exit).toEqual([0, null]);
    expect(await start.output()).toBe("");
  }
});
