package org.drnet.bundle;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.zip.ZipFile;
import java.util.zip.ZipInputStream;

/** The bytes of sub-networks. */
final class ExtractionTest {
  void testBytesByHand() throws Exception {
    // cat and dog: channel 0 has 4.5, 1 has 0, 2 has 1.5, 3 has 4, and 0 and 4 of group 1.
    Extraction extraction = Animals.bundle().open().extract(
        Arrays.asList("dog", "cat"), Rule.UNION, Limit.threshold(4), 1);
    byte[] bytes = extraction.toBytes();
    ByteBuffer expected = SyntheticBundle.little(bytes.length);
    expected.put(Arrays.copyOf(Animals.bundle().skeleton, 24));
    expected.putInt(4, 3 * 2); // two channels of group 0 are kept
    expected.putInt(8, 28 - 8).putInt(12, 44 - 12);
    expected.position(28);
    expected.putInt(2).putInt(10).putInt(13); // a number of elements
    expected.position(44);
    expected.putInt(4).putShort((short) 100).putShort((short) 103); // a number of bytes
    byte[] label = "dog\ncat\n".getBytes(StandardCharsets.UTF_8);
    expected.position(52 + 30);
    expected.put("labels.txt".getBytes(StandardCharsets.UTF_8)).put(label);
    Check.equal(Arrays.copyOf(expected.array(), 52), Arrays.copyOf(bytes, 52));
    Check.equal(
        Arrays.copyOfRange(expected.array(), 82, 100), Arrays.copyOfRange(bytes, 82, 100));
    Check.equal(52 + 30 + 10 + 8 + 46 + 10 + 22, bytes.length);
    Check.equal(4L, extraction.parameters());
    Check.equal(new int[] {0, 3}, extraction.keptChannels(0));
    Check.equal(new int[] {1}, extraction.keptChannels(1));
    Check.equal(2, extraction.groups());
  }

  void testFullNetworkIsMeasured() throws Exception {
    Bundle bundle = Animals.bundle().open();
    Check.equal(12L, bundle.parameters());
    Check.equal(Animals.bundle().toBytes().length, bundle.size());
    Check.equal(Animals.CLASSES, bundle.classNames());
  }

  void testArchiveIsReadByOthers() throws Exception {
    byte[] bytes = Animals.bundle().open().extract(
        Arrays.asList("bird", "cat"), Rule.MEAN, Limit.keptFraction(1), 1).toBytes();
    File file = File.createTempFile("drnet", ".zip");
    FileOutputStream stream = new FileOutputStream(file);
    stream.write(bytes);
    stream.close();
    ZipFile archive = new ZipFile(file);
    Check.equal(1, archive.size());
    Check.equal("bird\ncat\n", text(archive.getInputStream(archive.getEntry("labels.txt"))));
    archive.close();
    file.delete();
    // A stream reads the local header, which is where the model ends.
    int start = new String(bytes, StandardCharsets.ISO_8859_1).indexOf("PK\3\4");
    ZipInputStream entries =
        new ZipInputStream(new ByteArrayInputStream(bytes, start, bytes.length - start));
    Check.equal("labels.txt", entries.getNextEntry().getName());
    Check.equal("bird\ncat\n", text(entries));
    Check.equal(0, start % 4);
  }

  private static String text(java.io.InputStream stream) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (int value = stream.read(); value >= 0; value = stream.read()) {
      bytes.write(value);
    }
    return new String(bytes.toByteArray(), StandardCharsets.UTF_8);
  }

  void testOneAsTheFormatSays() throws Exception {
    Random random = new Random(1);
    for (int i = 0; i < 400; i++) {
      SyntheticBundle made = RandomBundles.next(random);
      Bundle bundle = made.open();
      bundle.verify();
      List<String> labels = new ArrayList<String>(bundle.classNames());
      Collections.shuffle(labels, random);
      Rule rule = Rule.values()[random.nextInt(3)];
      int count = rule == Rule.XOR ? 2 : 1 + random.nextInt(labels.size());
      compare(made, bundle, labels.subList(0, count), rule, random);
    }
  }

  private static void compare(
      SyntheticBundle made, Bundle bundle, List<String> labels, Rule rule, Random random)
      throws Exception {
    int roundTo = 1 + random.nextInt(4);
    SlowExtraction slow = new SlowExtraction(made, labels, rule);
    double number = random.nextDouble();
    long parameters = (long) (number * bundle.parameters());
    int[] wanted = {
      slow.countAtLeast(number),
      slow.greatest(number, Long.MAX_VALUE, roundTo),
      slow.greatest(1, parameters, roundTo),
    };
    Limit[] limits = {
      Limit.threshold(number), Limit.keptFraction(number), Limit.maxParameters(parameters),
    };
    for (int i = 0; i < limits.length; i++) {
      if (wanted[i] == 0) {
        final Limit limit = limits[i];
        Check.refused(() -> bundle.extract(labels, rule, limit, roundTo), "; ");
        continue;
      }
      Extraction fast = bundle.extract(labels, rule, limits[i], roundTo);
      slow.keep(wanted[i], roundTo);
      Check.equal(slow.parameters(), fast.parameters());
      Check.equal(slow.bytes(labels), fast.toBytes());
      Check.equal(fast.size(), fast.toBytes().length);
    }
  }

  void testLongRowsAndBlocks() throws Exception {
    Random random = new Random(2);
    for (int size : new int[] {1, 2, 4, 8}) {
      SyntheticBundle made = new SyntheticBundle();
      made.outputs = 1;
      made.named(0, "one");
      int[][] scores = new int[1][70000];
      for (int c = 0; c < scores[0].length; c++) {
        scores[0][c] = random.nextInt(2);
      }
      made.group(70000, 1, scores).axis(SyntheticBundle.segment(0, 0, 70000));
      made.axis(SyntheticBundle.segment(SyntheticBundle.FIXED, 0, 13 / size));
      byte[] elements = new byte[70000 * size * (13 / size)];
      random.nextBytes(elements);
      made.vector(8, size, 0, Arrays.copyOf(elements, 70000 * size), 0);
      if (size == 4) {
        made.vector(12, 4, 0, elements, 0, 1); // blocks of 12 bytes
      }
      // Many short rows, of which several are read at once.
      made.group(7, 1, new int[][] {{1, 0, 2, 0, 0, 1, 0}});
      made.axis(SyntheticBundle.segment(1, 0, 7)).axis(SyntheticBundle.segment(-1, 0, 2000));
      made.vector(16, size, 0, Arrays.copyOf(elements, 14000 * size), 3, 2);
      List<String> labels = Collections.singletonList("one");
      SlowExtraction slow = new SlowExtraction(made, labels, Rule.UNION);
      slow.keep(slow.countAtLeast(1), 1);
      byte[] fast = made.open().extract(labels, Rule.UNION, Limit.threshold(1), 1).toBytes();
      Check.equal(slow.bytes(labels), fast);
    }
  }

  void testFilesAndBuffersAreTheSame() throws Exception {
    File file = File.createTempFile("drnet", ".tflite");
    RandomAccessFile written = new RandomAccessFile(file, "rw");
    written.write(Animals.bundle().toBytes());
    written.close();
    ByteBuffer part = ByteBuffer.allocate(5000);
    part.position(3);
    part.put(Animals.bundle().toBytes());
    part.flip();
    part.position(3);
    File target = new File(file.getPath() + ".out");
    Bundle mapped = Bundle.open(file);
    mapped.extract(Animals.CLASSES, Rule.UNION, Limit.threshold(1), 1).writeTo(target);
    byte[] bytes = Bundle.open(part)
        .extract(Animals.CLASSES, Rule.UNION, Limit.threshold(1), 1).toBytes();
    Check.equal(bytes, java.nio.file.Files.readAllBytes(target.toPath()));
    Check.equal(3, part.position());
    file.delete();
    target.delete();
  }

  void testNothingIsLeftWhereNothingCanBeWritten() throws Exception {
    Extraction extraction = Animals.bundle().open()
        .extract(Animals.CLASSES, Rule.UNION, Limit.threshold(1), 1);
    Check.refused(() -> extraction.writeTo(new File("/nowhere/x.tflite")),
        "/nowhere", "give another one");
    File folder = java.nio.file.Files.createTempDirectory("drnet").toFile();
    Check.that(new File(folder, "taken/by/folders").mkdirs());
    Check.refused(() -> extraction.writeTo(new File(folder, "taken")), "renamed to taken");
    Check.equal(1, folder.list().length);
    Check.refused(() -> extraction.writeTo(new java.io.OutputStream() {
      @Override
      public void write(int value) throws java.io.IOException {
        throw new java.io.IOException("No space left on device");
      }
    }), "No space left on device");
  }
}
