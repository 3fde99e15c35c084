package org.drnet.bundle;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/**
 * Answers requests: {@code ExtractMain bundle.tflite requests.txt folder}. Each line, a {@link
 * Request}, gives {@code folder/name.tflite}, or the error's message in {@code folder/name.error}.
 */
public final class ExtractMain {
  private ExtractMain() {}

  public static void main(String[] arguments) throws Exception {
    Bundle bundle = Bundle.open(new File(arguments[0]));
    bundle.verify();
    BufferedReader lines = new BufferedReader(new InputStreamReader(
        new FileInputStream(arguments[1]), StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      Request request = new Request(line);
      try {
        request.of(bundle).writeTo(new File(arguments[2], request.name + ".tflite"));
      } catch (BundleException e) {
        File target = new File(arguments[2], request.name + ".error");
        Files.write(target.toPath(), e.getMessage().getBytes(StandardCharsets.UTF_8));
      }
    }
    lines.close();
  }
}
