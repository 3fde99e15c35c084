package org.drnet.bundle;

import java.util.Arrays;

/** What tests expect. */
final class Check {
  private Check() {}

  /** Code that should be refused. */
  interface Refused {
    void run() throws BundleException;
  }

  static void that(boolean holds, Object... what) {
    if (!holds) {
      throw new AssertionError(Arrays.toString(what));
    }
  }

  static void equal(Object expected, Object got) {
    that(expected.equals(got), "expected", expected, "got", got);
  }

  static void equal(int[] expected, int[] got) {
    equal(Arrays.toString(expected), Arrays.toString(got));
  }

  static void equal(byte[] expected, byte[] got) {
    for (int i = 0; i < Math.min(expected.length, got.length); i++) {
      that(expected[i] == got[i], "byte", i, "expected", expected[i], "got", got[i]);
    }
    equal(expected.length, got.length);
  }

  /** The message of the error must have all the words, and be one sentence. */
  static void refused(Refused code, String... words) {
    try {
      code.run();
    } catch (BundleException e) {
      for (String word : words) {
        that(e.getMessage().contains(word), "expected", word, "in", e.getMessage());
      }
      that(e.getMessage().endsWith(".") && e.getMessage().indexOf('\n') < 0, e.getMessage());
      return;
    }
    throw new AssertionError("expected a BundleException with " + Arrays.toString(words));
  }
}
