import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Orders at a fixed rate, whether or not anything comes back, and the time from when each should have been sent until a
 * read-committed consumer sees what came of it. The n-th output of a key answers the n-th input of the key, so any program fits
 * that keeps the order of a key and gives one output for each input.
 */
final class OpenLoop {
  private static final int ITEMS = 100;
  private static final long PATIENCE_MS = 30_000;

  static void run(Peer.Options options) throws Exception {
    String input = options.text("input");
    String output = options.text("output");
    long rate = options.number("rate", 2_000);
    long seconds = options.number("seconds", 20);
    long warmUpSeconds = options.number("warm-up", 5);
    int total = (int) (rate * (warmUpSeconds + seconds));
    int skipped = (int) (rate * warmUpSeconds);
    Map<String, Deque<long[]>> waiting = new ConcurrentHashMap<>();
    for (int item = 0; item < ITEMS; item += 1)
      waiting.put(keyOf(item), new ConcurrentLinkedDeque<>());
    double[] latenciesMs = new double[total];
    Arrays.fill(latenciesMs, Double.NaN);

    try (KafkaConsumer<String, String> consumer = consumerAtEnd(options, output);
        KafkaProducer<String, String> producer =
            Load.producer(options, Map.of("linger.ms", "0"))) {
      Thread sender = new Thread(() -> send(producer, input, rate, total, waiting), "sender");
      sender.start();
      int answered = 0;
      long deadlineMs = System.currentTimeMillis() + total / rate * 1_000 + PATIENCE_MS;
      while (answered < total && System.currentTimeMillis() < deadlineMs) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
          long seenNs = System.nanoTime();
          long[] sent = waiting.get(record.key()).poll();
          if (sent == null) throw new IllegalStateException("an output without an input");
          latenciesMs[(int) sent[0]] = (seenNs - sent[1]) / 1e6;
          answered += 1;
        }
      }
      sender.join();
      if (answered < total)
        throw new IllegalStateException(answered + " of " + total + " were answered");
    }
    double[] counted = Arrays.copyOfRange(latenciesMs, skipped, total);
    Arrays.sort(counted);
    Map<String, Object> report = new TreeMap<>();
    report.put("mode", "open-loop");
    report.put("records", counted.length);
    report.put("p50Ms", counted[counted.length / 2]);
    report.put("p99Ms", counted[counted.length * 99 / 100]);
    report.put("p999Ms", counted[(int) (counted.length * 999L / 1000)]);
    report.put("maxMs", counted[counted.length - 1]);
    Report.print(report);
  }

  private static void send(
      KafkaProducer<String, String> producer,
      String topic,
      long rate,
      int total,
      Map<String, Deque<long[]>> waiting) {
    long run = System.currentTimeMillis();
    long startNs = System.nanoTime() + 10_000_000;
    for (int number = 0; number < total; number += 1) {
      long dueNs = startNs + number * 1_000_000_000L / rate;
      for (long left = dueNs - System.nanoTime(); left > 0; left = dueNs - System.nanoTime())
        LockSupport.parkNanos(left);
      int spread = (number * 0x9e3779b1) >>> 1;
      String key = keyOf(spread % ITEMS);
      long timestamp = System.currentTimeMillis();
      String value = "{\"order_id\":\"o-" + run + "-" + number + "\",\"item_id\":\"" + key
          + "\",\"qty\":1,\"user_id\":\"u" + spread % 1_000 + "\",\"timestamp\":" + timestamp + "}";
      waiting.get(key).add(new long[] {number, dueNs});
      producer.send(new ProducerRecord<>(topic, null, timestamp, key, value), Load::orHalt);
    }
  }

  private static KafkaConsumer<String, String> consumerAtEnd(Peer.Options options, String topic) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", options.text("bootstrap"));
    settings.put("isolation.level", "read_committed");
    settings.put("fetch.max.wait.ms", "100");
    KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    List<TopicPartition> places = consumer.partitionsFor(topic).stream()
        .map((PartitionInfo info) -> new TopicPartition(topic, info.partition()))
        .toList();
    consumer.assign(places);
    consumer.seekToEnd(places);
    // seekToEnd is lazy; a position is asked for, so that nothing sent from now on is missed.
    for (TopicPartition place : places) consumer.position(place);
    return consumer;
  }

  private static String keyOf(int item) {
    return String.format("item-%03d", item);
  }

  private OpenLoop() {}
}
