package org.drnet.bundle;

import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * A folder of sub-networks, of which the least recently used go when it grows too large.
 *
 * <p>Several processes may share the folder, and a kill at any moment leaves it sound: files are
 * renamed when they are whole, and what a killed process left is removed after an hour. Another
 * process may remove a file before it is opened; ask again then. The folder must have no other
 * use.
 */
public final class SubTaskCache {
  private static final String MODEL = ".tflite";
  private static final String WEIGHTS = ".xnnpack_cache";
  private static final int HASH = 64;
  private static final long LEFTOVER_MILLISECONDS = 3600 * 1000;

  private final File folder;
  private final long limitBytes;

  /**
   * @param folder is made when it is not there
   * @param limitBytes that models and XNNPACK's files may take together; the model asked for last
   *     stays even if it is larger
   */
  public SubTaskCache(File folder, long limitBytes) {
    this.folder = folder;
    this.limitBytes = limitBytes;
  }

  /**
   * Gives the sub-network of a request, cut out of the bundle if it is not there. The arguments
   * are those of {@link Bundle#extract}.
   *
   * @throws BundleException if the request cannot be met or the folder cannot be written
   */
  public synchronized CachedModel get(
      Bundle bundle, List<String> classes, Rule rule, Limit limit, int roundTo)
      throws BundleException {
    String key = key(bundle, classes, rule, limit, roundTo);
    File model = find(key);
    if (model == null) {
      Extraction extraction = bundle.extract(classes, rule, limit, roundTo);
      folder.mkdirs();
      trim(limitBytes - extraction.size(), key);
      model = write(extraction, key);
    } else {
      // Fails in a folder that is read-only, where nothing is removed either.
      model.setLastModified(System.currentTimeMillis());
      trim(limitBytes, key);
    }
    return new CachedModel(model, weightsOf(model));
  }

  private static String key(
      Bundle bundle, List<String> classes, Rule rule, Limit limit, int roundTo) {
    MessageDigest digest = Sha256.start();
    ByteBuffer plan = bundle.plan();
    plan.clear();
    digest.update(plan);
    StringBuilder request = new StringBuilder();
    request.append(rule).append(' ').append(limit).append(' ').append(roundTo);
    for (String name : classes) {
      request.append(' ').append(name.length()).append(' ').append(name);
    }
    digest.update(request.toString().getBytes(StandardCharsets.UTF_8));
    return Sha256.name(digest);
  }

  private File write(Extraction extraction, String key) throws BundleException {
    MessageDigest digest = Sha256.start();
    File temporary = TemporaryFile.write(extraction, folder, digest);
    File model = new File(folder, key + "-" + Sha256.name(digest) + MODEL);
    TemporaryFile.rename(temporary, model);
    return model;
  }

  private File find(String key) {
    for (File file : files()) {
      if (isModel(file) && file.getName().startsWith(key)) {
        return file;
      }
    }
    return null;
  }

  private File[] files() {
    File[] files = folder.listFiles();
    return files == null ? new File[0] : files;
  }

  /** A model's name is the hash of its request, then that of its bytes. */
  private static boolean isModel(File file) {
    return file.getName().endsWith(MODEL)
        && file.getName().length() == 2 * HASH + 1 + MODEL.length();
  }

  /** XNNPACK's file is named by the bytes of the model: it fits no other one. */
  private File weightsOf(File model) {
    String hash = model.getName().substring(HASH + 1, 2 * HASH + 1);
    return new File(folder, hash + WEIGHTS);
  }

  /** Removes leftovers, then the least recently used, up to a size; the key's own model stays. */
  private void trim(long bytes, String key) {
    List<Entry> entries = new ArrayList<Entry>();
    List<File> weights = new ArrayList<File>();
    long size = 0;
    for (File file : files()) {
      if (isModel(file)) {
        entries.add(new Entry(file, weightsOf(file)));
        weights.add(weightsOf(file));
      }
    }
    for (File file : files()) {
      boolean orphan = file.getName().endsWith(WEIGHTS) && !weights.contains(file);
      if ((orphan || file.getName().endsWith(TemporaryFile.SUFFIX)) && isOld(file)) {
        file.delete();
      }
    }
    for (Entry entry : entries) {
      size += entry.size();
    }
    Collections.sort(entries);
    for (Entry entry : entries) {
      if (size > bytes && !entry.model.getName().startsWith(key)) {
        size -= entry.size();
        entry.delete();
      }
    }
  }

  /** Also if the clock was set back since. */
  private static boolean isOld(File file) {
    return Math.abs(System.currentTimeMillis() - file.lastModified()) > LEFTOVER_MILLISECONDS;
  }

  /** A model and what XNNPACK keeps of it; sorted by last use. */
  private static final class Entry implements Comparable<Entry> {
    final File model;
    private final File weights;
    // Read once: another process may change it while entries are sorted.
    private final long used;

    Entry(File model, File weights) {
      this.model = model;
      this.weights = weights;
      this.used = model.lastModified();
    }

    long size() {
      return model.length() + weights.length();
    }

    void delete() {
      // The model last: if this is cut short, the entry is seen again and finished.
      weights.delete();
      model.delete();
    }

    @Override
    public int compareTo(Entry other) {
      return used < other.used ? -1 : used > other.used ? 1 : 0;
    }
  }
}
