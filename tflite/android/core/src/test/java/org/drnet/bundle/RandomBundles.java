package org.drnet.bundle;

import java.util.Random;

/** Draws bundles with everything that the format has. */
final class RandomBundles {
  private RandomBundles() {}

  static SyntheticBundle next(Random random) {
    SyntheticBundle bundle = new SyntheticBundle();
    bundle.half = random.nextBoolean();
    bundle.outputs = 2 + random.nextInt(5);
    int classes = 2 + random.nextInt(bundle.outputs - 1);
    random.nextBytes(bundle.skeleton);
    for (int i = 0; i < classes; i++) {
      bundle.named(bundle.outputs - 1 - i, "class " + i + "\u00e4");
    }
    int groups = 1 + random.nextInt(4);
    for (int g = 0; g < groups; g++) {
      group(bundle, random, classes);
    }
    axes(bundle, random, groups);
    for (int i = 0; i < 4; i++) {
      bundle.patch(4 * random.nextInt(8), 1 + random.nextInt(9), random.nextInt(bundle.axes.size()));
    }
    for (int i = 0; i < 5; i++) {
      vector(bundle, random, 32 + 4 * random.nextInt(8));
    }
    fold(bundle, random);
    return bundle;
  }

  private static void group(SyntheticBundle bundle, Random random, int classes) {
    int width = 1 + random.nextInt(12);
    int[][] scores = new int[classes][width];
    for (int[] row : scores) {
      for (int c = 0; c < width; c++) {
        // Few values, so that there are equal ones; 0x8000 is a half that is minus 0.
        int score = random.nextInt(4) * (bundle.half ? 0x1155 : 50);
        row[c] = bundle.half && score == 0 && random.nextBoolean() ? 0x8000 : score;
      }
    }
    bundle.group(width, bundle.half ? 0 : random.nextFloat(), scores);
  }

  private static void axes(SyntheticBundle bundle, Random random, int groups) {
    bundle.axis(SyntheticBundle.segment(groups, 0, bundle.outputs));
    bundle.axis(SyntheticBundle.segment(SyntheticBundle.FIXED, 0, 1 + random.nextInt(3)));
    for (int g = 0; g < groups; g++) {
      bundle.axis(SyntheticBundle.segment(g, 0, bundle.groups.get(g).width));
    }
    for (int i = 0; i < 2; i++) {
      int[][] segments = new int[1 + random.nextInt(3)][];
      for (int s = 0; s < segments.length; s++) {
        segments[s] = segment(bundle, random, groups);
      }
      bundle.axis(segments);
    }
  }

  private static int[] segment(SyntheticBundle bundle, Random random, int groups) {
    int group = random.nextInt(groups + 2);
    if (group > groups) {
      return SyntheticBundle.segment(groups, 0, bundle.outputs);
    }
    if (group == groups) {
      return SyntheticBundle.segment(SyntheticBundle.FIXED, 0, 1 + random.nextInt(3));
    }
    int width = bundle.groups.get(group).width;
    int start = random.nextInt(width);
    return SyntheticBundle.segment(group, start, 1 + random.nextInt(width - start));
  }

  private static void vector(SyntheticBundle bundle, Random random, int field) {
    int[] axes;
    int elements;
    do {
      axes = new int[1 + random.nextInt(5)];
      elements = 1;
      for (int i = 0; i < axes.length; i++) {
        axes[i] = random.nextInt(bundle.axes.size());
        elements *= bundle.axisLength(axes[i]);
      }
    } while (elements > 3000);
    int size = 1 << random.nextInt(4);
    byte[] bytes = new byte[size * elements];
    random.nextBytes(bytes);
    bundle.vector(field, size, random.nextInt(4), bytes, axes);
  }

  private static void fold(SyntheticBundle bundle, Random random) {
    int type = random.nextInt(3);
    int first = random.nextInt(bundle.axes.size());
    int last = random.nextInt(bundle.axes.size());
    int rows = bundle.axisLength(first);
    int width = bundle.axisLength(last);
    int elements = rows * bundle.axisLength(1) * width;
    byte[] weights = new byte[elements];
    random.nextBytes(weights);
    if (type == 0) {
      weights = floats(random, elements);
    } else if (type == 1) {
      int[] halves = new int[elements];
      for (int i = 0; i < elements; i++) {
        halves[i] = random.nextInt(0x7c00) | random.nextInt(2) << 15;
      }
      weights = SyntheticBundle.shorts(halves);
    }
    int[] constants = new int[width];
    for (int i = 0; i < width; i++) {
      constants[i] = type == 2
          ? random.nextInt()
          : Float.floatToIntBits(random.nextInt(3) * (random.nextFloat() - 0.5f));
    }
    int number = bundle.vectors.size();
    bundle.vector(32, Fold.weightSize(type), 2, weights, first, 1, last);
    byte[] biases = type == 2 ? SyntheticBundle.ints(random.ints(rows).toArray())
        : floats(random, rows);
    bundle.vector(36, 4, 2, biases, first);
    bundle.fold(number + 1, number, type, constants);
  }

  private static byte[] floats(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    return SyntheticBundle.floats(values);
  }
}
