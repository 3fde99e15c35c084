package org.drnet.bundle;

import java.io.File;

/** A sub-network that is in a {@link SubTaskCache}. */
public final class CachedModel {
  private final File model;
  private final File weightCache;

  CachedModel(File model, File weightCache) {
    this.model = model;
    this.weightCache = weightCache;
  }

  /** The sub-network's {@code .tflite} file. */
  public File model() {
    return model;
  }

  /**
   * Where XNNPACK may keep its packed weights of this very file; it may not be there yet. A file
   * of another network's weights would silently give that network's answers.
   */
  public File weightCache() {
    return weightCache;
  }
}
