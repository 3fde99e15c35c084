package org.drnet.bundle;

/** Which channels of every group stay, and which outputs. */
final class KeptChannels {
  private final ScoreTable table;
  /** Of every channel: how many before it stay, over all groups. */
  private final int[] before;
  private final int[] outputs;

  /**
   * @param stays whether a channel does, over all groups
   * @param outputs of the network, in the order asked for: the last group
   */
  KeptChannels(ScoreTable table, boolean[] stays, int[] outputs) {
    this.table = table;
    this.outputs = outputs;
    this.before = new int[stays.length + 1];
    for (int i = 0; i < stays.length; i++) {
      before[i + 1] = before[i] + (stays[i] ? 1 : 0);
    }
  }

  /** The channels kept of all groups, outputs aside. */
  int channels() {
    return before[before.length - 1];
  }

  /** How many channels of a part of a group are kept. */
  int count(int group, int start, int length) {
    if (group == table.groups()) {
      return outputs.length;
    }
    int first = table.firstChannel(group) + start;
    return before[first + length] - before[first];
  }

  /**
   * Lists the kept channels of a part of a group, counted from its start.
   *
   * @param offset is added to each
   * @param into an array, from its place {@code filled} on
   * @return the first place behind them
   */
  int positions(int group, int start, int length, int offset, int[] into, int filled) {
    if (group == table.groups()) {
      for (int output : outputs) {
        into[filled++] = offset + output;
      }
      return filled;
    }
    int first = table.firstChannel(group) + start;
    for (int i = 0; i < length; i++) {
      if (before[first + i + 1] != before[first + i]) {
        into[filled++] = offset + i;
      }
    }
    return filled;
  }
}
