package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;

/** Reads a plan and checks every rule of the format, so that extraction need not. */
final class PlanParser {
  private static final long FIXED_GROUP = 0xffffffffL;
  private static final int MAX_DIMENSIONS = 5;

  private final Cursor cursor;
  private final Plan plan = new Plan();
  private boolean half;
  private int[] widths;
  private int outputs;
  private Axis[] axes;

  private PlanParser(ByteBuffer bytes, String file) {
    this.cursor = new Cursor(bytes, file);
    plan.bytes = bytes;
  }

  /**
   * @param bytes of the plan, little endian
   * @param file how errors name the file
   * @param position of the plan in the file: skeleton and vectors end before it
   */
  static Plan parse(ByteBuffer bytes, String file, int position) throws BundleException {
    PlanParser parser = new PlanParser(bytes, file);
    parser.header(position);
    parser.axes();
    parser.patches();
    parser.vectors();
    parser.folds();
    parser.cursor.enter("end");
    parser.cursor.check(
        parser.cursor.remaining() == 0, parser.cursor.remaining() + " more bytes", "none");
    return parser.plan;
  }

  private void header(int position) throws BundleException {
    plan.skeletonSize = cursor.within(0, position, "skeleton size");
    plan.skeletonCrc = cursor.u32();
    plan.vectorsEnd = cursor.within(plan.skeletonSize, position, "end of the vectors");
    plan.vectorsCrc = cursor.u32();
    half = cursor.within(0, 1, "encoding") == 1;
    int groups = cursor.count(8);
    int classes = cursor.count(7);
    cursor.check(groups > 0, "no groups", "at least one");
    cursor.check(classes > 0, "no classes", "at least one");
    outputs = cursor.within(0, Integer.MAX_VALUE, "number of outputs");
    float[] steps = groups(groups);
    classes(classes);
    plan.scores =
        new ScoreTable(plan.bytes, half, classes, widths, steps, scoreRows(groups, classes));
  }

  private float[] groups(int number) throws BundleException {
    widths = new int[number];
    float[] steps = new float[number];
    for (int i = 0; i < number; i++) {
      cursor.enter("group " + i);
      widths[i] = cursor.within(1, Integer.MAX_VALUE, "width");
      steps[i] = cursor.f32();
      // The greatest score must be a number too.
      float greatest = steps[i] * 255f;
      cursor.check(steps[i] >= 0 && greatest <= Float.MAX_VALUE && !(half && steps[i] != 0),
          "step " + steps[i], half ? "0 for half scores" : "a finite number of at least 0");
    }
    return steps;
  }

  private void classes(int number) throws BundleException {
    plan.outputs = new int[number];
    List<String> names = new ArrayList<String>(number);
    // A tree: names that are made to share a hash cannot slow it down.
    TreeSet<String> seen = new TreeSet<String>();
    for (int i = 0; i < number; i++) {
      cursor.enter("class " + i);
      plan.outputs[i] = cursor.within(0, outputs - 1L, "output");
      String name = cursor.text();
      cursor.check(!name.isEmpty(), "an empty name", "a name");
      cursor.check(name.indexOf('\n') < 0 && name.indexOf('\r') < 0,
          "a name with a line break", "one line");
      cursor.check(seen.add(name), "'" + name + "' again", "each name once");
      names.add(name);
    }
    int[] sorted = plan.outputs.clone();
    Arrays.sort(sorted);
    for (int i = 1; i < number; i++) {
      cursor.check(
          sorted[i] != sorted[i - 1], "output " + sorted[i] + " twice", "each output once");
    }
    plan.classNames = Collections.unmodifiableList(names);
  }

  private int[] scoreRows(int groups, int classes) throws BundleException {
    int[] rows = new int[groups];
    for (int i = 0; i < groups; i++) {
      cursor.enter("scores of group " + i);
      rows[i] = cursor.position();
      cursor.skip((half ? 2L : 1L) * classes * widths[i]);
      for (int at = rows[i]; half && at < cursor.position(); at += 2) {
        int bits = plan.bytes.getShort(at);
        cursor.check(
            Half.isScore(bits), "score " + Half.toFloat(bits), "a finite number of at least 0");
      }
    }
    return rows;
  }

  private void axes() throws BundleException {
    cursor.enter("axes");
    axes = new Axis[cursor.count(14)];
    for (int i = 0; i < axes.length; i++) {
      cursor.enter("axis " + i);
      int segments = cursor.u16();
      cursor.check(segments > 0, "no segments", "at least one");
      cursor.need(12L * segments);
      axes[i] = axis(segments);
    }
  }

  private Axis axis(int segments) throws BundleException {
    int[] groups = new int[segments];
    int[] starts = new int[segments];
    int[] lengths = new int[segments];
    long sum = 0;
    for (int i = 0; i < segments; i++) {
      long group = cursor.u32();
      if (group == FIXED_GROUP) {
        groups[i] = Axis.FIXED;
        starts[i] = cursor.within(0, 0, "start");
        lengths[i] = cursor.within(1, Integer.MAX_VALUE, "length");
      } else if (group == widths.length) {
        groups[i] = (int) group;
        starts[i] = cursor.within(0, 0, "start");
        lengths[i] = cursor.within(Math.max(outputs, 1), outputs, "length");
      } else {
        cursor.check(group < widths.length, "group " + group, "at most " + widths.length);
        groups[i] = (int) group;
        starts[i] = cursor.within(0, widths[groups[i]] - 1L, "start");
        lengths[i] = cursor.within(1, widths[groups[i]] - starts[i], "length");
      }
      sum += lengths[i];
    }
    cursor.check(sum <= Integer.MAX_VALUE, "length " + sum, "at most " + Integer.MAX_VALUE);
    return new Axis(groups, starts, lengths);
  }

  private Axis nextAxis() throws BundleException {
    return axes[cursor.within(0, axes.length - 1L, "axis")];
  }

  private void patches() throws BundleException {
    cursor.enter("patches");
    plan.patches = new Patch[cursor.count(12)];
    for (int i = 0; i < plan.patches.length; i++) {
      cursor.enter("patch " + i);
      int position = skeletonPosition("position");
      int factor = cursor.within(0, Integer.MAX_VALUE, "factor");
      Axis axis = nextAxis();
      cursor.check((long) factor * axis.length <= Integer.MAX_VALUE,
          factor + " times " + axis.length, "at most " + Integer.MAX_VALUE);
      plan.patches[i] = new Patch(position, factor, axis);
    }
  }

  /** Where a number of four bytes stands in the skeleton. */
  private int skeletonPosition(String what) throws BundleException {
    int position = cursor.within(0, plan.skeletonSize - 4L, what);
    cursor.check(position % 4 == 0, what + " " + position, "a multiple of 4");
    return position;
  }

  private void vectors() throws BundleException {
    cursor.enter("vectors");
    plan.vectors = new Vector[cursor.count(15)];
    long end = plan.skeletonSize;
    for (int i = 0; i < plan.vectors.length; i++) {
      cursor.enter("vector " + i);
      int field = skeletonPosition("field");
      int data = cursor.within(end + 4, plan.vectorsEnd, "data");
      cursor.check(data % 16 == 0, "data " + data, "a multiple of 16");
      int elementSize = cursor.u8();
      cursor.check(elementSize == 1 || elementSize == 2 || elementSize == 4 || elementSize == 8,
          "element size " + elementSize, "1, 2, 4 or 8");
      int flags = cursor.u8();
      cursor.check(flags <= (Vector.COUNTS_ELEMENTS | Vector.HOLDS_PARAMETERS),
          "flags " + flags, "0 to 3");
      Axis[] dimensions = dimensions();
      end = data + bytes(dimensions, elementSize);
      cursor.check(end <= plan.vectorsEnd,
          "an end at " + end, "at most " + plan.vectorsEnd + ", the end of all vectors");
      plan.vectors[i] = new Vector(field, data, elementSize, flags, dimensions);
    }
  }

  private Axis[] dimensions() throws BundleException {
    int number = cursor.u8();
    cursor.check(number >= 1 && number <= MAX_DIMENSIONS,
        number + " dimensions", "1 to " + MAX_DIMENSIONS);
    Axis[] dimensions = new Axis[number];
    for (int i = 0; i < number; i++) {
      dimensions[i] = nextAxis();
    }
    return dimensions;
  }

  private long bytes(Axis[] dimensions, int elementSize) throws BundleException {
    long bytes = elementSize;
    for (Axis axis : dimensions) {
      bytes *= axis.length;
      cursor.check(
          bytes <= plan.vectorsEnd, bytes + " bytes or more", "at most " + plan.vectorsEnd);
    }
    return bytes;
  }

  private void folds() throws BundleException {
    cursor.enter("folds");
    int number = cursor.count(13);
    for (int i = 0; i < number; i++) {
      cursor.enter("fold " + i);
      Vector biases = nextVector("biases");
      Vector weights = nextVector("weights");
      int type = cursor.u8();
      cursor.check(type <= Fold.INT8, "type " + type, "0, 1 or 2");
      checkFold(biases, weights, type);
      biases.fold = new Fold(weights, type, cursor.position());
      weights.isFolded = true;
      constants(weights.axes[weights.axes.length - 1].length, type);
    }
  }

  private void constants(int number, int type) throws BundleException {
    int first = cursor.position();
    cursor.skip(4L * number);
    for (int at = first; type != Fold.INT8 && at < cursor.position(); at += 4) {
      float constant = plan.bytes.getFloat(at);
      cursor.check(
          Math.abs(constant) <= Float.MAX_VALUE, "constant " + constant, "a finite number");
    }
  }

  private Vector nextVector(String what) throws BundleException {
    return plan.vectors[cursor.within(0, plan.vectors.length - 1L, what)];
  }

  private void checkFold(Vector biases, Vector weights, int type) throws BundleException {
    cursor.check(biases.fold == null, "biases that are folded already", "each biases once");
    cursor.check(!weights.isFolded, "weights that are folded already", "each weights once");
    cursor.check(biases.axes.length == 1 && biases.elementSize == 4,
        "biases of " + biases.axes.length + " dimensions and " + biases.elementSize + " bytes",
        "1 dimension and 4 bytes");
    cursor.check(weights.axes.length >= 2 && weights.elementSize == Fold.weightSize(type),
        "weights of " + weights.axes.length + " dimensions and " + weights.elementSize + " bytes",
        "2 dimensions or more and " + Fold.weightSize(type) + " bytes");
    cursor.check(
        biases.axes[0] == weights.axes[0], "biases along another axis", "the weights' first");
    for (int i = 1; i < weights.axes.length - 1; i++) {
      cursor.check(weights.axes[i].isFixed(),
          "weights whose dimension " + i + " loses channels", "only the first and the last");
    }
  }
}
