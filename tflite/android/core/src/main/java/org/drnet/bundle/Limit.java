package org.drnet.bundle;

/** How large a sub-network may be. */
public abstract class Limit {
  private Limit() {}

  /**
   * Wants the channels whose score reaches a threshold.
   *
   * @param score above 0; compared as a float
   */
  public static Limit threshold(double score) {
    return new Threshold(score);
  }

  /**
   * Keeps as many channels as possible, at most a fraction of all.
   *
   * @param fraction above 0 and at most 1
   */
  public static Limit keptFraction(double fraction) {
    return new KeptFraction(fraction);
  }

  /**
   * Keeps as many channels as possible, so that the sub-network has at most so many parameters.
   *
   * @param parameters elements of weights and biases
   */
  public static Limit maxParameters(long parameters) {
    return new MaxParameters(parameters);
  }

  /** How many of the candidates' channels are wanted. */
  abstract int wanted(Candidates candidates) throws BundleException;

  private static final class Threshold extends Limit {
    private final double score;

    Threshold(double score) {
      this.score = score;
    }

    @Override
    int wanted(Candidates candidates) throws BundleException {
      float least = (float) score;
      if (!(least > 0 && least <= Float.MAX_VALUE)) {
        throw new BundleException(
            "The threshold is " + score + ", expected a finite number above 0 as a float"
                + "; choose one among the scores.");
      }
      int wanted = candidates.countAtLeast(least);
      if (wanted == 0) {
        throw new BundleException(
            "No channel has a score of at least " + score + "; choose a lower threshold.");
      }
      return wanted;
    }

    @Override
    public String toString() {
      return "a threshold of " + score;
    }
  }

  /** A bound on a size that grows with the channels. */
  private abstract static class Bound extends Limit {
    abstract boolean allows(Candidates candidates, KeptChannels kept);

    @Override
    int wanted(Candidates candidates) throws BundleException {
      if (candidates.count == 0) {
        throw new BundleException(
            "No channel has a score above 0, expected at least one to fill " + this
                + "; ask for other classes or another rule.");
      }
      if (!allows(candidates, candidates.keep(1))) {
        throw new BundleException(
            "The smallest sub-network is larger than " + this
                + "; allow more, or round to fewer channels.");
      }
      int fits = 1;
      int tooMany = candidates.count + 1;
      while (tooMany - fits > 1) {
        int middle = fits + (tooMany - fits) / 2;
        if (allows(candidates, candidates.keep(middle))) {
          fits = middle;
        } else {
          tooMany = middle;
        }
      }
      return fits;
    }
  }

  private static final class KeptFraction extends Bound {
    private final double fraction;

    KeptFraction(double fraction) {
      this.fraction = fraction;
    }

    @Override
    int wanted(Candidates candidates) throws BundleException {
      if (!(fraction > 0 && fraction <= 1)) {
        throw new BundleException(
            "The kept fraction is " + fraction + ", expected more than 0 and at most 1"
                + "; 0.5 keeps half of the channels.");
      }
      return super.wanted(candidates);
    }

    @Override
    boolean allows(Candidates candidates, KeptChannels kept) {
      return kept.channels() <= fraction * candidates.plan.scores.channels();
    }

    @Override
    public String toString() {
      return "a kept fraction of " + fraction;
    }
  }

  private static final class MaxParameters extends Bound {
    private final long parameters;

    MaxParameters(long parameters) {
      this.parameters = parameters;
    }

    @Override
    boolean allows(Candidates candidates, KeptChannels kept) {
      return candidates.plan.parameters(kept) <= parameters;
    }

    @Override
    public String toString() {
      return "at most " + parameters + " parameters";
    }
  }
}
