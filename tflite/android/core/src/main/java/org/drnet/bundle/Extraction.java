package org.drnet.bundle;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * The network of a sub-task, ready to be written. It holds what is kept; the elements are copied
 * out of the bundle when they are written, through a small buffer.
 */
public final class Extraction {
  private final ByteBuffer file;
  private final Plan plan;
  private final KeptChannels kept;
  private final List<String> labels;
  private final LabelArchive archive;
  /** Of each vector: where its first element will lie. */
  private final int[] positions;
  private final int archiveStart;

  Extraction(ByteBuffer file, Plan plan, KeptChannels kept, List<String> labels)
      throws BundleException {
    this.file = file;
    this.plan = plan;
    this.kept = kept;
    this.labels = labels;
    this.archive = new LabelArchive(labels);
    this.positions = new int[plan.vectors.length];
    long end = plan.skeletonSize;
    for (int i = 0; i < positions.length; i++) {
      // No vector lies further back than in the bundle, so this stays an int.
      positions[i] = (int) ((end + 4 + 15) / 16 * 16);
      end = positions[i] + plan.vectors[i].keptElements(kept) * plan.vectors[i].elementSize;
    }
    this.archiveStart = (int) ((end + 3) / 4 * 4);
    if ((long) archiveStart + archive.size() > Integer.MAX_VALUE) {
      throw new BundleException(
          "The sub-network would be longer than " + Integer.MAX_VALUE
              + " bytes, expected a shorter one; keep less.");
    }
  }

  /** The classes of the network's outputs, in their order. */
  public List<String> labels() {
    return labels;
  }

  /** Length of the network's file in bytes. */
  public int size() {
    return archiveStart + archive.size();
  }

  /** Elements of the weights and biases. */
  public long parameters() {
    return plan.parameters(kept);
  }

  /** The number of groups of channels that go together. */
  public int groups() {
    return plan.scores.groups();
  }

  /** The channels kept of a group, rising, counted from 0. */
  public int[] keptChannels(int group) {
    int width = plan.scores.width(group);
    int[] channels = new int[kept.count(group, 0, width)];
    kept.positions(group, 0, width, 0, channels, 0);
    return channels;
  }

  /** The network's file, in memory; {@link #writeTo(File)} needs less of it. */
  public byte[] toBytes() throws BundleException {
    final byte[] bytes = new byte[size()];
    writeTo(new OutputStream() {
      private int filled;

      @Override
      public void write(int value) {
        bytes[filled++] = (byte) value;
      }

      @Override
      public void write(byte[] source, int start, int length) {
        System.arraycopy(source, start, bytes, filled, length);
        filled += length;
      }
    });
    return bytes;
  }

  /**
   * Writes the network's file.
   *
   * @throws BundleException if it cannot be written: then there is no file, or the one before
   */
  public void writeTo(File target) throws BundleException {
    File whole = target.getAbsoluteFile();
    TemporaryFile.rename(TemporaryFile.write(this, whole.getParentFile(), null), whole);
  }

  /** Writes the network's file to a stream, which stays open. */
  public void writeTo(OutputStream stream) throws BundleException {
    try {
      write(new Output(stream));
    } catch (IOException e) {
      throw BundleException.io(
          "write a sub-network of " + size() + " bytes", e, "give a stream that takes them");
    }
  }

  void write(Output output) throws IOException {
    ByteBuffer source = file.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    byte[] skeleton = skeleton(source);
    output.put(skeleton, skeleton.length);
    for (int i = 0; i < positions.length; i++) {
      Vector vector = plan.vectors[i];
      output.padTo(positions[i] - 4L);
      output.putInt((int) vector.lengthField(vector.keptElements(kept)));
      if (vector.fold == null) {
        new Gather(source, vector, kept, output).run();
      } else {
        int[] biases = biases(vector, source);
        output.put(biases, biases.length);
      }
    }
    output.padTo(archiveStart);
    archive.writeTo(output);
    output.flush();
  }

  private byte[] skeleton(ByteBuffer source) {
    byte[] skeleton = new byte[plan.skeletonSize];
    source.clear();
    source.get(skeleton);
    ByteBuffer numbers = ByteBuffer.wrap(skeleton).order(ByteOrder.LITTLE_ENDIAN);
    for (Patch patch : plan.patches) {
      numbers.putInt(patch.position, patch.factor * patch.axis.keptLength(kept));
    }
    for (int i = 0; i < positions.length; i++) {
      int field = plan.vectors[i].field;
      numbers.putInt(field, positions[i] - 4 - field);
    }
    return skeleton;
  }

  private int[] biases(Vector vector, ByteBuffer source) {
    source.clear();
    int[] positions = vector.axes[0].keptPositions(kept);
    int[] biases = new int[positions == null ? vector.axes[0].length : positions.length];
    for (int i = 0; i < biases.length; i++) {
      biases[i] = source.getInt(vector.data + 4 * (positions == null ? i : positions[i]));
    }
    vector.fold.addTo(biases, kept, source, plan.bytes);
    return biases;
  }
}
