import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringSerializer;

/** What the measured programs read. */
final class Load {
  private static final long FIRST_MS = 1_795_521_600_000L;
  private static final int VALUE_BYTES = 100;

  static void fromStandardInput(Peer.Options options) throws Exception {
    String topic = options.text("topic");
    createTopic(options, topic, Map.of());
    long count = 0;
    try (KafkaProducer<String, String> producer = producer(options, Map.of());
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 20)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        int first = line.indexOf('\t');
        int second = line.indexOf('\t', first + 1);
        long timestamp = Long.parseLong(line.substring(0, first));
        String key = line.substring(first + 1, second);
        String value = line.substring(second + 1);
        producer.send(new ProducerRecord<>(topic, null, timestamp, key, value), Load::orHalt);
        count += 1;
      }
    }
    Report.print(Map.of("mode", "load", "records", count));
  }

  /** Every key comes `records / keys` times, in no order, as an application with a store `rows` would have written it. */
  static void changelog(Peer.Options options) throws Exception {
    String topic = options.text("app") + "-" + Topologies.ROWS + "-changelog";
    createTopic(options, options.text("input"), Map.of());
    createTopic(options, topic, Map.of("cleanup.policy", "compact"));
    long records = options.number("records", 1_000_000);
    long keys = options.number("keys", 100_000);
    try (KafkaProducer<String, String> producer = producer(options, Map.of())) {
      for (long number = 0; number < records; number += 1) {
        String key = String.format("key-%012d", number * 7_919 % keys);
        StringBuilder value = new StringBuilder(VALUE_BYTES);
        while (value.length() < VALUE_BYTES) value.append(number).append(' ');
        value.setLength(VALUE_BYTES);
        producer.send(
            new ProducerRecord<>(topic, null, FIRST_MS + number, key, value.toString()),
            Load::orHalt);
      }
    }
    Report.print(Map.of("mode", "fill-changelog", "records", records, "topic", topic));
  }

  static void createTopic(Peer.Options options, String topic, Map<String, String> config)
      throws Exception {
    Optional<Integer> partitions = Optional.of((int) options.number("partitions", 4));
    NewTopic wanted = new NewTopic(topic, partitions, Optional.empty()).configs(config);
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", options.text("bootstrap")))) {
      admin.createTopics(List.of(wanted)).all().get();
    } catch (ExecutionException error) {
      if (!(error.getCause() instanceof TopicExistsException)) throw error;
    }
  }

  static KafkaProducer<String, String> producer(Peer.Options options, Map<String, String> more) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", options.text("bootstrap"));
    settings.put("linger.ms", "10");
    settings.put("batch.size", "65536");
    settings.putAll(more);
    return new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
  }

  static void orHalt(Object metadata, Exception error) {
    if (error == null) return;
    error.printStackTrace();
    Runtime.getRuntime().halt(1);
  }

  private Load() {}
}
