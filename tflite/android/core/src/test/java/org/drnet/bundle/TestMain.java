package org.drnet.bundle;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Comparator;

/**
 * Runs every method of the tests whose name starts with "test", without a framework: {@code java
 * -ea -cp classes org.drnet.bundle.TestMain}.
 */
public final class TestMain {
  private TestMain() {}

  public static void main(String[] arguments) throws Exception {
    Class<?>[] tests = {
      ExtractionTest.class, RequestTest.class, FoldTest.class, BrokenBundleTest.class,
      FuzzTest.class, SubTaskCacheTest.class, HalfTest.class,
    };
    int passed = 0;
    int failed = 0;
    for (Class<?> test : tests) {
      for (Method method : methods(test)) {
        String name = test.getSimpleName() + "." + method.getName();
        try {
          method.invoke(test.getDeclaredConstructor().newInstance());
          System.out.println("ok     " + name);
          passed++;
        } catch (InvocationTargetException e) {
          System.out.println("FAILED " + name);
          e.getCause().printStackTrace(System.out);
          failed++;
        }
      }
    }
    System.out.println(passed + " passed, " + failed + " failed");
    System.exit(failed == 0 && passed > 0 ? 0 : 1);
  }

  private static Method[] methods(Class<?> test) {
    Method[] methods = test.getDeclaredMethods();
    Arrays.sort(methods, new Comparator<Method>() {
      @Override
      public int compare(Method a, Method b) {
        return a.getName().compareTo(b.getName());
      }
    });
    int count = 0;
    for (Method method : methods) {
      if (method.getName().startsWith("test")) {
        methods[count++] = method;
      }
    }
    return Arrays.copyOf(methods, count);
  }
}
