package org.drnet.bundle;

/** A number of the skeleton that is a multiple of an axis' length. */
final class Patch {
  final int position;
  final int factor;
  final Axis axis;

  Patch(int position, int factor, Axis axis) {
    this.position = position;
    this.factor = factor;
    this.axis = axis;
  }
}
