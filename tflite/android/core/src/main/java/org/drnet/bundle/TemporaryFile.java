package org.drnet.bundle;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.security.DigestOutputStream;
import java.security.MessageDigest;

/** Files appear whole or not at all: they are written beside their place, then renamed. */
final class TemporaryFile {
  static final String SUFFIX = ".part";

  private TemporaryFile() {}

  /**
   * Writes a sub-network to a file of a name that no other process has, down to the disk.
   *
   * @param digest is given the bytes; null if none wants them
   */
  static File write(Extraction extraction, File folder, MessageDigest digest)
      throws BundleException {
    File temporary = null;
    try {
      temporary = File.createTempFile("subnetwork", SUFFIX, folder);
      FileOutputStream stream = new FileOutputStream(temporary);
      try {
        extraction.write(
            new Output(digest == null ? stream : new DigestOutputStream(stream, digest)));
        stream.getFD().sync();
      } finally {
        stream.close();
      }
      return temporary;
    } catch (IOException e) {
      throw failed(temporary, folder, e);
    }
  }

  /** Gives a file its name at once, in the place of one that has it. */
  static void rename(File temporary, File target) throws BundleException {
    if (!temporary.renameTo(target)) {
      throw failed(
          temporary, target.getParentFile(),
          new IOException("cannot be renamed to " + target.getName()));
    }
  }

  private static BundleException failed(File temporary, File folder, IOException cause) {
    if (temporary != null) {
      temporary.delete();
    }
    return BundleException.io(
        "write a sub-network into " + folder, cause,
        "expected a folder that exists, can be written and has room; give another one");
  }
}
