package org.drnet.bundle;

import java.util.Random;

/** Broken bundles of every kind give the documented error or a network, and soon. */
final class FuzzTest {
  void testMutatedBundles() {
    Random random = new Random(3);
    int refused = 0;
    int extracted = 0;
    for (int i = 0; i < 60; i++) {
      Fuzz fuzz = new Fuzz(RandomBundles.next(random).toBytes(), i);
      fuzz.run(100);
      if (fuzz.undocumented > 0) {
        throw new AssertionError("bundle " + i, fuzz.firstUndocumented);
      }
      Check.that(fuzz.slowestMilliseconds < 5000, fuzz.slowestMilliseconds);
      refused += fuzz.refused;
      extracted += fuzz.extracted;
    }
    // Else the mutations would try one side only.
    Check.that(refused > 1000 && extracted > 100, refused, extracted);
  }
}
