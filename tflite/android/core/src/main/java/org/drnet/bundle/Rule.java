package org.drnet.bundle;

/** How the scores of several classes become the scores of their sub-task. */
public enum Rule {
  /** A channel's greatest score over the classes. */
  UNION,
  /** For two classes: how far a channel's two scores are apart. */
  XOR,
  /** A channel's mean score over the classes. */
  MEAN
}
