package org.drnet.bundle;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/**
 * The format's section on extraction, word by word and element by element, from what a test made
 * up: a second opinion on the fast one.
 */
final class SlowExtraction {
  private final SyntheticBundle bundle;
  private final int[] classes;
  private final float[][] scores;
  private final List<int[]> order = new ArrayList<int[]>();
  private List<List<Integer>> kept;

  SlowExtraction(SyntheticBundle bundle, List<String> labels, Rule rule) {
    this.bundle = bundle;
    classes = new int[labels.size()];
    for (int i = 0; i < classes.length; i++) {
      classes[i] = bundle.names.indexOf(labels.get(i));
    }
    scores = new float[bundle.groups.size()][];
    for (int g = 0; g < scores.length; g++) {
      scores[g] = new float[bundle.groups.get(g).width];
      for (int c = 0; c < scores[g].length; c++) {
        scores[g][c] = combined(g, c, rule);
        if (scores[g][c] > 0) {
          order.add(new int[] {g, c});
        }
      }
    }
    Collections.sort(order, new Comparator<int[]>() {
      @Override
      public int compare(int[] a, int[] b) {
        int falling = Float.compare(scores[b[0]][b[1]], scores[a[0]][a[1]]);
        return falling != 0 ? falling : a[0] != b[0] ? a[0] - b[0] : a[1] - b[1];
      }
    });
  }

  private float combined(int g, int c, Rule rule) {
    SyntheticBundle.Group group = bundle.groups.get(g);
    float[] each = new float[classes.length];
    for (int i = 0; i < classes.length; i++) {
      int raw = group.scores[classes[i]][c];
      each[i] = bundle.half ? Half.toFloat(raw) : group.step * raw;
    }
    if (rule == Rule.XOR) {
      return Math.abs(each[0] - each[1]);
    }
    double sum = 0;
    float greatest = 0;
    for (float score : each) {
      sum += score;
      greatest = Math.max(greatest, score);
    }
    return rule == Rule.MEAN ? (float) (sum / each.length) : greatest;
  }

  int countAtLeast(double threshold) {
    int count = 0;
    for (int[] channel : order) {
      if (scores[channel[0]][channel[1]] >= (float) threshold) {
        count++;
      }
    }
    return count;
  }

  /** The greatest n whose channels, or parameters, are within a bound; 0 if none is. */
  int greatest(double fraction, long parameters, int roundTo) {
    long all = 0;
    for (SyntheticBundle.Group group : bundle.groups) {
      all += group.width;
    }
    int n = 0;
    for (int i = 1; i <= order.size(); i++) {
      keep(i, roundTo);
      long channels = 0;
      for (int g = 0; g < bundle.groups.size(); g++) {
        channels += kept.get(g).size();
      }
      if (channels <= fraction * all && parameters() <= parameters) {
        n = i;
      }
    }
    return n;
  }

  void keep(int n, int roundTo) {
    kept = new ArrayList<List<Integer>>();
    for (int g = 0; g < scores.length; g++) {
      int wanted = 0;
      for (int[] channel : order.subList(0, Math.min(n, order.size()))) {
        wanted += channel[0] == g ? 1 : 0;
      }
      int rounded = (int) Math.ceil(Math.max(wanted, 1) / (double) roundTo) * roundTo;
      kept.add(best(g, Math.min(scores[g].length, rounded)));
    }
    List<Integer> outputs = new ArrayList<Integer>();
    for (int number : classes) {
      outputs.add(bundle.classOutputs.get(number));
    }
    kept.add(outputs);
  }

  private List<Integer> best(final int g, int count) {
    List<Integer> channels = new ArrayList<Integer>();
    for (int c = 0; c < scores[g].length; c++) {
      channels.add(c);
    }
    Collections.sort(channels, new Comparator<Integer>() {
      @Override
      public int compare(Integer a, Integer b) {
        int falling = Float.compare(scores[g][b], scores[g][a]);
        return falling != 0 ? falling : a - b;
      }
    });
    List<Integer> best = new ArrayList<Integer>(channels.subList(0, count));
    Collections.sort(best);
    return best;
  }

  private List<Integer> positions(int axis) {
    List<Integer> positions = new ArrayList<Integer>();
    int offset = 0;
    for (int[] segment : bundle.axes.get(axis)) {
      if (segment[0] == SyntheticBundle.FIXED) {
        for (int i = 0; i < segment[2]; i++) {
          positions.add(offset + i);
        }
      } else {
        for (int channel : kept.get(segment[0])) {
          if (channel >= segment[1] && channel < segment[1] + segment[2]) {
            positions.add(offset + channel - segment[1]);
          }
        }
      }
      offset += segment[2];
    }
    return positions;
  }

  long parameters() {
    long sum = 0;
    for (SyntheticBundle.Elements vector : bundle.vectors) {
      if ((vector.flags & 2) != 0) {
        sum += gathered(vector).size();
      }
    }
    return sum;
  }

  /** The elements' numbers in the full vector. */
  private List<Integer> gathered(SyntheticBundle.Elements vector) {
    List<Integer> numbers = new ArrayList<Integer>();
    numbers.add(0);
    for (int axis : vector.axes) {
      List<Integer> next = new ArrayList<Integer>();
      for (int number : numbers) {
        for (int position : positions(axis)) {
          next.add(number * bundle.axisLength(axis) + position);
        }
      }
      numbers = next;
    }
    return numbers;
  }

  byte[] bytes(List<String> labels) {
    ByteBuffer out = SyntheticBundle.little(1 << 22);
    out.put(bundle.skeleton);
    for (int[] patch : bundle.patches) {
      out.putInt(patch[0], patch[1] * positions(patch[2]).size());
    }
    for (int v = 0; v < bundle.vectors.size(); v++) {
      SyntheticBundle.Elements vector = bundle.vectors.get(v);
      int p = (out.position() + 4 + 15) / 16 * 16;
      out.position(p - 4);
      List<Integer> numbers = gathered(vector);
      out.putInt(numbers.size() * ((vector.flags & 1) != 0 ? 1 : vector.elementSize));
      for (int number : numbers) {
        out.put(vector.bytes, number * vector.elementSize, vector.elementSize);
      }
      out.putInt(vector.field, p - 4 - vector.field);
      for (SyntheticBundle.Constants fold : bundle.folds) {
        if (fold.biases == v) {
          fold(fold, out, p);
        }
      }
    }
    out.position((out.position() + 3) / 4 * 4);
    archive(out, labels);
    byte[] bytes = new byte[out.position()];
    out.flip();
    out.get(bytes);
    return bytes;
  }

  private void fold(SyntheticBundle.Constants fold, ByteBuffer out, int p) {
    SyntheticBundle.Elements weights = bundle.vectors.get(fold.weights);
    ByteBuffer elements = ByteBuffer.wrap(weights.bytes).order(out.order());
    int last = weights.axes.length - 1;
    int width = bundle.axisLength(weights.axes[last]);
    int between = 1;
    for (int i = 1; i < last; i++) {
      between *= bundle.axisLength(weights.axes[i]);
    }
    List<Integer> inputs = positions(weights.axes[last]);
    List<Integer> rows = positions(weights.axes[0]);
    for (int i = 0; i < rows.size(); i++) {
      double real = out.getFloat(p + 4 * i);
      long whole = out.getInt(p + 4 * i);
      for (int position = 0; position < width; position++) {
        float constant = Float.intBitsToFloat(fold.bits[position]);
        for (int t = 0; t < between && !inputs.contains(position); t++) {
          int element = (rows.get(i) * between + t) * width + position;
          if (fold.type == 2) {
            whole += (long) elements.get(element) * fold.bits[position];
          } else if (constant != 0) {
            real += (double) constant * (fold.type == 0
                ? elements.getFloat(4 * element)
                : Half.toFloat(elements.getShort(2 * element)));
          }
        }
      }
      if (fold.type == 2) {
        out.putInt(p + 4 * i, (int) whole);
      } else {
        out.putFloat(p + 4 * i, (float) real);
      }
    }
  }

  private static void archive(ByteBuffer out, List<String> labels) {
    StringBuilder lines = new StringBuilder();
    for (String label : labels) {
      lines.append(label).append("\n");
    }
    byte[] text = lines.toString().getBytes(StandardCharsets.UTF_8);
    byte[] name = "labels.txt".getBytes(StandardCharsets.UTF_8);
    int crc = SyntheticBundle.crc(text, 0, text.length);
    int local = out.position();
    out.put(new byte[] {0x50, 0x4b, 3, 4, 20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0});
    out.putInt(crc).putInt(text.length).putInt(text.length);
    out.put(new byte[] {10, 0, 0, 0}).put(name).put(text);
    int central = out.position();
    out.put(new byte[] {0x50, 0x4b, 1, 2, 20, 0, 20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0});
    out.putInt(crc).putInt(text.length).putInt(text.length);
    out.put(new byte[] {10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).putInt(local).put(name);
    int end = out.position();
    out.put(new byte[] {0x50, 0x4b, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0});
    out.putInt(end - central).putInt(central).putShort((short) 0);
  }
}
