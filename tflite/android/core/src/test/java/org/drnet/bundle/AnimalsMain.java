package org.drnet.bundle;

import java.io.File;
import java.nio.file.Files;

/** Writes the small bundle of the tests: {@code AnimalsMain animals.tflite}. */
public final class AnimalsMain {
  private AnimalsMain() {}

  public static void main(String[] arguments) throws Exception {
    Files.write(new File(arguments[0]).toPath(), Animals.bundle().toBytes());
  }
}
