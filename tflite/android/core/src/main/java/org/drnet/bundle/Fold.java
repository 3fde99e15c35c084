package org.drnet.bundle;

import java.nio.ByteBuffer;

/**
 * What dropped channels gave to the outputs of their reader: channels that are the same number
 * for every image live on in the biases.
 */
final class Fold {
  static final int FLOAT = 0;
  static final int HALF = 1;
  static final int INT8 = 2;

  private final Vector weights;
  private final int type;
  private final int constants;

  /**
   * @param type of the weights: {@link #FLOAT}, {@link #HALF} or {@link #INT8}
   * @param constants position in the plan of the first one
   */
  Fold(Vector weights, int type, int constants) {
    this.weights = weights;
    this.type = type;
    this.constants = constants;
  }

  /** Bytes of a weight of a type. */
  static int weightSize(int type) {
    return type == FLOAT ? 4 : type == HALF ? 2 : 1;
  }

  /**
   * Adds to the gathered biases what the dropped positions gave.
   *
   * @param bits of the biases, in the order kept: floats, or ints for int8 weights; changed
   * @param file little endian, the whole of it
   * @param plan little endian, the plan
   */
  void addTo(int[] bits, KeptChannels kept, ByteBuffer file, ByteBuffer plan) {
    int width = weights.axes[weights.axes.length - 1].length;
    int[] dropped = dropped(width, kept, plan);
    if (dropped.length == 0) {
      return;
    }
    int between = 1;
    for (int i = 1; i < weights.axes.length - 1; i++) {
      between *= weights.axes[i].length;
    }
    int[] outputs = weights.axes[0].keptPositions(kept);
    for (int i = 0; i < bits.length; i++) {
      int output = outputs == null ? i : outputs[i];
      int row = weights.data + output * between * width * weights.elementSize;
      bits[i] = type == INT8
          ? addInts(bits[i], file, row, between, width, dropped, plan)
          : addFloats(bits[i], file, row, between, width, dropped, plan);
    }
  }

  private int addFloats(
      int bias, ByteBuffer file, int row, int between, int width, int[] dropped, ByteBuffer plan) {
    double sum = Float.intBitsToFloat(bias);
    for (int position : dropped) {
      double constant = plan.getFloat(constants + 4 * position);
      for (int t = 0; t < between; t++) {
        int element = t * width + position;
        double weight = type == FLOAT
            ? file.getFloat(row + 4 * element)
            : Half.toFloat(file.getShort(row + 2 * element));
        sum += weight * constant;
      }
    }
    return Float.floatToRawIntBits((float) sum);
  }

  private int addInts(
      int bias, ByteBuffer file, int row, int between, int width, int[] dropped, ByteBuffer plan) {
    long sum = bias;
    for (int position : dropped) {
      long constant = plan.getInt(constants + 4 * position);
      for (int t = 0; t < between; t++) {
        sum += file.get(row + t * width + position) * constant;
      }
    }
    return (int) sum;
  }

  /** The dropped positions of the weights' last axis that have a constant, rising. */
  private int[] dropped(int width, KeptChannels kept, ByteBuffer plan) {
    int[] positions = weights.axes[weights.axes.length - 1].keptPositions(kept);
    if (positions == null) {
      return new int[0];
    }
    boolean[] stays = new boolean[width];
    for (int position : positions) {
      stays[position] = true;
    }
    int[] dropped = new int[width];
    int count = 0;
    for (int position = 0; position < width; position++) {
      if (!stays[position] && hasConstant(plan, position)) {
        dropped[count++] = position;
      }
    }
    return java.util.Arrays.copyOf(dropped, count);
  }

  private boolean hasConstant(ByteBuffer plan, int position) {
    int at = constants + 4 * position;
    return type == INT8 ? plan.getInt(at) != 0 : plan.getFloat(at) != 0;
  }
}
