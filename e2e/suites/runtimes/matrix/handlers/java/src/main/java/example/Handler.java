package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;

/** The function of every cell, written as a user of aws-lambda-java-core writes one. */
public class Handler implements RequestHandler<Map<String, Object>, Object> {
  private static final Path STARTS = Path.of("/tmp/starts");

  static {
    if ("slow".equals(System.getenv("INIT"))) {
      note("begun");
      sleep(11_000);
      note("done");
    }
  }

  public Handler() {
    if ("fail".equals(System.getenv("INIT"))) throw new IllegalStateException("no such luck");
  }

  /** What cannot be written as JSON: it holds itself. */
  public static class Circle {
    public Circle getCircle() {
      return this;
    }
  }

  @Override
  public Object handleRequest(Map<String, Object> event, Context context) {
    switch (String.valueOf(event.get("kind"))) {
      case "error":
        throw new IllegalStateException("no such luck");
      case "sleep":
        sleep(number(event, "ms"));
        return event;
      case "large":
        return "x".repeat((int) number(event, "size") - 2);
      case "exit":
        System.exit(3);
        return null;
      case "crash":
        crash();
        return null;
      case "unserialisable":
        return new Circle();
      case "deadline":
        int first = context.getRemainingTimeInMillis();
        sleep(100);
        return List.of(first, context.getRemainingTimeInMillis());
      case "context":
        return Map.of(
            "custom", context.getClientContext().getCustom(),
            "client", context.getClientContext().getClient().getAppTitle());
      case "trace":
        return System.getProperty("com.amazonaws.xray.traceHeader");
      case "warm":
        return Map.of("n", event.get("n"), "stream", context.getLogStreamName());
      case "starts":
        return starts();
      default:
        return event;
    }
  }

  private static long number(Map<String, Object> event, String name) {
    return ((Number) event.get(name)).longValue();
  }

  private static void sleep(long milliseconds) {
    try {
      Thread.sleep(milliseconds);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void note(String what) {
    try {
      Files.writeString(STARTS, what + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static List<String> starts() {
    try {
      return Files.readAllLines(STARTS);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Writes to where no memory is, as broken native code does; the virtual machine then aborts. */
  private static void crash() {
    try {
      Field field = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe");
      field.setAccessible(true);
      ((sun.misc.Unsafe) field.get(null)).putAddress(0, 0);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
