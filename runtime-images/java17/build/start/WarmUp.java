package dev.kappa.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.api.client.AWSLambda;
import com.amazonaws.services.lambda.runtime.api.client.EventHandlerLoader;
import com.amazonaws.services.lambda.runtime.api.client.HandlerInfo;
import com.amazonaws.services.lambda.runtime.api.client.LambdaEnvironment;
import com.amazonaws.services.lambda.runtime.api.client.LambdaRequestHandler;
import com.amazonaws.services.lambda.runtime.api.client.UserFault;
import com.amazonaws.services.lambda.runtime.api.client.api.LambdaContext;
import com.amazonaws.services.lambda.runtime.api.client.runtimeapi.DtoSerializers;
import com.amazonaws.services.lambda.runtime.api.client.runtimeapi.converters.LambdaErrorConverter;
import com.amazonaws.services.lambda.runtime.api.client.runtimeapi.converters.XRayErrorCauseConverter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.security.Security;
import java.util.List;
import java.util.ServiceLoader;
import software.amazon.awssdk.utilslite.SdkInternalThreadLocal;

/**
 * Does with a function of our own (Training.java) what the client does up to a function's first answer, so that the code for it is
 * loaded, linked and in part compiled. AWSLambda and LambdaEnvironment, which keep what they read from the environment, are not
 * initialised; what else keeps something is {@link ClientState}'s concern.
 */
final class WarmUp {
  private static final String CLIENT = EventHandlerLoader.class.getPackageName() + ".";
  private static final ClassLoader LOADER = WarmUp.class.getClassLoader();

  private static final List<String> HANDLERS = List.of("Training$Untyped", "Training$Typed", "Training$Streamed", "Training::method");
  private static final String VALUES = "\"text\":\"ä\",\"number\":1,\"fraction\":1.5,\"list\":[\"a\"],\"map\":{\"a\":[1,null,2.5,true]}";
  /** The second one fails. */
  private static final List<byte[]> EVENTS =
      List.of(("{" + VALUES + ",\"nested\":{" + VALUES + "},\"events\":[{" + VALUES + "}]}").getBytes(UTF_8), "{\"flag\":true}".getBytes(UTF_8));

  /** Measured: with 3, start and first event take 3 ms longer; with 25, 1 ms less, and the process has 9 MB more. */
  private static final int ROUNDS = 8;

  /** An address of the Runtime API. The native client connects when it is asked for an event, not before. */
  private static final String NOWHERE = "127.0.0.1:9";

  /** Not a Constructor: Java would give one that is called so often an accessor with a number, and the function's another number. */
  private final MethodHandle functionLoader;
  private final String function;

  private WarmUp(Path function) throws Exception {
    this.function = function.toString();
    var constructor = Class.forName(CLIENT + "CustomerClassLoader").getDeclaredConstructors()[0];
    constructor.setAccessible(true);
    functionLoader = MethodHandles.lookup().unreflectConstructor(constructor);
  }

  /**
   * @param function folder laid out as a function's code
   */
  static void run(Path function) throws Throwable {
    load();
    try (var state = new ClientState()) {
      var warmUp = new WarmUp(function);
      for (int n = 0; n < ROUNDS; n++) for (var handler : HANDLERS) warmUp.start(handler, state);
    }
    System.gc();
  }

  /** What the client needs beside the function. Classes are loaded and linked by being asked for their methods, not initialised. */
  private static void load() throws Exception {
    // Setting one loads what would log it.
    var property = "jdk.tls.disabledAlgorithms";
    Security.setProperty(property, Security.getProperty(property));
    for (var type : List.of(AWSLambda.class, LambdaEnvironment.class, LambdaRuntimeInternal.class, SdkInternalThreadLocal.class))
      type.getDeclaredMethods();
    var init = Class.forName(CLIENT + "runtimeapi.NativeClient").getDeclaredMethod("init", String.class);
    init.setAccessible(true);
    init.invoke(null, NOWHERE);
  }

  /** With a class loader for each, so that its classes are new to everybody. */
  private void start(String name, ClientState state) throws Throwable {
    try (var loader = (URLClassLoader) functionLoader.invoke(function, function, LOADER)) {
      ServiceLoader.load(CustomPojoSerializer.class, loader).iterator().hasNext();
      var handler = streamHandler(EventHandlerLoader.loadEventHandler(HandlerInfo.fromString(name, loader)));
      for (var event : EVENTS) handle(handler, event, state);
    }
  }

  /** What the client's handler calls. Itself it would initialise LambdaEnvironment. */
  private static RequestStreamHandler streamHandler(LambdaRequestHandler handler) throws Exception {
    for (var field : handler.getClass().getDeclaredFields())
      if (field.getType() == RequestStreamHandler.class) {
        field.setAccessible(true);
        return (RequestStreamHandler) field.get(handler);
      }
    throw new NoSuchFieldException("a handler of the client has no RequestStreamHandler");
  }

  private static void handle(RequestStreamHandler handler, byte[] event, ClientState state) throws Exception {
    var context = new LambdaContext(128, 0, "", "", "", "", null, "", "", null, null, null);
    try {
      handler.handleRequest(new ByteArrayInputStream(event), new ByteArrayOutputStream(), context);
    } catch (IllegalStateException failed) {
      state.logger.log(UserFault.makeUserFault(UserFault.filterStackTrace(failed)).reportableError());
      DtoSerializers.serialize(LambdaErrorConverter.fromThrowable(failed));
      DtoSerializers.serialize(XRayErrorCauseConverter.fromThrowable(failed));
    }
  }
}
