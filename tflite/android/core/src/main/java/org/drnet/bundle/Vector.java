package org.drnet.bundle;

/** Where a tensor's elements lie in the file, and along which axes they are gathered. */
final class Vector {
  static final int COUNTS_ELEMENTS = 1;
  static final int HOLDS_PARAMETERS = 2;

  /** Position in the skeleton of the offset that points to the vector. */
  final int field;
  /** Position in the file of the first element. */
  final int data;
  /** Bytes of an element. */
  final int elementSize;
  /** In C order. */
  final Axis[] axes;
  private final int flags;
  /** What its gathered elements get added, or null; set once, by the parser. */
  Fold fold;

  /** Whether it is the weights of a fold; set by the parser. */
  boolean isFolded;

  Vector(int field, int data, int elementSize, int flags, Axis[] axes) {
    this.field = field;
    this.data = data;
    this.elementSize = elementSize;
    this.flags = flags;
    this.axes = axes;
  }

  boolean holdsParameters() {
    return (flags & HOLDS_PARAMETERS) != 0;
  }

  long elements() {
    long product = 1;
    for (Axis axis : axes) {
      product *= axis.length;
    }
    return product;
  }

  long keptElements(KeptChannels kept) {
    long product = 1;
    for (Axis axis : axes) {
      product *= axis.keptLength(kept);
    }
    return product;
  }

  /** What stands before the gathered elements: their number, or that of their bytes. */
  long lengthField(long elements) {
    return (flags & COUNTS_ELEMENTS) != 0 ? elements : elements * elementSize;
  }
}
