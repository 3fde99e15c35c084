package org.drnet.bundle;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What is kept for a request: see {@link Animals} for the scores. */
final class RequestTest {
  private static final List<String> CAT_DOG = Arrays.asList("cat", "dog");

  private static Extraction ask(List<String> classes, Rule rule, Limit limit, int roundTo)
      throws BundleException {
    return Animals.bundle().open().extract(classes, rule, limit, roundTo);
  }

  private static void keeps(Extraction extraction, int[] first, int[] second) {
    Check.equal(first, extraction.keptChannels(0));
    Check.equal(second, extraction.keptChannels(1));
  }

  void testRules() throws Exception {
    keeps(ask(CAT_DOG, Rule.UNION, Limit.threshold(1.5), 1), new int[] {0, 2, 3}, new int[] {1});
    // Differences: 4, 0, 0, 3.5 and 0, 2.
    keeps(ask(CAT_DOG, Rule.XOR, Limit.threshold(3.75), 1), new int[] {0}, new int[] {1});
    // Means: 2.5, 0, 1.5, 2.25 and 0, 3.
    keeps(ask(CAT_DOG, Rule.MEAN, Limit.threshold(2.5), 1), new int[] {0}, new int[] {1});
  }

  void testMeansAreSummedInDoubles() throws Exception {
    // As floats, 1 and twice 2^-24 would be 1, and the lower channel would win.
    SyntheticBundle made = new SyntheticBundle();
    made.half = true;
    made.outputs = 3;
    made.named(0, "a").named(1, "b").named(2, "c");
    made.group(2, 0, new int[][] {{0x3c00, 0x3c00}, {0, 1}, {0, 1}});
    Extraction extraction = made.open().extract(
        Arrays.asList("a", "b", "c"), Rule.MEAN, Limit.keptFraction(0.5), 1);
    Check.equal(new int[] {1}, extraction.keptChannels(0));
  }

  void testKeptFraction() throws Exception {
    // 0.5 of 6: channel 0 (4.5), 3 (4) and 1 of group 1 (4, the higher group comes later).
    keeps(ask(CAT_DOG, Rule.UNION, Limit.keptFraction(0.5), 1), new int[] {0, 3}, new int[] {1});
    keeps(ask(CAT_DOG, Rule.UNION, Limit.keptFraction(0.49), 1), new int[] {0}, new int[] {1});
    // All that has a score, not all channels.
    keeps(ask(CAT_DOG, Rule.UNION, Limit.keptFraction(1), 1), new int[] {0, 2, 3}, new int[] {1});
  }

  void testMaxParameters() throws Exception {
    // Two biases, and a weight for each channel of group 0.
    keeps(ask(CAT_DOG, Rule.UNION, Limit.maxParameters(4), 1), new int[] {0, 3}, new int[] {1});
    Check.equal(
        4L, ask(CAT_DOG, Rule.UNION, Limit.maxParameters(4), 1).parameters());
  }

  void testRoundingKeepsMoreOrAll() throws Exception {
    keeps(ask(CAT_DOG, Rule.UNION, Limit.threshold(4.5), 2), new int[] {0, 3}, new int[] {0, 1});
    keeps(ask(CAT_DOG, Rule.UNION, Limit.threshold(4.5), Integer.MAX_VALUE),
        new int[] {0, 1, 2, 3}, new int[] {0, 1});
  }

  void testThresholdAboveAllScores() {
    Check.refused(
        () -> ask(CAT_DOG, Rule.UNION, Limit.threshold(1e9), 1), "choose a lower threshold");
  }

  void testNoScoreAboveZero() throws Exception {
    List<String> bird = Collections.singletonList("bird");
    SyntheticBundle made = Animals.bundle();
    made.groups.get(0).scores[2][3] = 0;
    final Bundle bundle = made.open();
    Check.refused(() -> bundle.extract(bird, Rule.UNION, Limit.threshold(1), 1),
        "No channel has a score of at least 1.0");
    Check.refused(() -> bundle.extract(bird, Rule.UNION, Limit.keptFraction(1), 1),
        "No channel has a score above 0");
  }

  void testImpossibleRequests() {
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.threshold(0), 1), "threshold is 0.0");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.threshold(1e-60), 1), "1.0E-60");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.threshold(Double.NaN), 1), "NaN");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.threshold(1e300), 1), "1.0E300");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.keptFraction(0), 1), "0.0");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.keptFraction(1.01), 1), "1.01");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.keptFraction(0.1), 1), "allow more");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.maxParameters(2), 1),
        "at most 2 parameters");
    Check.refused(() -> ask(CAT_DOG, Rule.UNION, Limit.threshold(1), 0), "round_to is 0");
    Check.refused(() -> ask(Animals.CLASSES, Rule.XOR, Limit.threshold(1), 1), "3 classes");
    Check.refused(() -> ask(Arrays.asList("cat", "cat"), Rule.XOR, Limit.threshold(1), 1), "twice");
    Check.refused(
        () -> ask(Arrays.asList("cow"), Rule.UNION, Limit.threshold(1), 1), "'cow'", "'cat'");
    Check.refused(() -> ask(Collections.<String>emptyList(), Rule.UNION, Limit.threshold(1), 1),
        "No class");
  }
}
