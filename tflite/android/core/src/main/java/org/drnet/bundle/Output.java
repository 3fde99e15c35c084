package org.drnet.bundle;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Writes numbers, little endian, to a stream through one small buffer. */
final class Output {
  private static final int CAPACITY = 1 << 16;

  private final OutputStream stream;
  private final byte[] bytes = new byte[CAPACITY];
  private final ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  private long flushed;

  Output(OutputStream stream) {
    this.stream = stream;
  }

  /** How many bytes were written. */
  long position() {
    return flushed + buffer.position();
  }

  void flush() throws IOException {
    stream.write(bytes, 0, buffer.position());
    flushed += buffer.position();
    buffer.clear();
  }

  void putShort(int value) throws IOException {
    room(2);
    buffer.putShort((short) value);
  }

  void putInt(int value) throws IOException {
    room(4);
    buffer.putInt(value);
  }

  /** Zeros up to a position. */
  void padTo(long position) throws IOException {
    while (position() < position) {
      room(1);
      buffer.put((byte) 0);
    }
  }

  void put(byte[] values, int count) throws IOException {
    for (int done = 0; done < count; ) {
      int now = Math.min(room(1), count - done);
      buffer.put(values, done, now);
      done += now;
    }
  }

  void put(short[] values, int count) throws IOException {
    for (int done = 0; done < count; ) {
      int now = Math.min(room(2) / 2, count - done);
      buffer.asShortBuffer().put(values, done, now);
      buffer.position(buffer.position() + 2 * now);
      done += now;
    }
  }

  void put(int[] values, int count) throws IOException {
    for (int done = 0; done < count; ) {
      int now = Math.min(room(4) / 4, count - done);
      buffer.asIntBuffer().put(values, done, now);
      buffer.position(buffer.position() + 4 * now);
      done += now;
    }
  }

  /** Bytes of a buffer whose own position and limit this may change. */
  void put(ByteBuffer source, int start, int length) throws IOException {
    int end = start + length;
    source.clear();
    for (int at = start; at < end; ) {
      int now = Math.min(room(1), end - at);
      source.limit(at + now);
      source.position(at);
      buffer.put(source);
      at += now;
    }
  }

  /** Makes room for an element; returns how many bytes there are room for. */
  private int room(int bytes) throws IOException {
    if (buffer.remaining() < bytes) {
      flush();
    }
    return buffer.remaining();
  }
}
