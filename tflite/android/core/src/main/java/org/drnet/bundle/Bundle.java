package org.drnet.bundle;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;

/**
 * A network from which the sub-network of any of its classes can be cut: a {@code .tflite} file
 * that drnet_tflite wrote. {@code docs/bundle_format.md} describes its bytes.
 *
 * <p>Opening checks everything but the weights, which {@link #verify} reads. The file is mapped,
 * not read, and must not change while it is in use. Bundles do not change and can be used by
 * several threads.
 *
 * <pre>{@code
 * Bundle bundle = Bundle.open(new File("animals.tflite"));
 * bundle.extract(Arrays.asList("cat", "dog"), Rule.UNION, Limit.keptFraction(0.5), 8)
 *     .writeTo(new File("cat_dog.tflite"));
 * }</pre>
 */
public final class Bundle {
  private final ByteBuffer file;
  private final String name;
  private final Plan plan;

  private Bundle(ByteBuffer file, String name) throws BundleException {
    this.file = file;
    this.name = name;
    int[] bounds = Footer.planOf(file, name);
    file.limit(bounds[1]);
    file.position(bounds[0]);
    plan = PlanParser.parse(file.slice().order(ByteOrder.LITTLE_ENDIAN), name, bounds[0]);
    file.clear();
    Footer.checkCrc(file, 0, plan.skeletonSize, plan.skeletonCrc, name + " (skeleton)");
  }

  /**
   * Opens a file.
   *
   * @throws BundleException if it cannot be read, is no bundle or is broken
   */
  public static Bundle open(File path) throws BundleException {
    try {
      FileInputStream stream = new FileInputStream(path);
      try {
        FileChannel channel = stream.getChannel();
        if (channel.size() > Integer.MAX_VALUE) {
          throw BundleException.broken(
              path.toString(), channel.size() + " bytes", "at most " + Integer.MAX_VALUE);
        }
        ByteBuffer mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
        return new Bundle(mapped.order(ByteOrder.LITTLE_ENDIAN), path.toString());
      } finally {
        stream.close();
      }
    } catch (BundleException e) {
      throw e;
    } catch (IOException e) {
      throw BundleException.io(
          "read " + path, e, "expected a file that can be read; give its full path");
    }
  }

  /**
   * Opens bytes from a buffer's position to its limit, such as an asset that is mapped. They are
   * not copied and must not change; the buffer itself is left as it is.
   *
   * @throws BundleException if they are no bundle or are broken
   */
  public static Bundle open(ByteBuffer bytes) throws BundleException {
    return new Bundle(bytes.slice().order(ByteOrder.LITTLE_ENDIAN), "The buffer");
  }

  /** All classes that can be asked for. */
  public List<String> classNames() {
    return plan.classNames;
  }

  /** Length of the file in bytes. */
  public int size() {
    return file.capacity();
  }

  /** Elements of the full network's weights and biases. */
  public long parameters() {
    return plan.parameters();
  }

  /**
   * Reads the weights once to see whether they are what was written.
   *
   * @throws BundleException if they are not
   */
  public void verify() throws BundleException {
    Footer.checkCrc(file, plan.skeletonSize, plan.vectorsEnd, plan.vectorsCrc, name + " (weights)");
  }

  /** The plan, which has the checksums of all the rest: it tells bundles apart. */
  ByteBuffer plan() {
    return plan.bytes.duplicate();
  }

  /**
   * Cuts the network of some classes out.
   *
   * @param classes in the order that the sub-network's outputs shall have, each once
   * @param roundTo channels kept of a group are a multiple of it, or all: 8 suits float weights
   *     on today's processors, 16 those of int8
   * @throws BundleException if the request cannot be met
   */
  public Extraction extract(List<String> classes, Rule rule, Limit limit, int roundTo)
      throws BundleException {
    if (roundTo < 1) {
      throw new BundleException(
          "round_to is " + roundTo + ", expected at least 1; 1 does not round.");
    }
    List<String> labels = Collections.unmodifiableList(new ArrayList<String>(classes));
    int[] numbers = numbers(labels);
    if (rule == Rule.XOR && numbers.length != 2) {
      throw new BundleException(
          "The rule xor got " + numbers.length + " classes, expected two; use union or mean.");
    }
    int[] outputs = new int[numbers.length];
    for (int i = 0; i < numbers.length; i++) {
      outputs[i] = plan.outputs[numbers[i]];
    }
    Candidates candidates =
        new Candidates(plan, plan.scores.combine(numbers, rule), outputs, roundTo);
    KeptChannels kept = candidates.keep(limit.wanted(candidates));
    return new Extraction(file, plan, kept, labels);
  }

  private int[] numbers(List<String> classes) throws BundleException {
    if (classes.isEmpty()) {
      throw new BundleException("No class is asked for, expected at least one; see classNames().");
    }
    if (new HashSet<String>(classes).size() != classes.size()) {
      throw new BundleException(
          "The classes " + classes + " name one twice, expected each once; leave it out.");
    }
    int[] numbers = new int[classes.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = plan.classNames.indexOf(classes.get(i));
      if (numbers[i] < 0) {
        throw new BundleException(
            name + " has no class '" + classes.get(i) + "', expected one of its "
                + plan.classNames.size() + " such as '" + plan.classNames.get(0)
                + "'; see classNames().");
      }
    }
    return numbers;
  }
}
