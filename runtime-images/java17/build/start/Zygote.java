package dev.kappa.runtime;

import com.amazonaws.services.lambda.runtime.api.client.AWSLambda;
import com.amazonaws.services.lambda.runtime.serialization.factories.JacksonFactory;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;

/**
 * Starts AWS's client ahead of its function: loads and warms it, says {@code ready} on descriptor 3, a socket, and waits there for one
 * order: its length in 32 bits (big-endian), and JSON, {@code {"environment": {NAME: VALUE}}}. Then this process has exactly that
 * environment, and the client's own main does the rest, as in a process that was started for the function.
 */
public final class Zygote {
  private static final int ORDERS = 3;
  private static final byte[] READY = {'r', 'e', 'a', 'd', 'y', '\n'};

  /** Bytes. A function's variables have 4 KB, Lambda's own not much more. */
  private static final int LONGEST_ORDER = 1 << 20;

  private Zygote() {}

  public static void main(String[] args) throws Throwable {
    // Not in here: what a frame below the function's refers to is never freed.
    AWSLambda.main(new String[] {becomeFunction()});
  }

  /** @return the name of the handler, which the client takes from its command line */
  private static String becomeFunction() throws Throwable {
    var jar = Path.of(Zygote.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    WarmUp.run(jar.resolveSibling("../training").normalize());
    var environment = new NativeEnvironment(Zygote.class.getClassLoader());
    var variables = variablesOf(readOrder());
    // The shell that starts Java exports it.
    variables.put("PWD", System.getProperty("user.dir"));
    environment.replace(variables);
    var handler = variables.get("_HANDLER");
    // No + for texts on the way from the order to the function: its first use in a class costs milliseconds.
    System.setProperty("sun.java.command", String.join(" ", AWSLambda.class.getName(), handler));
    return handler;
  }

  private static byte[] readOrder() throws Exception {
    // Java opens files by name, and a socket has none. The package java.io is open to all, as on Lambda.
    var constructor = FileDescriptor.class.getDeclaredConstructor(int.class);
    constructor.setAccessible(true);
    var descriptor = constructor.newInstance(ORDERS);
    try (var input = new FileInputStream(descriptor)) {
      new FileOutputStream(descriptor).write(READY);
      var data = new DataInputStream(input);
      int length = data.readInt();
      if (length < 0 || length > LONGEST_ORDER)
        throw new IllegalArgumentException("an order of " + Integer.toUnsignedString(length) + " bytes; it may have " + LONGEST_ORDER);
      var order = new byte[length];
      data.readFully(order);
      return order;
    } catch (IOException gone) {
      // No function will come.
      System.exit(0);
      throw gone;
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, String> variablesOf(byte[] order) {
    // As the client reads a function's event, so that it is warm.
    var content = JacksonFactory.getInstance().getSerializer(Map.class).fromJson(new ByteArrayInputStream(order));
    return (Map<String, String>) content.get("environment");
  }
}
