package org.drnet.bundle;

import java.io.IOException;

/**
 * The only error of this package: a file that is no bundle or is broken, a request that cannot be
 * met, a folder that cannot be written.
 *
 * <p>The message is one sentence: where, what was got, what was expected and the way out.
 */
public final class BundleException extends IOException {
  private static final long serialVersionUID = 1;

  BundleException(String message) {
    super(message);
  }

  BundleException(String message, Throwable cause) {
    super(message, cause);
  }

  /** A file whose content breaks the rules of the format. */
  static BundleException broken(String where, String got, String expected) {
    return new BundleException(
        where + " is broken: got " + got + ", expected " + expected
            + "; copy the bundle again or export it anew.");
  }

  /** A file that the system did not read or write. */
  static BundleException io(String what, IOException cause, String wayOut) {
    return new BundleException(
        "Could not " + what + ": got '" + cause.getMessage() + "', " + wayOut + ".", cause);
  }
}
