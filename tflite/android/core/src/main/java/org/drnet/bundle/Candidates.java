package org.drnet.bundle;

import java.util.Arrays;

/**
 * The sub-networks of a request from the smallest to the largest: the first n channels, best
 * first, and what rounding adds to them.
 */
final class Candidates {
  final Plan plan;
  private final ScoreTable table;
  private final int[] outputs;
  private final int roundTo;
  /** All channels, best first; of equal ones the lower group, then the lower channel. */
  private final int[] order;
  private final int[] groupOf;
  private final float[] scores;

  /** How many channels have a score above 0. */
  final int count;

  /**
   * @param scores of the sub-task, one for every channel, at least 0
   * @param outputs of the sub-task's classes
   */
  Candidates(Plan plan, float[] scores, int[] outputs, int roundTo) {
    this.plan = plan;
    this.table = plan.scores;
    this.scores = scores;
    this.outputs = outputs;
    this.roundTo = roundTo;
    this.order = order(scores);
    this.count = countAtLeast(Float.MIN_VALUE);
    this.groupOf = new int[scores.length];
    for (int group = 0; group < table.groups(); group++) {
      Arrays.fill(groupOf, table.firstChannel(group), table.firstChannel(group + 1), group);
    }
  }

  /** Sorts numbers instead of objects: the bits of floats that are at least 0 rise as they do. */
  private static int[] order(float[] scores) {
    long[] keys = new long[scores.length];
    for (int i = 0; i < scores.length; i++) {
      long falling = Integer.MAX_VALUE - Float.floatToRawIntBits(scores[i]);
      keys[i] = falling << 32 | i;
    }
    Arrays.sort(keys);
    int[] order = new int[keys.length];
    for (int i = 0; i < keys.length; i++) {
      order[i] = (int) keys[i];
    }
    return order;
  }

  int countAtLeast(float threshold) {
    int number = 0;
    for (float score : scores) {
      if (score >= threshold) {
        number++;
      }
    }
    return number;
  }

  /** The sub-network that wants the first n channels. */
  KeptChannels keep(int n) {
    int[] wanted = new int[table.groups()];
    for (int i = 0; i < n; i++) {
      wanted[groupOf[order[i]]]++;
    }
    int[] left = new int[table.groups()];
    for (int group = 0; group < left.length; group++) {
      long rounded = (Math.max(wanted[group], 1) + (roundTo - 1L)) / roundTo * roundTo;
      left[group] = (int) Math.min(table.width(group), rounded);
    }
    boolean[] stays = new boolean[order.length];
    for (int channel : order) {
      if (left[groupOf[channel]] > 0) {
        left[groupOf[channel]]--;
        stays[channel] = true;
      }
    }
    return new KeptChannels(table, stays, outputs);
  }
}
