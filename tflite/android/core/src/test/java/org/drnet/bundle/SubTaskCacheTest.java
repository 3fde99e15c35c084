package org.drnet.bundle;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** What stays of sub-networks, and what goes. */
final class SubTaskCacheTest {
  private static final long HOUR = 3600 * 1000;
  private final Bundle bundle;
  private final File folder;

  SubTaskCacheTest() throws IOException {
    bundle = Animals.bundle().open();
    folder = Files.createTempDirectory("drnet").toFile();
  }

  private CachedModel get(SubTaskCache cache, String... classes) throws BundleException {
    return cache.get(bundle, Arrays.asList(classes), Rule.UNION, Limit.keptFraction(1), 1);
  }

  /** Makes files look used so many minutes ago. */
  private static void age(CachedModel model, int minutes) {
    Check.that(model.model().setLastModified(System.currentTimeMillis() - minutes * 60000L));
  }

  void testSameRequestSameFile() throws Exception {
    SubTaskCache cache = new SubTaskCache(new File(folder, "made"), 1 << 20);
    CachedModel first = get(cache, "cat", "dog");
    age(first, 30);
    CachedModel second = get(cache, "cat", "dog");
    Check.equal(first.model(), second.model());
    Check.that(System.currentTimeMillis() - second.model().lastModified() < 10000);
    List<String> labels = Arrays.asList("cat", "dog");
    byte[] expected =
        bundle.extract(labels, Rule.UNION, Limit.keptFraction(1), 1).toBytes();
    Check.equal(expected, Files.readAllBytes(first.model().toPath()));
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    digest.update(expected);
    Check.equal(Sha256.name(digest) + ".xnnpack_cache", first.weightCache().getName());
    Check.equal(1, new File(folder, "made").list().length);
  }

  void testOtherRequestsOtherFiles() throws Exception {
    SubTaskCache cache = new SubTaskCache(folder, 1 << 20);
    List<String> labels = Arrays.asList("cat", "dog");
    get(cache, "cat", "dog");
    get(cache, "dog", "cat");
    cache.get(bundle, labels, Rule.XOR, Limit.keptFraction(1), 1);
    cache.get(bundle, labels, Rule.UNION, Limit.keptFraction(0.9), 1);
    cache.get(bundle, labels, Rule.UNION, Limit.maxParameters(8), 1);
    cache.get(bundle, labels, Rule.UNION, Limit.keptFraction(1), 2);
    SyntheticBundle other = Animals.bundle();
    other.vectors.get(0).bytes[5]++;
    cache.get(other.open(), labels, Rule.UNION, Limit.keptFraction(1), 1);
    Check.equal(7, folder.list().length);
  }

  void testLeastRecentlyUsedGoes() throws Exception {
    CachedModel cat = get(new SubTaskCache(folder, 1 << 20), "cat");
    CachedModel dog = get(new SubTaskCache(folder, 1 << 20), "dog");
    Files.write(dog.weightCache().toPath(), new byte[100]);
    age(cat, 20);
    age(dog, 10);
    long both = cat.model().length() + dog.model().length() + 100;
    SubTaskCache cache = new SubTaskCache(folder, both);
    get(cache, "cat");
    CachedModel bird = get(cache, "bird");
    Check.that(cat.model().exists() && bird.model().exists());
    Check.that(!dog.model().exists() && !dog.weightCache().exists());
  }

  void testOldestOfMany() throws Exception {
    String[][] requests = {{"cat"}, {"dog"}, {"bird"}, {"cat", "dog"}, {"dog", "cat"}};
    int[] minutes = {30, 50, 20, 40, 10};
    SubTaskCache cache = new SubTaskCache(folder, 1 << 20);
    CachedModel[] models = new CachedModel[5];
    long size = 0;
    for (int i = 0; i < 5; i++) {
      models[i] = get(cache, requests[i]);
      age(models[i], minutes[i]);
      size += models[i].model().length();
    }
    // One byte too many: the oldest goes; then another oldest one.
    get(new SubTaskCache(folder, size - 1), "dog", "cat");
    Check.that(!models[1].model().exists() && folder.list().length == 4);
    get(new SubTaskCache(folder, size * 4 / 5 - 20), "dog", "cat");
    Check.that(!models[3].model().exists() && models[0].model().exists());
  }

  void testWeightCachesCount() throws Exception {
    SubTaskCache cache = new SubTaskCache(folder, 1000);
    CachedModel cat = get(cache, "cat");
    CachedModel dog = get(cache, "dog");
    age(cat, 20);
    Files.write(dog.weightCache().toPath(), new byte[1000]);
    get(cache, "dog");
    Check.that(!cat.model().exists() && dog.model().exists() && dog.weightCache().exists());
  }

  void testTheLastOneStaysHoweverLarge() throws Exception {
    SubTaskCache cache = new SubTaskCache(folder, 1);
    Check.that(get(cache, "cat").model().exists());
    CachedModel dog = get(cache, "dog");
    Check.that(dog.model().exists() && get(cache, "dog").model().exists());
    Check.equal(1, folder.list().length);
  }

  void testLeftoversOfAKill() throws Exception {
    File old = new File(folder, "subnetwork1.part");
    File young = new File(folder, "subnetwork2.part");
    File future = new File(folder, "subnetwork3.part");
    File orphan = new File(folder, "0.xnnpack_cache");
    for (File file : new File[] {old, young, future, orphan}) {
      Files.write(file.toPath(), new byte[9]);
      file.setLastModified(System.currentTimeMillis() - 2 * HOUR);
    }
    young.setLastModified(System.currentTimeMillis());
    future.setLastModified(System.currentTimeMillis() + 2 * HOUR);
    get(new SubTaskCache(folder, 1 << 20), "cat");
    Check.that(!old.exists() && young.exists() && !future.exists() && !orphan.exists());
  }

  void testFolderThatCannotBeMade() throws Exception {
    File file = new File(folder, "file");
    Files.write(file.toPath(), new byte[1]);
    Check.refused(() -> get(new SubTaskCache(new File(file, "below"), 1 << 20), "cat"),
        "Could not write a sub-network into", "give another one");
  }

  void testReadOnlyFolder() throws Exception {
    CachedModel cat = get(new SubTaskCache(folder, 1 << 20), "cat");
    // The administrator writes everywhere, so that there is nothing to try.
    if (folder.setWritable(false) && !Files.isWritable(folder.toPath())) {
      SubTaskCache cache = new SubTaskCache(folder, 1);
      Check.equal(cat.model(), get(cache, "cat").model());
      Check.refused(() -> get(cache, "dog"), "Could not write");
      Check.equal(1, folder.list().length);
    }
    folder.setWritable(true);
  }

  void testFullDisk() throws Exception {
    // Every write to it fails as on a full disk.
    File full = new File("/dev/full");
    if (full.exists()) {
      Extraction extraction = bundle.extract(
          Arrays.asList("cat"), Rule.UNION, Limit.keptFraction(1), 1);
      java.io.FileOutputStream stream = new java.io.FileOutputStream(full);
      Check.refused(() -> extraction.writeTo(stream), "No space left");
      stream.close();
    }
  }

  void testManyAtOnce() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<File>> files = new java.util.ArrayList<Future<File>>();
    for (int i = 0; i < 40; i++) {
      final String name = Animals.CLASSES.get(i % 3);
      files.add(threads.submit((Callable<File>)
          () -> get(new SubTaskCache(folder, 1 << 20), name).model()));
    }
    for (Future<File> file : files) {
      Check.that(file.get().exists());
    }
    threads.shutdown();
    Check.equal(3, folder.list().length);
  }
}
