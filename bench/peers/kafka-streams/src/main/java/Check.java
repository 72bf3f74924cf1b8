import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import net.jpountz.xxhash.XXHash64;
import net.jpountz.xxhash.XXHashFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * What an output topic holds, so that two programs can be seen to have done the same. Both sums are made of xxHash64 (seeded as in
 * bench/checksum.ts, without times).
 *
 * <p>`checksum` takes every record in the order of its partition, and adds the partitions up. `fold` takes only the last record of
 * each result, where a result is its key and its value up to the last colon: of `…,"orders":5}` the last count of each window.
 */
final class Check {
  private static final XXHash64 HASH = XXHashFactory.fastestInstance().hash64();

  static void run(Peer.Options options) throws Exception {
    String topic = options.text("topic");
    long count = 0;
    Map<Integer, Long> ordered = new HashMap<>();
    Map<String, Long> last = new HashMap<>();
    long lastValues = 0;
    Map<String, Long> lastNumbers = new HashMap<>();
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(options)) {
      List<TopicPartition> places = consumer.partitionsFor(topic).stream()
          .map(info -> new TopicPartition(topic, info.partition()))
          .toList();
      Map<TopicPartition, Long> ends = consumer.endOffsets(places);
      consumer.assign(places);
      consumer.seekToBeginning(places);
      while (places.stream().anyMatch(place -> consumer.position(place) < ends.get(place))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          count += 1;
          byte[] key = record.key();
          byte[] value = record.value();
          long sum = hash(value, hash(key, ordered.getOrDefault(record.partition(), 0L)));
          ordered.put(record.partition(), sum);
          String text = new String(value, StandardCharsets.UTF_8);
          int colon = text.lastIndexOf(':');
          String result = new String(key, StandardCharsets.UTF_8) + '\0' + text.substring(0, colon);
          last.put(result, hash(value, hash(key, 0)));
          lastNumbers.put(
              result, Long.parseLong(text.substring(colon + 1).replaceAll("\\D", "")));
        }
      }
    }
    for (long number : lastNumbers.values()) lastValues += number;
    Map<String, Object> report = new TreeMap<>();
    report.put("mode", "check");
    report.put("records", count);
    report.put("results", last.size());
    report.put("checksum", sumOf(ordered));
    report.put("fold", sumOf(last));
    report.put("sumOfLast", lastValues);
    Report.print(report);
  }

  private static long hash(byte[] bytes, long seed) {
    return HASH.hash(bytes, 0, bytes.length, seed);
  }

  private static String sumOf(Map<?, Long> sums) {
    long total = 0;
    for (long sum : sums.values()) total += sum;
    return Long.toHexString(total);
  }

  private static KafkaConsumer<byte[], byte[]> consumer(Peer.Options options) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", options.text("bootstrap"));
    settings.put("isolation.level", "read_committed");
    settings.put("max.poll.records", "10000");
    return new KafkaConsumer<>(
        settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private Check() {}
}
