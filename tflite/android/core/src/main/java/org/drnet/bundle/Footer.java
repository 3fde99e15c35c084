package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;

/** The last bytes of a bundle, which say where its plan is. */
final class Footer {
  private static final int SIZE = 24;
  private static final byte[] MAGIC = "DRNetBdl".getBytes(StandardCharsets.US_ASCII);
  private static final int VERSION = 1;

  private Footer() {}

  /**
   * Finds the plan.
   *
   * @param file little endian, the whole of it
   * @param name how errors name the file
   * @return the position of its first byte and of the one behind the last
   */
  static int[] planOf(ByteBuffer file, String name) throws BundleException {
    int start = file.capacity() - SIZE;
    byte[] magic = new byte[MAGIC.length];
    if (start >= 0) {
      file.clear();
      file.position(start);
      file.get(magic);
    }
    if (!Arrays.equals(magic, MAGIC)) {
      throw new BundleException(
          name + " is no bundle: its last 24 bytes do not start with 'DRNetBdl', expected a file"
              + " that drnet_tflite wrote; an ordinary .tflite file has no sub-networks in it.");
    }
    long version = file.getInt() & 0xffffffffL;
    if (version != VERSION) {
      throw new BundleException(
          name + " has version " + version + " of the bundle format, expected " + VERSION
              + "; use the org.drnet.bundle of the drnet_tflite that wrote it.");
    }
    long plan = file.getInt() & 0xffffffffL;
    long length = file.getInt() & 0xffffffffL;
    if (plan + length > start) {
      throw BundleException.broken(
          name + " (footer)", "a plan of bytes " + plan + " to " + (plan + length),
          "an end at " + start + " at most");
    }
    int[] bounds = {(int) plan, (int) (plan + length)};
    checkCrc(file, bounds[0], bounds[1], file.getInt() & 0xffffffffL, name + " (plan)");
    return bounds;
  }

  /** Reads bytes once to compare their CRC-32. */
  static void checkCrc(ByteBuffer file, int start, int end, long expected, String where)
      throws BundleException {
    ByteBuffer bytes = file.duplicate();
    bytes.clear();
    bytes.limit(end);
    bytes.position(start);
    // The platform takes buffers from Android 8 on only.
    byte[] part = new byte[1 << 16];
    CRC32 crc = new CRC32();
    while (bytes.hasRemaining()) {
      int now = Math.min(part.length, bytes.remaining());
      bytes.get(part, 0, now);
      crc.update(part, 0, now);
    }
    if (crc.getValue() != expected) {
      throw BundleException.broken(
          where, "CRC-32 " + Long.toHexString(crc.getValue()), Long.toHexString(expected));
    }
  }
}
