package org.drnet.bundle;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** The hash by which files are told apart. */
final class Sha256 {
  private static final char[] DIGITS = "0123456789abcdef".toCharArray();

  private Sha256() {}

  static MessageDigest start() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e); // every Java and every Android has it
    }
  }

  /** The hash of what was put in, as a file name. */
  static String name(MessageDigest digest) {
    StringBuilder text = new StringBuilder();
    for (byte value : digest.digest()) {
      text.append(DIGITS[value >> 4 & 15]).append(DIGITS[value & 15]);
    }
    return text.toString();
  }
}
