package org.drnet.bundle;

import java.util.Arrays;
import java.util.List;

/**
 * The bundle of the tests that are counted by hand: two groups of 4 and 2 channels, three classes
 * of four outputs, one convolution's weights along both groups and a classifier's biases.
 */
final class Animals {
  /** The order of the outputs is that of the numbers: bird 1, cat 3, dog 0. */
  static final List<String> CLASSES = Arrays.asList("cat", "dog", "bird");

  private Animals() {}

  static SyntheticBundle bundle() {
    SyntheticBundle bundle = new SyntheticBundle();
    bundle.skeleton = new byte[24];
    Arrays.fill(bundle.skeleton, (byte) 7);
    bundle.outputs = 4;
    bundle.named(3, "cat").named(0, "dog").named(1, "bird");
    bundle.group(4, 0.5f, new int[][] {{9, 0, 3, 1}, {1, 0, 3, 8}, {0, 0, 0, 2}});
    bundle.group(2, 2f, new int[][] {{0, 1}, {0, 2}, {0, 0}});
    bundle.axis(SyntheticBundle.segment(0, 0, 4));
    bundle.axis(SyntheticBundle.segment(1, 0, 2));
    bundle.axis(SyntheticBundle.segment(2, 0, 4));
    bundle.patch(4, 3, 0);
    bundle.vector(8, 4, 3, SyntheticBundle.ints(0, 1, 2, 3, 10, 11, 12, 13), 1, 0);
    bundle.vector(12, 2, 2, SyntheticBundle.shorts(100, 101, 102, 103), 2);
    return bundle;
  }
}
