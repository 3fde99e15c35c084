package org.drnet.bundle;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.CRC32;

/** The ZIP archive behind a model that says what its outputs are: one stored entry. */
final class LabelArchive {
  private static final byte[] NAME = "labels.txt".getBytes(StandardCharsets.US_ASCII);
  private static final int LOCAL_HEADER = 0x04034b50;
  private static final int CENTRAL_HEADER = 0x02014b50;
  private static final int END = 0x06054b50;
  /** The bytes of the three headers, with two names. */
  private static final int HEADERS = 30 + 46 + 22 + 2 * NAME.length;
  private static final int VERSION = 20;
  private static final int UTF8_NAMES = 0x0800;
  /** 1 January 1980, the first day that ZIP knows: the same request gives the same bytes. */
  private static final int DATE = 0x21;

  private final byte[] text;
  private final int crc;

  LabelArchive(List<String> labels) {
    StringBuilder lines = new StringBuilder();
    for (String label : labels) {
      lines.append(label).append('\n');
    }
    text = lines.toString().getBytes(StandardCharsets.UTF_8);
    CRC32 sum = new CRC32();
    sum.update(text);
    crc = (int) sum.getValue();
  }

  int size() {
    return HEADERS + text.length;
  }

  void writeTo(Output output) throws IOException {
    int local = (int) output.position();
    output.putInt(LOCAL_HEADER);
    entry(output);
    output.put(NAME, NAME.length);
    output.put(text, text.length);
    int central = (int) output.position();
    output.putInt(CENTRAL_HEADER);
    output.putShort(VERSION);
    entry(output);
    // Comment, disk and both kinds of attributes.
    output.padTo(output.position() + 10);
    output.putInt(local);
    output.put(NAME, NAME.length);
    int end = (int) output.position();
    output.putInt(END);
    output.putInt(0);
    output.putShort(1);
    output.putShort(1);
    output.putInt(end - central);
    output.putInt(central);
    output.putShort(0);
  }

  /** What both headers of an entry have in common. */
  private void entry(Output output) throws IOException {
    output.putShort(VERSION);
    output.putShort(UTF8_NAMES);
    output.putShort(0);
    output.putShort(0);
    output.putShort(DATE);
    output.putInt(crc);
    output.putInt(text.length);
    output.putInt(text.length);
    output.putShort(NAME.length);
    output.putShort(0);
  }
}
