package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.util.List;

/** What a bundle says of itself, checked: see {@link PlanParser}. */
final class Plan {
  /** The plan's own bytes: scores and constants are read from them when asked for. */
  ByteBuffer bytes;
  /** Length of the skeleton in bytes. */
  int skeletonSize;
  /** Position behind the last vector. */
  int vectorsEnd;
  long skeletonCrc;
  long vectorsCrc;
  /** In the order of the plan. */
  List<String> classNames;
  /** Of each class: its output of the network. */
  int[] outputs;
  ScoreTable scores;
  Patch[] patches;
  Vector[] vectors;

  /** Elements of all vectors that hold parameters, in the full network. */
  long parameters() {
    long sum = 0;
    for (Vector vector : vectors) {
      if (vector.holdsParameters()) {
        sum += vector.elements();
      }
    }
    return sum;
  }

  /** Those of a sub-network. */
  long parameters(KeptChannels kept) {
    long sum = 0;
    for (Vector vector : vectors) {
      if (vector.holdsParameters()) {
        sum += vector.keptElements(kept);
      }
    }
    return sum;
  }
}
