package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Reads the plan's numbers one after the other and never past its end. */
final class Cursor {
  private final ByteBuffer plan;
  private final String file;
  private String record = "header";

  /**
   * @param plan its bytes, from position 0 to the limit
   * @param file how errors name the file
   */
  Cursor(ByteBuffer plan, String file) {
    this.plan = plan.duplicate();
    this.plan.order(ByteOrder.LITTLE_ENDIAN);
    this.file = file;
  }

  /** Says what is read from here on, for the errors. */
  void enter(String record) {
    this.record = record;
  }

  int position() {
    return plan.position();
  }

  int remaining() {
    return plan.remaining();
  }

  /** Skips bytes that are there. */
  void skip(long bytes) throws BundleException {
    need(bytes);
    plan.position(plan.position() + (int) bytes);
  }

  int u8() throws BundleException {
    need(1);
    return plan.get() & 0xff;
  }

  int u16() throws BundleException {
    need(2);
    return plan.getShort() & 0xffff;
  }

  long u32() throws BundleException {
    need(4);
    return plan.getInt() & 0xffffffffL;
  }

  float f32() throws BundleException {
    need(4);
    return plan.getFloat();
  }

  /** A u32 in a range; what lies beyond an int is in no range, as no file is that long. */
  int within(long least, long most, String what) throws BundleException {
    long value = u32();
    check(value >= least && value <= Math.min(most, Integer.MAX_VALUE),
        what + " " + value, least + " to " + Math.min(most, Integer.MAX_VALUE));
    return (int) value;
  }

  /** A number of records of which each takes at least so many bytes: there must be so many. */
  int count(int leastBytes) throws BundleException {
    long value = u32();
    check(value <= remaining() / leastBytes,
        value + " of them", "at most " + remaining() / leastBytes + " in the bytes that are left");
    return (int) value;
  }

  String text() throws BundleException {
    int length = u16();
    need(length);
    ByteBuffer bytes = plan.duplicate();
    bytes.limit(bytes.position() + length);
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
      skip(length);
      return text;
    } catch (CharacterCodingException e) {
      throw broken("other bytes", "UTF-8");
    }
  }

  void check(boolean holds, String got, String expected) throws BundleException {
    if (!holds) {
      throw broken(got, expected);
    }
  }

  private BundleException broken(String got, String expected) {
    return BundleException.broken(
        file + " (plan, " + record + ", before byte " + position() + ")", got, expected);
  }

  /** Refuses a record that would not end within the plan, before anything is allocated for it. */
  void need(long bytes) throws BundleException {
    check(bytes <= remaining(), "the plan's end", bytes + " more bytes");
  }
}
