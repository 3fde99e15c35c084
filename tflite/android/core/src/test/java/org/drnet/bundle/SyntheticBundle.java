package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/** A bundle that a test makes up, written as docs/bundle_format.md has it. */
final class SyntheticBundle {
  static final int FIXED = -1;

  byte[] skeleton = new byte[64];
  boolean half;
  int outputs;
  final List<Group> groups = new ArrayList<Group>();
  final List<String> names = new ArrayList<String>();
  final List<Integer> classOutputs = new ArrayList<Integer>();
  /** Each a list of segments of group, start and length. */
  final List<int[][]> axes = new ArrayList<int[][]>();
  /** Each of position, factor and axis. */
  final List<int[]> patches = new ArrayList<int[]>();
  final List<Elements> vectors = new ArrayList<Elements>();
  final List<Constants> folds = new ArrayList<Constants>();

  /** Channels and the raw scores of each class. */
  static final class Group {
    final int width;
    final float step;
    final int[][] scores;

    Group(int width, float step, int[][] scores) {
      this.width = width;
      this.step = step;
      this.scores = scores;
    }
  }

  /** A vector. */
  static final class Elements {
    final int field;
    final int elementSize;
    final int flags;
    final int[] axes;
    final byte[] bytes;
    int data;

    Elements(int field, int elementSize, int flags, int[] axes, byte[] bytes) {
      this.field = field;
      this.elementSize = elementSize;
      this.flags = flags;
      this.axes = axes;
      this.bytes = bytes;
    }
  }

  /** A fold. */
  static final class Constants {
    final int biases;
    final int weights;
    final int type;
    final int[] bits;

    Constants(int biases, int weights, int type, int... bits) {
      this.biases = biases;
      this.weights = weights;
      this.type = type;
      this.bits = bits;
    }
  }

  SyntheticBundle group(int width, float step, int[]... scores) {
    groups.add(new Group(width, step, scores));
    return this;
  }

  SyntheticBundle named(int output, String name) {
    classOutputs.add(output);
    names.add(name);
    return this;
  }

  SyntheticBundle axis(int[]... segments) {
    axes.add(segments);
    return this;
  }

  SyntheticBundle patch(int position, int factor, int axis) {
    patches.add(new int[] {position, factor, axis});
    return this;
  }

  SyntheticBundle vector(int field, int elementSize, int flags, byte[] bytes, int... axes) {
    vectors.add(new Elements(field, elementSize, flags, axes, bytes));
    return this;
  }

  SyntheticBundle fold(int biases, int weights, int type, int... bits) {
    folds.add(new Constants(biases, weights, type, bits));
    return this;
  }

  static int[] segment(int group, int start, int length) {
    return new int[] {group, start, length};
  }

  static byte[] floats(float... values) {
    ByteBuffer bytes = little(4 * values.length);
    for (float value : values) {
      bytes.putFloat(value);
    }
    return bytes.array();
  }

  static byte[] ints(int... values) {
    ByteBuffer bytes = little(4 * values.length);
    for (int value : values) {
      bytes.putInt(value);
    }
    return bytes.array();
  }

  static byte[] shorts(int... values) {
    ByteBuffer bytes = little(2 * values.length);
    for (int value : values) {
      bytes.putShort((short) value);
    }
    return bytes.array();
  }

  static ByteBuffer little(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  int axisLength(int axis) {
    int sum = 0;
    for (int[] segment : axes.get(axis)) {
      sum += segment[2];
    }
    return sum;
  }

  byte[] toBytes() {
    ByteBuffer model = little(1 << 22);
    model.put(skeleton);
    for (Elements vector : vectors) {
      while ((model.position() + 4) % 16 != 0) {
        model.put((byte) 0);
      }
      boolean counts = (vector.flags & 1) != 0;
      model.putInt(vector.bytes.length / (counts ? vector.elementSize : 1));
      vector.data = model.position();
      model.putInt(vector.field, vector.data - 4 - vector.field);
      model.put(vector.bytes);
    }
    int end = model.position();
    byte[] plan = plan(model.array(), end);
    int start = end + 30 + "drnet_plan.bin".length();
    ByteBuffer footer = little(24);
    footer.put("DRNetBdl".getBytes(StandardCharsets.US_ASCII));
    footer.putInt(1).putInt(start).putInt(plan.length).putInt(crc(plan, 0, plan.length));
    archive(model, end, plan, footer.array());
    byte[] bytes = new byte[model.position()];
    model.flip();
    model.get(bytes);
    return bytes;
  }

  Bundle open() throws BundleException {
    return Bundle.open(ByteBuffer.wrap(toBytes()));
  }

  static int crc(byte[] bytes, int start, int end) {
    CRC32 crc = new CRC32();
    crc.update(bytes, start, end - start);
    return (int) crc.getValue();
  }

  private byte[] plan(byte[] model, int end) {
    ByteBuffer plan = little(1 << 20);
    plan.putInt(skeleton.length).putInt(crc(model, 0, skeleton.length));
    plan.putInt(end).putInt(crc(model, skeleton.length, end));
    plan.putInt(half ? 1 : 0).putInt(groups.size()).putInt(names.size()).putInt(outputs);
    for (Group group : groups) {
      plan.putInt(group.width).putFloat(group.step);
    }
    for (int i = 0; i < names.size(); i++) {
      byte[] name = names.get(i).getBytes(StandardCharsets.UTF_8);
      plan.putInt(classOutputs.get(i)).putShort((short) name.length).put(name);
    }
    for (Group group : groups) {
      for (int[] row : group.scores) {
        for (int score : row) {
          if (half) {
            plan.putShort((short) score);
          } else {
            plan.put((byte) score);
          }
        }
      }
    }
    putLists(plan);
    byte[] bytes = new byte[plan.position()];
    plan.flip();
    plan.get(bytes);
    return bytes;
  }

  private void putLists(ByteBuffer plan) {
    plan.putInt(axes.size());
    for (int[][] axis : axes) {
      plan.putShort((short) axis.length);
      for (int[] segment : axis) {
        plan.putInt(segment[0]).putInt(segment[1]).putInt(segment[2]);
      }
    }
    plan.putInt(patches.size());
    for (int[] patch : patches) {
      plan.putInt(patch[0]).putInt(patch[1]).putInt(patch[2]);
    }
    plan.putInt(vectors.size());
    for (Elements vector : vectors) {
      plan.putInt(vector.field).putInt(vector.data);
      plan.put((byte) vector.elementSize).put((byte) vector.flags).put((byte) vector.axes.length);
      for (int axis : vector.axes) {
        plan.putInt(axis);
      }
    }
    plan.putInt(folds.size());
    for (Constants fold : folds) {
      plan.putInt(fold.biases).putInt(fold.weights).put((byte) fold.type);
      for (int bits : fold.bits) {
        plan.putInt(bits);
      }
    }
  }

  /** An archive of the plan alone: the core reads no other entry. */
  private static void archive(ByteBuffer out, int local, byte[] plan, byte[] comment) {
    byte[] name = "drnet_plan.bin".getBytes(StandardCharsets.US_ASCII);
    int crc = crc(plan, 0, plan.length);
    out.putInt(0x04034b50).putShort((short) 20).putShort((short) 0x800).putShort((short) 0);
    out.putShort((short) 0).putShort((short) 0x21).putInt(crc);
    out.putInt(plan.length).putInt(plan.length);
    out.putShort((short) name.length).putShort((short) 0).put(name).put(plan);
    int central = out.position();
    out.putInt(0x02014b50).putShort((short) 20).putShort((short) 20).putShort((short) 0x800);
    out.putShort((short) 0).putShort((short) 0).putShort((short) 0x21).putInt(crc);
    out.putInt(plan.length).putInt(plan.length).putShort((short) name.length);
    out.put(new byte[12]).putInt(local).put(name);
    int end = out.position();
    out.putInt(0x06054b50).putInt(0).putShort((short) 1).putShort((short) 1);
    out.putInt(end - central).putInt(central).putShort((short) comment.length).put(comment);
  }
}
