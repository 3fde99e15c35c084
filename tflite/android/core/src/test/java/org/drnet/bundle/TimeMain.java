package org.drnet.bundle;

import java.io.File;
import java.util.Arrays;

/**
 * Times extraction to memory: {@code TimeMain bundle.tflite classA,classB union|xor|mean kept
 * value rounds}; instead of {@code kept} also {@code threshold} and {@code parameters}. Prints the
 * median in milliseconds, of which the first third of the rounds is no part.
 */
public final class TimeMain {
  private TimeMain() {}

  public static void main(String[] arguments) throws Exception {
    Bundle bundle = Bundle.open(new File(arguments[0]));
    Request request = new Request("timed\t" + arguments[1] + "\t" + arguments[2] + "\t"
        + arguments[3] + "\t" + arguments[4] + "\t8");
    int rounds = Integer.parseInt(arguments[5]);
    double[] milliseconds = new double[rounds];
    for (int i = -rounds / 2; i < rounds; i++) {
      long start = System.nanoTime();
      request.of(bundle).toBytes();
      if (i >= 0) {
        milliseconds[i] = (System.nanoTime() - start) / 1e6;
      }
    }
    Arrays.sort(milliseconds);
    System.out.println(milliseconds[rounds / 2]);
  }
}
