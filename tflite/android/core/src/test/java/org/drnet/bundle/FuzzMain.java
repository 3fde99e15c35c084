package org.drnet.bundle;

import java.io.File;
import java.nio.file.Files;

/** Tries mutations of a bundle in memory: {@code FuzzMain bundle.tflite seed count}; prints JSON. */
public final class FuzzMain {
  private FuzzMain() {}

  public static void main(String[] arguments) throws Exception {
    byte[] bundle = Files.readAllBytes(new File(arguments[0]).toPath());
    Fuzz fuzz = new Fuzz(bundle, Long.parseLong(arguments[1]));
    int count = Integer.parseInt(arguments[2]);
    fuzz.run(count);
    if (fuzz.firstUndocumented != null) {
      fuzz.firstUndocumented.printStackTrace();
    }
    System.out.println(
        "{\"bytes\": " + bundle.length + ", \"mutations\": " + count + ", \"refused\": "
            + fuzz.refused + ", \"extracted\": " + fuzz.extracted + ", \"undocumented\": "
            + fuzz.undocumented + ", \"slowest_ms\": " + fuzz.slowestMilliseconds + "}");
    System.exit(fuzz.undocumented == 0 ? 0 : 1);
  }
}
