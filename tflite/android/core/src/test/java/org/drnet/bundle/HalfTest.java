package org.drnet.bundle;

/** Halves by hand, from the standard's table. */
final class HalfTest {
  void testValues() {
    Check.equal(0f, Half.toFloat(0));
    Check.equal(1f, Half.toFloat(0x3c00));
    Check.equal(-2f, Half.toFloat(0xc000));
    Check.equal(65504f, Half.toFloat(0x7bff));
    Check.equal((float) Math.pow(2, -24), Half.toFloat(1));
    Check.equal((float) Math.pow(2, -14), Half.toFloat(0x0400));
    Check.equal(Float.POSITIVE_INFINITY, Half.toFloat(0x7c00));
    Check.that(Float.isNaN(Half.toFloat(0xfe00)));
    // Signs that short's widening leaves above the 16 bits change nothing.
    Check.equal(-2f, Half.toFloat((short) 0xc000));
  }

  void testScores() {
    Check.that(Half.isScore(0) && Half.isScore(0x8000) && Half.isScore(0x7bff));
    Check.that(!Half.isScore(0x7c00) && !Half.isScore(0x7e00) && !Half.isScore(0x8001));
  }
}
