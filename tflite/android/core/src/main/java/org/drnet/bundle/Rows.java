package org.drnet.bundle;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Gathers elements of 1, 2 or 4 bytes out of rows that lie one behind the other. */
final class Rows {
  /** So many elements are read at once, or one row: they stay in the processor's cache. */
  private static final int PANEL = 1 << 12;

  private final ByteBuffer file;
  private final int size;
  private final int length;
  private final int[] kept;
  private final int atOnce;
  private final byte[] bytes;
  private final byte[] keptBytes;
  private final short[] shorts;
  private final short[] keptShorts;
  private final int[] ints;
  private final int[] keptInts;

  /**
   * @param file little endian; its position and limit are changed
   * @param size of an element in bytes
   * @param length of a row in elements
   * @param kept positions in a row
   */
  Rows(ByteBuffer file, int size, int length, int[] kept) {
    this.file = file;
    this.size = size;
    this.length = length;
    this.kept = kept;
    this.atOnce = Math.max(1, PANEL / length);
    int read = atOnce * length;
    int written = atOnce * kept.length;
    this.bytes = new byte[size == 1 ? read : 0];
    this.keptBytes = new byte[size == 1 ? written : 0];
    this.shorts = new short[size == 2 ? read : 0];
    this.keptShorts = new short[size == 2 ? written : 0];
    this.ints = new int[size == 4 ? read : 0];
    this.keptInts = new int[size == 4 ? written : 0];
  }

  /** Copies from so many rows that start at a position of the file. */
  void copy(int start, int rows, Output output) throws IOException {
    for (int row = 0; row < rows; row += atOnce) {
      int now = Math.min(atOnce, rows - row);
      file.clear();
      file.position(start + row * length * size);
      if (size == 4) {
        copyInts(now, output);
      } else if (size == 2) {
        copyShorts(now, output);
      } else {
        copyBytes(now, output);
      }
    }
  }

  // The same loop for three types: Java's arrays have no common one.

  private void copyInts(int rows, Output output) throws IOException {
    file.asIntBuffer().get(ints, 0, rows * length);
    int[] from = ints;
    int[] to = keptInts;
    int filled = 0;
    for (int start = 0; start < rows * length; start += length) {
      for (int position : kept) {
        to[filled++] = from[start + position];
      }
    }
    output.put(to, filled);
  }

  private void copyShorts(int rows, Output output) throws IOException {
    file.asShortBuffer().get(shorts, 0, rows * length);
    short[] from = shorts;
    short[] to = keptShorts;
    int filled = 0;
    for (int start = 0; start < rows * length; start += length) {
      for (int position : kept) {
        to[filled++] = from[start + position];
      }
    }
    output.put(to, filled);
  }

  private void copyBytes(int rows, Output output) throws IOException {
    file.get(bytes, 0, rows * length);
    byte[] from = bytes;
    byte[] to = keptBytes;
    int filled = 0;
    for (int start = 0; start < rows * length; start += length) {
      for (int position : kept) {
        to[filled++] = from[start + position];
      }
    }
    output.put(to, filled);
  }
}
