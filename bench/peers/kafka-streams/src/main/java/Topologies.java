import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** The programs of bench/count.ts and bench/reserve.ts as a Kafka Streams engineer writes them. */
final class Topologies {
  static final String ROWS = "rows";
  private static final Duration MINUTE = Duration.ofMinutes(1);
  private static final Duration GRACE = Duration.ofSeconds(5);
  private static final long DAY_MS = Duration.ofDays(1).toMillis();
  private static final int STOCK = 20_000;

  private static final ObjectMapper MAPPER = new ObjectMapper();

  public record Order(String order_id, String item_id, int qty, String user_id, long timestamp) {}

  public record Shelf(int available, int reserved) {}

  public record Verdict(String order_id, String item_id, String status, int qty, long timestamp) {}

  /** Orders per item and minute. The value is not looked at, so it is not parsed. */
  static Topology count(String input, String output, boolean isCached, AtomicLong seen) {
    StreamsBuilder builder = new StreamsBuilder();
    Materialized<String, Long, WindowStore<Bytes, byte[]>> counts =
        Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("orders-per-minute")
            .withKeySerde(Serdes.String())
            .withValueSerde(Serdes.Long());
    builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
        .peek((key, value) -> seen.incrementAndGet())
        .groupByKey()
        .windowedBy(TimeWindows.ofSizeAndGrace(MINUTE, GRACE))
        .count(isCached ? counts.withCachingEnabled() : counts.withCachingDisabled())
        .toStream()
        .map((key, orders) -> KeyValue.pair(
            key.key(), countOf(key.key(), key.window().start(), key.window().end(), orders)))
        .to(output, Produced.with(Serdes.String(), Serdes.ByteArray()));
    return builder.build();
  }

  /** By hand, which is faster than Jackson would be. */
  private static byte[] countOf(String item, long start, long end, long orders) {
    String json = "{\"item_id\":\"" + item + "\",\"window_start\":" + start
        + ",\"window_end\":" + end + ",\"orders\":" + orders + "}";
    return json.getBytes(StandardCharsets.UTF_8);
  }

  static Topology reserve(
      String input, String output, boolean isCached, boolean dedupes, AtomicLong seen) {
    Serde<Order> orderJson = json(Order.class);
    Serde<Verdict> verdictJson = json(Verdict.class);
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Order> orders = builder
        .stream(input, Consumed.with(Serdes.String(), orderJson))
        .peek((key, value) -> seen.incrementAndGet());
    if (dedupes) orders = orders.processValues(new DedupeSupplier());
    orders
        .processValues(new ReserveSupplier(isCached))
        .to(output, Produced.with(Serdes.String(), verdictJson));
    return builder.build();
  }

  static Topology table(String input) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(input, Consumed.with(Serdes.String(), Serdes.ByteArray()))
        .toTable(Materialized.<String, byte[], KeyValueStore<Bytes, byte[]>>as(ROWS)
            .withKeySerde(Serdes.String())
            .withValueSerde(Serdes.ByteArray()));
    return builder.build();
  }

  /**
   * Ids of the last 24 hours in a window store, which drops old segments whole. An id is put under the day it came in, so that
   * two point reads, which RocksDB answers from its Bloom filters when there is nothing, look back exactly 24 hours.
   */
  private static final class DedupeSupplier
      implements FixedKeyProcessorSupplier<String, Order, Order> {
    private static final String NAME = "orders-seen";

    @Override
    public FixedKeyProcessor<String, Order, Order> get() {
      return new Dedupe();
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      return Set.of(Stores.windowStoreBuilder(
              Stores.persistentWindowStore(
                  NAME, Duration.ofDays(2), Duration.ofDays(1), false),
              Serdes.String(),
              Serdes.Long())
          .withCachingDisabled());
    }
  }

  private static final class Dedupe implements FixedKeyProcessor<String, Order, Order> {
    private FixedKeyProcessorContext<String, Order> context;
    private WindowStore<String, Long> seen;

    @Override
    public void init(FixedKeyProcessorContext<String, Order> context) {
      this.context = context;
      seen = context.getStateStore(DedupeSupplier.NAME);
    }

    @Override
    public void process(FixedKeyRecord<String, Order> record) {
      String id = record.value().order_id();
      long at = record.timestamp();
      long day = at - at % DAY_MS;
      Long today = seen.fetch(id, day);
      if (today != null) return;
      Long yesterday = seen.fetch(id, day - DAY_MS);
      if (yesterday != null && at - yesterday < DAY_MS) return;
      seen.put(id, at, day);
      context.forward(record);
    }
  }

  private static final class ReserveSupplier
      implements FixedKeyProcessorSupplier<String, Order, Verdict> {
    private static final String NAME = "inventory";
    private final boolean isCached;

    ReserveSupplier(boolean isCached) {
      this.isCached = isCached;
    }

    @Override
    public FixedKeyProcessor<String, Order, Verdict> get() {
      return new Reserve();
    }

    @Override
    public Set<StoreBuilder<?>> stores() {
      StoreBuilder<KeyValueStore<String, Shelf>> builder = Stores.keyValueStoreBuilder(
          Stores.persistentKeyValueStore(NAME), Serdes.String(), json(Shelf.class));
      return Set.of(isCached ? builder.withCachingEnabled() : builder.withCachingDisabled());
    }
  }

  private static final class Reserve implements FixedKeyProcessor<String, Order, Verdict> {
    private FixedKeyProcessorContext<String, Verdict> context;
    private KeyValueStore<String, Shelf> inventory;

    @Override
    public void init(FixedKeyProcessorContext<String, Verdict> context) {
      this.context = context;
      inventory = context.getStateStore(ReserveSupplier.NAME);
    }

    @Override
    public void process(FixedKeyRecord<String, Order> record) {
      Order order = record.value();
      int quantity = order.qty();
      Shelf shelf = inventory.get(order.item_id());
      if (shelf == null) shelf = new Shelf(STOCK, 0);
      boolean isEnough = shelf.available() >= quantity;
      if (isEnough) {
        inventory.put(
            order.item_id(),
            new Shelf(shelf.available() - quantity, shelf.reserved() + quantity));
      }
      Verdict verdict = new Verdict(
          order.order_id(), order.item_id(), isEnough ? "reserved" : "failed", quantity,
          order.timestamp());
      context.forward(record.withValue(verdict));
    }
  }

  private static <T> Serde<T> json(Class<T> type) {
    ObjectReader reader = MAPPER.readerFor(type);
    ObjectWriter writer = MAPPER.writerFor(type);
    return Serdes.serdeFrom(
        (topic, value) -> {
          try {
            return value == null ? null : writer.writeValueAsBytes(value);
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        },
        (topic, bytes) -> {
          try {
            return bytes == null ? null : reader.readValue(bytes);
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        });
  }

  private Topologies() {}
}
