import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.StateRestoreListener;

/** One Kafka Streams program, from its start until it has committed everything that its input held. */
final class Application {
  private static final long POLL_MS = 50;

  static void run(String mode, Peer.Options options) throws Exception {
    String bootstrap = options.text("bootstrap");
    String id = options.text("app");
    String input = options.text("input");
    boolean isCached = options.text("cache", "on").equals("on");
    AtomicLong seen = new AtomicLong();
    Topology topology = switch (mode) {
      case "count" -> Topologies.count(input, options.text("output"), isCached, seen);
      case "reserve" -> Topologies.reserve(
          input, options.text("output"), isCached, options.isSet("dedupe"), seen);
      default -> Topologies.table(input);
    };
    Restoring restoring = new Restoring();
    CountDownLatch running = new CountDownLatch(1);
    long startedMs = System.currentTimeMillis();
    Resources before = Resources.now();
    KafkaStreams streams = new KafkaStreams(topology, settings(id, bootstrap, isCached, options));
    streams.setGlobalStateRestoreListener(restoring);
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      Runtime.getRuntime().halt(1);
      return null;
    });
    streams.setStateListener((now, earlier) -> {
      if (now == KafkaStreams.State.RUNNING) running.countDown();
    });
    streams.start();
    running.await();
    long runningMs = System.currentTimeMillis();

    Map<String, Object> report = new HashMap<>();
    if (options.isSet("serve")) {
      Report.print(Map.of("ready", true));
      while (System.in.read() >= 0) continue;
    } else if (!mode.equals("restore")) {
      awaitCommitted(bootstrap, id, input, seen);
    }
    Resources used = Resources.now();
    long doneMs = System.currentTimeMillis();
    if (mode.equals("restore")) restoring.into(report);
    report.put("mode", mode);
    report.put("records", mode.equals("restore") ? restoring.total() : seen.get());
    report.put("wallMs", doneMs - startedMs);
    report.put("startMs", runningMs - startedMs);
    used.since(before).into(report);
    commitsInto(report, streams);
    // Not measured: RocksDB's flush and the farewell to the group.
    streams.close();
    Report.print(report);
  }

  private static Properties settings(
      String id, String bootstrap, boolean isCached, Peer.Options options) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, id);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, options.text("state"));
    settings.put(
        StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
        options.text("guarantee", StreamsConfig.EXACTLY_ONCE_V2));
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, options.number("commit-ms", 100));
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, (int) options.number("threads", 1));
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, (int) options.number("replicas", 1));
    if (!isCached) settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(StreamsConfig.consumerPrefix("session.timeout.ms"), "6000");
    if (options.number("linger", -1) >= 0)
      settings.put(StreamsConfig.producerPrefix("linger.ms"), options.text("linger"));
    settings.putAll(options.settings("set"));
    return settings;
  }

  /** Until the group's offsets are the ends of the input. They are asked for only once everything has been read. */
  private static void awaitCommitted(
      String bootstrap, String group, String input, AtomicLong seen) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
      int partitions = admin.describeTopics(List.of(input)).allTopicNames().get().get(input)
          .partitions().size();
      Map<TopicPartition, OffsetSpec> asked = IntStream.range(0, partitions)
          .mapToObj(number -> new TopicPartition(input, number))
          .collect(Collectors.toMap(place -> place, place -> OffsetSpec.latest()));
      Map<TopicPartition, Long> ends = admin.listOffsets(asked).all().get().entrySet().stream()
          .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().offset()));
      long total = ends.values().stream().mapToLong(Long::longValue).sum();
      while (seen.get() < total) Thread.sleep(POLL_MS);
      for (;;) {
        Map<TopicPartition, OffsetAndMetadata> committed =
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        boolean isDone = ends.entrySet().stream().allMatch(end -> {
          OffsetAndMetadata offset = committed.get(end.getKey());
          return end.getValue() == 0 || offset != null && offset.offset() >= end.getValue();
        });
        if (isDone) return;
        Thread.sleep(POLL_MS);
      }
    }
  }

  /** How long the program stood still inside commits: of threads by Streams' count, of their producers by the client's. */
  private static void commitsInto(Map<String, Object> report, KafkaStreams streams) {
    double commits = 0;
    double averageMs = 0;
    double longestMs = 0;
    double waitedNs = 0;
    for (Map.Entry<MetricName, ? extends Metric> each : streams.metrics().entrySet()) {
      Object value = each.getValue().metricValue();
      if (!(value instanceof Double number) || number.isNaN()) continue;
      boolean isThread = each.getKey().group().equals("stream-thread-metrics");
      switch (each.getKey().name()) {
        case "commit-total" -> commits += isThread ? number : 0;
        case "commit-latency-avg" -> averageMs = isThread ? Math.max(averageMs, number) : averageMs;
        case "commit-latency-max" -> longestMs = isThread ? Math.max(longestMs, number) : longestMs;
        case "flush-time-ns-total", "txn-commit-time-ns-total", "txn-send-offsets-time-ns-total",
            "txn-begin-time-ns-total" -> waitedNs += number;
        default -> { }
      }
    }
    report.put("commits", commits);
    report.put("commitAverageMs", averageMs);
    report.put("commitLongestMs", longestMs);
    report.put("commitWaitMs", waitedNs / 1e6);
  }

  /** From the first partition that begins until the last has ended. */
  private static final class Restoring implements StateRestoreListener {
    private final AtomicLong restored = new AtomicLong();
    private volatile long firstMs;
    private volatile long lastMs;

    @Override
    public synchronized void onRestoreStart(
        TopicPartition place, String store, long from, long to) {
      if (firstMs == 0) firstMs = System.currentTimeMillis();
    }

    @Override
    public void onBatchRestored(TopicPartition place, String store, long end, long count) {}

    @Override
    public void onRestoreEnd(TopicPartition place, String store, long count) {
      restored.addAndGet(count);
      lastMs = System.currentTimeMillis();
    }

    long total() {
      return restored.get();
    }

    void into(Map<String, Object> report) {
      report.put("restored", restored.get());
      report.put("restoreMs", lastMs - firstMs);
    }
  }

  private Application() {}
}
