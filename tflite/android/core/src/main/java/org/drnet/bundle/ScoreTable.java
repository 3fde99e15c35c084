package org.drnet.bundle;

import java.nio.ByteBuffer;

/** How important every channel of every group is to every class. Channels count on over groups. */
final class ScoreTable {
  private final ByteBuffer plan;
  private final boolean half;
  private final int classes;
  private final int[] widths;
  private final float[] steps;
  private final int[] rows;
  private final int[] firstChannels;

  /**
   * @param plan little endian
   * @param half whether a score is an IEEE half, else a byte that counts steps
   * @param rows position in the plan of each group's first row
   */
  ScoreTable(
      ByteBuffer plan, boolean half, int classes, int[] widths, float[] steps, int[] rows) {
    this.plan = plan;
    this.half = half;
    this.classes = classes;
    this.widths = widths;
    this.steps = steps;
    this.rows = rows;
    this.firstChannels = new int[widths.length + 1];
    for (int group = 0; group < widths.length; group++) {
      firstChannels[group + 1] = firstChannels[group] + widths[group];
    }
  }

  int classes() {
    return classes;
  }

  int groups() {
    return widths.length;
  }

  int width(int group) {
    return widths[group];
  }

  /** The number of channels of all groups. */
  int channels() {
    return firstChannels[widths.length];
  }

  /** The number that the first channel of a group has among those of all groups. */
  int firstChannel(int group) {
    return firstChannels[group];
  }

  /** The scores of a sub-task: one for every channel, finite and at least 0. */
  float[] combine(int[] classNumbers, Rule rule) {
    float[] result = new float[channels()];
    for (int group = 0; group < widths.length; group++) {
      float[][] scores = new float[classNumbers.length][];
      for (int i = 0; i < classNumbers.length; i++) {
        scores[i] = row(group, classNumbers[i]);
      }
      for (int channel = 0; channel < widths[group]; channel++) {
        result[firstChannels[group] + channel] = combine(scores, channel, rule);
      }
    }
    return result;
  }

  /** Never minus 0: its bits would sort a channel behind all others. */
  private static float combine(float[][] scores, int channel, Rule rule) {
    switch (rule) {
      case XOR:
        return Math.abs(scores[0][channel] - scores[1][channel]);
      case MEAN:
        double sum = 0;
        for (float[] row : scores) {
          sum += row[channel];
        }
        return (float) (sum / scores.length);
      default:
        float greatest = 0;
        for (float[] row : scores) {
          greatest = Math.max(greatest, row[channel]);
        }
        return greatest;
    }
  }

  private float[] row(int group, int classNumber) {
    int width = widths[group];
    float[] row = new float[width];
    ByteBuffer bytes = plan.duplicate();
    bytes.order(plan.order());
    if (half) {
      bytes.position(rows[group] + 2 * width * classNumber);
      for (int channel = 0; channel < width; channel++) {
        row[channel] = Half.toFloat(bytes.getShort());
      }
    } else {
      bytes.position(rows[group] + width * classNumber);
      for (int channel = 0; channel < width; channel++) {
        row[channel] = steps[group] * (bytes.get() & 0xff);
      }
    }
    return row;
  }
}
