import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's Java client, told what to do line by line; java-client.ts speaks with it.
 *
 * <pre>
 * {"do":"produce","topic":"t","settings":{…},"end":"commit","records":[{"key":"YQ==","value":null,"headers":[["a","MQ=="]]}]}
 *   → [{"partition":0,"offset":0}, …]    `end` is of a transaction, and needs a transactional.id among the settings
 * {"do":"read","topic":"t","settings":{"isolation.level":"read_committed"}}
 *   → [{"partition":0,"offset":0,"timestamp":1,"key":"YQ==","value":null,"headers":[]}, …]
 * </pre>
 *
 * Bytes are Base64. One line is answered by one line, a failure by {"error":"…"}.
 */
public final class JavaClient {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration POLL = Duration.ofMillis(500);

  public static void main(String[] arguments) throws Exception {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode answer;
      try {
        JsonNode call = JSON.readTree(line);
        answer = call.get("do").asText().equals("produce")
            ? produce(arguments[0], call)
            : read(arguments[0], call);
      } catch (Exception error) {
        answer = JSON.createObjectNode().put("error", error.toString());
      }
      out.println(JSON.writeValueAsString(answer));
      out.flush();
    }
  }

  private static ArrayNode produce(String bootstrap, JsonNode call) throws Exception {
    String end = call.path("end").asText("");
    ByteArraySerializer bytes = new ByteArraySerializer();
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings(bootstrap, call), bytes, bytes)) {
      if (!end.isEmpty()) {
        producer.initTransactions();
        producer.beginTransaction();
      }
      for (JsonNode record : call.get("records")) {
        ProducerRecord<byte[], byte[]> made = new ProducerRecord<>(
            call.get("topic").asText(),
            record.has("partition") ? record.get("partition").asInt() : null,
            record.has("timestamp") ? record.get("timestamp").asLong() : null,
            bytesOf(record.get("key")),
            bytesOf(record.get("value")));
        for (JsonNode header : record.path("headers"))
          made.headers().add(header.get(0).asText(), bytesOf(header.get(1)));
        sent.add(producer.send(made));
      }
      producer.flush();
      if (end.equals("commit")) producer.commitTransaction();
      if (end.equals("abort")) producer.abortTransaction();
    }
    ArrayNode places = JSON.createArrayNode();
    for (Future<RecordMetadata> each : sent)
      places.addObject().put("partition", each.get().partition()).put("offset", each.get().offset());
    return places;
  }

  /** Every partition from its beginning to where it ended when the call came. */
  private static ArrayNode read(String bootstrap, JsonNode call) {
    ByteArrayDeserializer bytes = new ByteArrayDeserializer();
    ArrayNode records = JSON.createArrayNode();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings(bootstrap, call), bytes, bytes)) {
      List<TopicPartition> places = consumer.partitionsFor(call.get("topic").asText()).stream()
          .map(each -> new TopicPartition(each.topic(), each.partition()))
          .toList();
      consumer.assign(places);
      consumer.seekToBeginning(places);
      Map<TopicPartition, Long> ends = consumer.endOffsets(places);
      while (places.stream().anyMatch(place -> consumer.position(place) < ends.get(place))) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL))
          addRecord(records.addObject(), record);
      }
    }
    return records;
  }

  private static void addRecord(ObjectNode target, ConsumerRecord<byte[], byte[]> record) {
    target.put("partition", record.partition());
    target.put("offset", record.offset());
    target.put("timestamp", record.timestamp());
    target.put("key", textOf(record.key()));
    target.put("value", textOf(record.value()));
    ArrayNode headers = target.putArray("headers");
    for (Header header : record.headers())
      headers.addArray().add(header.key()).add(textOf(header.value()));
  }

  private static Map<String, Object> settings(String bootstrap, JsonNode call) {
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", bootstrap);
    call.path("settings").properties()
        .forEach(each -> settings.put(each.getKey(), each.getValue().asText()));
    return settings;
  }

  private static byte[] bytesOf(JsonNode text) {
    return text == null || text.isNull() ? null : Base64.getDecoder().decode(text.asText());
  }

  private static String textOf(byte[] bytes) {
    return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
  }

  private JavaClient() {}
}
