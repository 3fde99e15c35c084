package org.drnet.bundle;

import java.util.Collections;

/** What dropped channels leave in the biases, by hand. */
final class FoldTest {
  /** One output channel that reads three channels of which the second is kept. */
  private static SyntheticBundle made(int type, byte[] weights, byte[] biases, int... constants) {
    SyntheticBundle made = new SyntheticBundle();
    made.outputs = 1;
    made.named(0, "one");
    made.group(3, 1, new int[][] {{0, 5, 0}});
    made.axis(SyntheticBundle.segment(0, 0, 3)).axis(SyntheticBundle.segment(-1, 0, 2));
    made.axis(SyntheticBundle.segment(1, 0, 1));
    made.vector(8, Fold.weightSize(type), 0, weights, 2, 1, 0).vector(12, 4, 0, biases, 2);
    return made.fold(1, 0, type, constants);
  }

  private static int biasBits(SyntheticBundle made) throws BundleException {
    byte[] bytes = made.open().extract(
        Collections.singletonList("one"), Rule.UNION, Limit.threshold(1), 1).toBytes();
    // The skeleton, weights at 80 behind their length, biases 16 or so after.
    return java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN).getInt(96);
  }

  void testFloats() throws Exception {
    byte[] weights = SyntheticBundle.floats(1, 2, 3, 4, 5, 6);
    SyntheticBundle made = made(0, weights, SyntheticBundle.floats(100),
        Float.floatToIntBits(10), Float.floatToIntBits(7), Float.floatToIntBits(0.5f));
    Check.equal(100 + 10f * (1 + 4) + 0.5f * (3 + 6), Float.intBitsToFloat(biasBits(made)));
  }

  void testHalves() throws Exception {
    byte[] weights = SyntheticBundle.shorts(0x3c00, 0, 0xc000, 0x3c00, 0, 0x3c00);
    SyntheticBundle made = made(1, weights, SyntheticBundle.floats(1),
        Float.floatToIntBits(3), 0, Float.floatToIntBits(5));
    Check.equal(1 + 3f * (1 + 1) + 5f * (-2 + 1), Float.intBitsToFloat(biasBits(made)));
  }

  void testIntsWrap() throws Exception {
    byte[] weights = {127, 0, -128, 0, 0, 1};
    SyntheticBundle made = made(2, weights, SyntheticBundle.ints(-1), 1 << 30, 9, 3);
    Check.equal((int) (-1 + 127L * (1 << 30) + 3 * -127), biasBits(made));
  }

  void testKeptChannelsAndZerosGiveNothing() throws Exception {
    byte[] weights = SyntheticBundle.floats(1, 2, Float.POSITIVE_INFINITY, 4, 5, 6);
    SyntheticBundle made =
        made(0, weights, SyntheticBundle.floats(1), 0, Float.floatToIntBits(8), 0);
    Check.equal(1f, Float.intBitsToFloat(biasBits(made)));
  }
}
