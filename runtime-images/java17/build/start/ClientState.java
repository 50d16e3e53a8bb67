package dev.kappa.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.DeserializationContext;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ObjectMapper;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.deser.DeserializerCache;
import com.amazonaws.lambda.thirdparty.com.fasterxml.jackson.databind.ser.DefaultSerializerProvider;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.api.client.EventHandlerLoader;
import com.amazonaws.services.lambda.runtime.api.client.PojoSerializerLoader;
import com.amazonaws.services.lambda.runtime.api.client.logging.LambdaContextLogger;
import com.amazonaws.services.lambda.runtime.api.client.logging.StdOutLogSink;
import com.amazonaws.services.lambda.runtime.api.client.util.LambdaOutputStream;
import com.amazonaws.services.lambda.runtime.logging.LogFormat;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import com.amazonaws.services.lambda.runtime.serialization.factories.JacksonFactory;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.util.Map;
import java.util.TimeZone;

/**
 * What the client and Java keep of a function in static fields: as a function needs it while this is open, and afterwards as if there
 * had been none.
 */
final class ClientState implements AutoCloseable {
  /** Of the function and of the client; the output goes nowhere. */
  final LambdaContextLogger logger = new LambdaContextLogger(new StdOutLogSink(), LogLevel.UNDEFINED, LogFormat.TEXT);

  private final PrintStream output = System.out;
  private final String timeZone = System.getProperty("user.timezone");
  private final LambdaLogger usualLogger = LambdaRuntime.getLogger();

  private final Field functionsLogger = open(LambdaRuntime.class, "logger");
  private final Field serializerSearched = open(PojoSerializerLoader.class, "initialized");

  ClientState() throws Exception {
    System.setOut(new PrintStream(new LambdaOutputStream(OutputStream.nullOutputStream()), false, UTF_8));
    functionsLogger.set(null, logger);
    // Else the client asks AWSLambda for the function's class loader, to look for a serializer.
    serializerSearched.setBoolean(null, true);
  }

  @Override
  public void close() throws Exception {
    serializerSearched.setBoolean(null, false);
    functionsLogger.set(null, usualLogger);
    System.setOut(output);
    ((ThreadLocal<?>) open(EventHandlerLoader.class, "typeCache").get(null)).remove();
    forgetTypes(JacksonFactory.getInstance().getMapper());
    // Jackson's dates have asked for the time zone. Until somebody asks, a function may say by this property which it is to be.
    TimeZone.setDefault(null);
    if (timeZone == null) System.clearProperty("user.timezone");
    else System.setProperty("user.timezone", timeZone);
  }

  /** Jackson keeps what it has found out about each class. */
  private static void forgetTypes(ObjectMapper mapper) throws Exception {
    mapper.getTypeFactory().clearCache();
    ((DefaultSerializerProvider) mapper.getSerializerProvider()).flushCachedSerializers();
    ((DeserializerCache) open(DeserializationContext.class, "_cache").get(mapper.getDeserializationContext())).flushCachedDeserializers();
    ((Map<?, ?>) open(ObjectMapper.class, "_rootDeserializers").get(mapper)).clear();
  }

  private static Field open(Class<?> type, String name) throws NoSuchFieldException {
    var field = type.getDeclaredField(name);
    field.setAccessible(true);
    return field;
  }
}
