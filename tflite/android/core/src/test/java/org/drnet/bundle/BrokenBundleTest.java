package org.drnet.bundle;

import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Every rule of the format, broken. */
final class BrokenBundleTest {
  private static void refused(SyntheticBundle made, String... words) {
    Check.refused(made::open, words);
  }

  /** Opens the animals' bundle with a number of its plan changed and the checksums right. */
  private static void refused(int position, int number, String... words) {
    byte[] bytes = Animals.bundle().toBytes();
    ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    numbers.putInt(numbers.getInt(bytes.length - 12) + position, number);
    Mutations.mend(bytes, bytes.length);
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), words);
  }

  private static SyntheticBundle group(boolean half, float step, int score) {
    SyntheticBundle made = new SyntheticBundle();
    made.half = half;
    made.outputs = 1;
    return made.named(0, "one").group(1, step, new int[][] {{score}});
  }

  void testNoBundleAtAll() {
    Check.refused(() -> Bundle.open(ByteBuffer.allocate(0)), "no bundle", "drnet_tflite");
    Check.refused(() -> Bundle.open(ByteBuffer.allocate(5000)), "no bundle");
    Check.refused(() -> Bundle.open(new File("/nowhere/x.tflite")), "Could not read /nowhere");
    Check.refused(() -> Bundle.open(new File("/")), "Could not read /");
  }

  void testTruncated() {
    byte[] bytes = Animals.bundle().toBytes();
    for (int length = 0; length < bytes.length; length++) {
      ByteBuffer part = ByteBuffer.wrap(bytes, 0, length);
      Check.refused(() -> Bundle.open(part), "no bundle");
    }
  }

  void testFooter() {
    byte[] bytes = Animals.bundle().toBytes();
    ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    numbers.putInt(bytes.length - 8, bytes.length - 24 + 1 - numbers.getInt(bytes.length - 12));
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "footer", "an end at");
    numbers.putInt(bytes.length - 8, 1 << 30);
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "footer", "an end at");
    numbers.putInt(bytes.length - 12, -1);
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "footer", "4294967295");
    numbers.putInt(bytes.length - 16, 2);
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "version 2", "expected 1");
  }

  void testChecksums() throws Exception {
    byte[] bytes = Animals.bundle().toBytes();
    bytes[3] ^= 1;
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "skeleton", "CRC-32");
    bytes[3] ^= 1;
    bytes[bytes.length - 24 - 110] ^= 1;
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "plan", "CRC-32");
    bytes[bytes.length - 24 - 110] ^= 1;
    bytes[30] ^= 1;
    Bundle opened = Bundle.open(ByteBuffer.wrap(bytes));
    Check.refused(opened::verify, "weights", "CRC-32");
    bytes[30] ^= 1;
    opened.verify();
  }

  void testHeader() {
    refused(0, 1 << 30, "skeleton size");
    refused(0, -1, "skeleton size 4294967295");
    refused(8, 1, "end of the vectors 1");
    refused(16, 2, "encoding 2");
    refused(20, 1 << 28, "at most");
    refused(24, -1, "4294967295 of them");
    refused(24, 0, "at least one");
    refused(28, 0, "output");
  }

  void testGroupsAndScores() {
    refused(32, 0, "width 0");
    refused(32, 1 << 30, "more bytes");
    refused(group(false, -1, 1), "step -1.0");
    refused(group(false, Float.NaN, 1), "step NaN");
    refused(group(false, Float.POSITIVE_INFINITY, 1), "step Infinity");
    refused(group(false, Float.MAX_VALUE, 1), "step 3.4");
    refused(group(true, 1, 1), "step 1.0", "0 for half");
    refused(group(true, 0, 0x7c00), "score Infinity");
    refused(group(true, 0, 0xbc00), "score -1.0");
  }

  void testClasses() {
    refused(Animals.bundle().named(4, "cow"), "output 4");
    refused(new SyntheticBundle().named(0, "cow"), "no groups");
    refused(Animals.bundle().named(3, "c\now"), "a name with a line break");
    SyntheticBundle twice = group(false, 1, 1);
    twice.outputs = 2;
    twice.groups.set(0, new SyntheticBundle.Group(1, 1, new int[][] {{1}, {1}}));
    twice.named(0, "two");
    refused(twice, "output 0 twice");
    twice.classOutputs.set(1, 1);
    twice.names.set(1, "one");
    refused(twice, "'one' again");
    twice.names.set(1, "");
    refused(twice, "an empty name");
    refused(52, 0xffff0003, "UTF-8");
  }

  void testAxes() {
    refused(Animals.bundle().axis(), "no segments");
    refused(Animals.bundle().axis(SyntheticBundle.segment(3, 0, 1)), "group 3");
    refused(Animals.bundle().axis(SyntheticBundle.segment(0, 1, 4)), "length 4");
    refused(Animals.bundle().axis(SyntheticBundle.segment(0, 4, 1)), "start 4");
    refused(Animals.bundle().axis(SyntheticBundle.segment(0, 0, 0)), "length 0");
    refused(Animals.bundle().axis(SyntheticBundle.segment(-1, 1, 4)), "start 1");
    refused(Animals.bundle().axis(SyntheticBundle.segment(2, 0, 3)), "length 3");
    refused(Animals.bundle().axis(SyntheticBundle.segment(2, 1, 3)), "start 1");
    int[] long_ = SyntheticBundle.segment(-1, 0, Integer.MAX_VALUE);
    refused(Animals.bundle().axis(long_, long_), "length 4294967294");
  }

  void testPatches() {
    refused(Animals.bundle().patch(2, 1, 0), "position 2");
    refused(Animals.bundle().patch(24, 1, 0), "position 24");
    refused(Animals.bundle().patch(20, -1, 0), "factor 4294967295");
    refused(Animals.bundle().patch(20, 1 << 30, 0), "1073741824 times 4");
    refused(Animals.bundle().patch(20, 1, 3), "axis 3");
    SyntheticBundle odd = Animals.bundle();
    odd.skeleton = Arrays.copyOf(odd.skeleton, 26);
    refused(odd.patch(24, 1, 0), "position 24");
  }

  void testVectors() {
    byte[] bytes = new byte[64];
    refused(Animals.bundle().vector(10, 4, 0, bytes, 0), "field 10");
    refused(Animals.bundle().vector(8, 3, 0, bytes, 0), "element size 3");
    refused(Animals.bundle().vector(8, 4, 4, bytes, 0), "flags 4");
    refused(Animals.bundle().vector(8, 4, 0, bytes), "0 dimensions");
    refused(Animals.bundle().vector(8, 4, 0, bytes, 0, 0, 0, 0, 0, 0), "6 dimensions");
    refused(Animals.bundle().vector(8, 4, 0, bytes, 7), "axis 7");
    refused(Animals.bundle().vector(8, 4, 0, bytes, 0, 0, 0), "256 bytes or more");
    refused(Animals.bundle().vector(8, 4, 0, new byte[60], 0, 0), "an end at");
    refused(164, 40, "data 40");
    refused(164, 16, "data 16");
    refused(183, 64, "data 64");
  }

  void testFolds() {
    int[] four = new int[4];
    refused(Animals.bundle().fold(2, 0, 0, four), "biases 2");
    refused(Animals.bundle().fold(1, 2, 0, four), "weights 2");
    refused(Animals.bundle().fold(1, 0, 3, four), "type 3");
    refused(Animals.bundle().fold(1, 0, 0, four), "biases of 1 dimensions and 2 bytes");
    refused(Animals.bundle().fold(0, 0, 0, four), "biases of 2 dimensions");
    SyntheticBundle made = Animals.bundle().vector(8, 4, 0, new byte[8], 1);
    made.fold(2, 0, 0, four);
    refused(made.fold(2, 0, 0, four), "folded already");
    made.folds.clear();
    refused(made.fold(2, 0, 1, four), "weights of 2 dimensions and 4 bytes");
    made.folds.clear();
    refused(made.fold(2, 0, 0, 0, 0, 0), "more bytes");
    made.folds.clear();
    made.vector(8, 4, 0, new byte[16], 0);
    refused(made.fold(3, 0, 0, four), "along another axis");
    made.folds.clear();
    made.vector(8, 4, 0, new byte[128], 1, 0, 0);
    refused(made.fold(2, 4, 0, four), "dimension 1 loses channels");
  }

  void testBytesBehindThePlan() {
    byte[] bytes = Animals.bundle().toBytes();
    ByteBuffer numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    numbers.putInt(bytes.length - 8, numbers.getInt(bytes.length - 8) + 2);
    Mutations.mend(bytes, bytes.length);
    Check.refused(() -> Bundle.open(ByteBuffer.wrap(bytes)), "2 more bytes");
  }
}
