package org.drnet.bundle;

/** IEEE half precision; the platform reads it from Android 8 on only. */
final class Half {
  private static final int EXPONENT = 0x7c00;

  private Half() {}

  /** The value of the lower 16 bits. */
  static float toFloat(int bits) {
    int sign = (bits & 0x8000) << 16;
    int mantissa = bits & 0x3ff;
    int exponent = (bits & EXPONENT) >> 10;
    if (exponent == 0) {
      float magnitude = mantissa * (1f / (1 << 24));
      return sign == 0 ? magnitude : -magnitude;
    }
    int wide = exponent == 31 ? 0xff : exponent + 112;
    return Float.intBitsToFloat(sign | wide << 23 | mantissa << 13);
  }

  /** Whether the value is finite and at least 0; minus 0 is. */
  static boolean isScore(int bits) {
    boolean finite = (bits & EXPONENT) != EXPONENT;
    boolean negative = (bits & 0x8000) != 0 && (bits & 0x7fff) != 0;
    return finite && !negative;
  }
}
