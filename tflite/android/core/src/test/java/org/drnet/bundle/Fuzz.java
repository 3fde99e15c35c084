package org.drnet.bundle;

import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Random;

/** Opens mutated bundles, cuts sub-networks out of those that open, and counts what happens. */
final class Fuzz {
  private final byte[] bundle;
  private final byte[] mutated;
  private final Mutations mutations;
  private final Random random;

  int refused;
  int extracted;
  /** Errors of a type that is not documented. */
  int undocumented;
  Throwable firstUndocumented;
  double slowestMilliseconds;

  Fuzz(byte[] bundle, long seed) {
    this.bundle = bundle;
    this.mutated = bundle.clone();
    this.mutations = new Mutations(bundle, seed);
    this.random = new Random(seed + 1);
  }

  void run(int count) {
    for (int i = 0; i < count; i++) {
      System.arraycopy(bundle, 0, mutated, 0, bundle.length);
      int length = mutations.apply(mutated);
      long start = System.nanoTime();
      try {
        extract(Bundle.open(ByteBuffer.wrap(mutated, 0, length)));
        extracted++;
      } catch (BundleException e) {
        refused++;
      } catch (Throwable e) {
        undocumented++;
        firstUndocumented = firstUndocumented == null ? e : firstUndocumented;
      }
      slowestMilliseconds = Math.max(slowestMilliseconds, (System.nanoTime() - start) / 1e6);
    }
  }

  private void extract(Bundle opened) throws BundleException {
    Limit[] limits = {
      Limit.threshold(random.nextDouble()),
      Limit.keptFraction(random.nextDouble()),
      Limit.maxParameters(random.nextInt(1 << 24)),
    };
    List<String> names = opened.classNames();
    List<String> asked = names.subList(0, 1 + random.nextInt(Math.min(3, names.size())));
    Rule rule = asked.size() == 2 ? Rule.XOR : random.nextBoolean() ? Rule.UNION : Rule.MEAN;
    opened.extract(asked, rule, limits[random.nextInt(3)], 1 + random.nextInt(9))
        .writeTo(new OutputStream() {
          @Override
          public void write(int value) {}

          @Override
          public void write(byte[] bytes, int start, int length) {}
        });
  }
}
