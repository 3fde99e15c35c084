package org.drnet.bundle;

/** One dimension of a vector: channels of groups, and positions that stay, side by side. */
final class Axis {
  /** The group of a segment of which everything is kept. */
  static final int FIXED = -1;

  private final int[] groups;
  private final int[] starts;
  private final int[] lengths;
  private final boolean fixed;

  /** How many positions it has in the full network. */
  final int length;

  /**
   * @param groups of each segment, or {@link #FIXED}
   * @param starts first channel of each segment in its group
   * @param lengths of the segments; their sum is at most an int
   */
  Axis(int[] groups, int[] starts, int[] lengths) {
    this.groups = groups;
    this.starts = starts;
    this.lengths = lengths;
    int sum = 0;
    boolean allFixed = true;
    for (int i = 0; i < groups.length; i++) {
      sum += lengths[i];
      allFixed &= groups[i] == FIXED;
    }
    this.length = sum;
    this.fixed = allFixed;
  }

  /** Whether everything is kept, whatever the sub-task. */
  boolean isFixed() {
    return fixed;
  }

  /** How many of its positions are kept. */
  int keptLength(KeptChannels kept) {
    int sum = 0;
    for (int i = 0; i < groups.length; i++) {
      sum += groups[i] == FIXED ? lengths[i] : kept.count(groups[i], starts[i], lengths[i]);
    }
    return sum;
  }

  /** The kept positions in their new order, or null if they are all positions as they stand. */
  int[] keptPositions(KeptChannels kept) {
    if (fixed) {
      return null;
    }
    int[] positions = new int[keptLength(kept)];
    int filled = 0;
    int offset = 0;
    for (int i = 0; i < groups.length; i++) {
      if (groups[i] == FIXED) {
        for (int k = 0; k < lengths[i]; k++) {
          positions[filled++] = offset + k;
        }
      } else {
        filled = kept.positions(groups[i], starts[i], lengths[i], offset, positions, filled);
      }
      offset += lengths[i];
    }
    return isEverything(positions) ? null : positions;
  }

  private boolean isEverything(int[] positions) {
    if (positions.length != length) {
      return false;
    }
    for (int i = 0; i < length; i++) {
      if (positions[i] != i) {
        return false;
      }
    }
    return true;
  }
}
