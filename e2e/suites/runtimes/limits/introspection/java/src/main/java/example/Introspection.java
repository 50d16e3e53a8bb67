package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;

/** Answers with the facts of introspect.sh, the variables and the context object, as one text in base64. */
public class Introspection implements RequestHandler<Map<String, Object>, String> {
  private static final String SECTION = "Context object in Java";

  private final StringBuilder text = new StringBuilder();

  @Override
  public String handleRequest(Map<String, Object> event, Context context) {
    text.append(script());
    System.getenv().forEach((name, value) -> add("Environment variables", name, value));
    add(SECTION, "getAwsRequestId()", context.getAwsRequestId());
    add(SECTION, "getClientContext()", context.getClientContext());
    add(SECTION, "getFunctionName()", context.getFunctionName());
    add(SECTION, "getFunctionVersion()", context.getFunctionVersion());
    add(SECTION, "getIdentity()", context.getIdentity());
    add(SECTION, "getInvokedFunctionArn()", context.getInvokedFunctionArn());
    add(SECTION, "getLogGroupName()", context.getLogGroupName());
    add(SECTION, "getLogStreamName()", context.getLogStreamName());
    add(SECTION, "getMemoryLimitInMB()", context.getMemoryLimitInMB());
    add(SECTION, "getRemainingTimeInMillis()", context.getRemainingTimeInMillis());
    add(SECTION, "property com.amazonaws.xray.traceHeader", System.getProperty("com.amazonaws.xray.traceHeader"));
    return Base64.getEncoder().encodeToString(text.toString().getBytes(StandardCharsets.UTF_8));
  }

  private void add(String section, String name, Object value) {
    text.append(section).append('\t').append(name).append('\t').append(value).append('\n');
  }

  private static String script() {
    String pid = String.valueOf(ProcessHandle.current().pid());
    try {
      Process process = new ProcessBuilder("bash", "/var/task/introspect.sh", pid).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException error) {
      throw new IllegalStateException("the script cannot be started", error);
    }
  }
}
