package dev.kappa.runtime;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.amazonaws.services.lambda.runtime.api.client.util.UnsafeUtil;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Map;
import sun.misc.Unsafe;

/**
 * The environment of this process as the C library keeps it, in {@code environ}. Java copies it when it is first asked for a variable,
 * child processes are given it, and native libraries read it. So one replacement before Java's copy is right for all of them; Java's
 * copy itself could only be changed for Java.
 *
 * <p>By Unsafe, which the client uses as well: JNI would need a compiler for C, and options that open java.lang would do so for the
 * function too.
 */
final class NativeEnvironment {
  private static final Unsafe UNSAFE = UnsafeUtil.TheUnsafe;

  /** Where {@code environ} is: a pointer to pointers to texts NAME=VALUE, the last of which is null (environ(7)). */
  private final long environ;

  /**
   * @param loader has loaded a native library, among whose own libraries the C library is
   * @throws IllegalStateException when there is no such variable, or Java has made its copy
   */
  NativeEnvironment(ClassLoader loader) throws Throwable {
    var field = MethodHandles.Lookup.class.getDeclaredField("IMPL_LOOKUP");
    var lookup = (MethodHandles.Lookup) UNSAFE.getObject(UNSAFE.staticFieldBase(field), UNSAFE.staticFieldOffset(field));
    var type = MethodType.methodType(long.class, ClassLoader.class, String.class);
    environ = (long) lookup.findStatic(ClassLoader.class, "findNative", type).invokeExact(loader, "environ");
    if (environ == 0) throw new IllegalStateException("no library of the class loader has environ");
    var copy = lookup.findClass("java.lang.ProcessEnvironment");
    if (!UNSAFE.shouldBeInitialized(copy)) throw new IllegalStateException("Java has already made its copy of the environment");
  }

  /**
   * Makes the environment exactly this. What it is made of is never freed, as nobody knows who refers to it.
   * @throws IllegalArgumentException when a variable has a zero byte in it
   */
  void replace(Map<String, String> variables) {
    long pointers = UNSAFE.allocateMemory((variables.size() + 1L) * Unsafe.ADDRESS_SIZE);
    long pointer = pointers;
    for (var variable : variables.entrySet()) {
      UNSAFE.putAddress(pointer, nativeText(String.join("=", variable.getKey(), variable.getValue())));
      pointer += Unsafe.ADDRESS_SIZE;
    }
    UNSAFE.putAddress(pointer, 0);
    UNSAFE.putAddress(environ, pointers);
  }

  private static long nativeText(String text) {
    if (text.indexOf('\0') >= 0) throw new IllegalArgumentException("a variable with a zero byte");
    var bytes = text.getBytes(UTF_8);
    long address = UNSAFE.allocateMemory(bytes.length + 1L);
    UNSAFE.copyMemory(bytes, Unsafe.ARRAY_BYTE_BASE_OFFSET, null, address, bytes.length);
    UNSAFE.putByte(address + bytes.length, (byte) 0);
    return address;
  }
}
