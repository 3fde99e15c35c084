package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;

/** Breaks bundles at random, most often where their structure is. */
final class Mutations {
  private static final int FOOTER = 24;
  private static final int[] NUMBERS = {
    0, 1, 2, 3, 4, 5, 15, 16, 255, 256, 65535, 1 << 20, 1 << 30, 1 << 31, Integer.MAX_VALUE, -1, -2,
    0x7f800000, 0x7fc00000, 0x80000000,
  };

  private final Random random;
  private final int plan;
  private final int planEnd;

  Mutations(byte[] bundle, long seed) {
    random = new Random(seed);
    ByteBuffer footer = footer(bundle, bundle.length);
    plan = footer.getInt(12);
    planEnd = plan + footer.getInt(16);
  }

  /** Changes the bytes; returns how many of them are left. */
  int apply(byte[] bytes) {
    int length = bytes.length;
    for (int i = random.nextInt(3); i >= 0; i--) {
      int at = place(bytes.length);
      switch (random.nextInt(5)) {
        case 0:
          bytes[at] ^= (byte) (1 << random.nextInt(8));
          break;
        case 1:
          length = 1 + place(bytes.length);
          break;
        case 2:
          int from = place(bytes.length);
          int count = Math.min(1 + random.nextInt(40), bytes.length - Math.max(from, at));
          System.arraycopy(bytes, from, bytes, at, count);
          break;
        default:
          at = Math.min(at, bytes.length - 4);
          int number = NUMBERS[random.nextInt(NUMBERS.length)];
          little(bytes).putInt(at, random.nextInt(4) == 0 ? random.nextInt() : number);
      }
    }
    if (random.nextBoolean()) {
      mend(bytes, length);
    }
    return length;
  }

  private int place(int length) {
    switch (random.nextInt(8)) {
      case 0:
        return length - 1 - random.nextInt(FOOTER);
      case 1:
        return random.nextInt(length);
      case 2: // the header
        return plan + random.nextInt(Math.min(32, planEnd - plan));
      case 3: // where the short lists are, behind many scores
        return planEnd - 1 - random.nextInt(Math.min(2000, planEnd - plan));
      default:
        return plan + random.nextInt(planEnd - plan);
    }
  }

  /** Makes the checksums right, if there is a plan at all, so that what lies behind is tried. */
  static void mend(byte[] bytes, int length) {
    if (length < FOOTER) {
      return;
    }
    ByteBuffer footer = footer(bytes, length);
    long start = footer.getInt(12) & 0xffffffffL;
    long end = start + (footer.getInt(16) & 0xffffffffL);
    if (end > length - FOOTER || end - start < 8) {
      return;
    }
    ByteBuffer numbers = little(bytes);
    long skeleton = numbers.getInt((int) start) & 0xffffffffL;
    if (skeleton <= length) {
      numbers.putInt((int) start + 4, SyntheticBundle.crc(bytes, 0, (int) skeleton));
    }
    footer.putInt(20, SyntheticBundle.crc(bytes, (int) start, (int) end));
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static ByteBuffer footer(byte[] bytes, int length) {
    return ByteBuffer.wrap(bytes, length - FOOTER, FOOTER).slice().order(ByteOrder.LITTLE_ENDIAN);
  }
}
