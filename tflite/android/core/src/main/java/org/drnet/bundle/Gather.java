package org.drnet.bundle;

import java.io.IOException;
import java.nio.ByteBuffer;

/** Copies the kept elements of one vector: whole blocks where it can, else row by row. */
final class Gather {
  private final ByteBuffer file;
  private final Output output;
  private final Vector vector;
  /** Of each axis: what is kept, or null for everything. */
  private final int[][] positions;
  /** Of each axis: bytes from one position to the next. */
  private final int[] strides;
  /** The last axis that loses something. */
  private int last;
  /** How many of the first axes are walked; the others are copied at once. */
  private int walked;
  private int rowsAtOnce = 1;
  private Rows rows;

  /**
   * @param file little endian, the whole of it; its position and limit are changed
   * @param kept channels and outputs
   */
  Gather(ByteBuffer file, Vector vector, KeptChannels kept, Output output) {
    this.file = file;
    this.output = output;
    this.vector = vector;
    this.positions = new int[vector.axes.length][];
    this.strides = new int[vector.axes.length];
    int stride = vector.elementSize;
    for (int axis = positions.length - 1; axis >= 0; axis--) {
      positions[axis] = vector.axes[axis].keptPositions(kept);
      strides[axis] = stride;
      stride *= vector.axes[axis].length;
    }
  }

  void run() throws IOException {
    last = positions.length - 1;
    while (last >= 0 && positions[last] == null) {
      last--;
    }
    if (last < 0) {
      output.put(file, vector.data, strides[0] * vector.axes[0].length);
      return;
    }
    walked = last;
    int block = strides[last];
    if (block == 1 || block == 2 || block == 4) {
      rows = new Rows(file, block, vector.axes[last].length, positions[last]);
      while (walked > 0 && positions[walked - 1] == null) {
        walked--;
        rowsAtOnce *= vector.axes[walked].length;
      }
    }
    walk(0, vector.data);
  }

  private void walk(int axis, int start) throws IOException {
    if (axis == walked) {
      copy(start);
      return;
    }
    int[] kept = positions[axis];
    int count = kept == null ? vector.axes[axis].length : kept.length;
    for (int i = 0; i < count; i++) {
      walk(axis + 1, start + (kept == null ? i : kept[i]) * strides[axis]);
    }
  }

  private void copy(int start) throws IOException {
    if (rows != null) {
      rows.copy(start, rowsAtOnce, output);
      return;
    }
    int[] kept = positions[last];
    for (int i = 0; i < kept.length; ) {
      int end = i + 1;
      while (end < kept.length && kept[end] == kept[end - 1] + 1) {
        end++;
      }
      output.put(file, start + kept[i] * strides[last], (end - i) * strides[last]);
      i = end;
    }
  }
}
