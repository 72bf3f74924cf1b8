import java.util.HashMap;
import java.util.Map;

/**
 * Kafka Streams doing the work of bench/, to be measured beside it; and the load around both.
 *
 * <pre>
 * count    tumbling counts of a minute; one JSON update out for each record (cache off) or commit (cache on)
 * reserve  orders against stock, one JSON verdict out; with --dedupe by order_id over 24 hours first
 * restore  a store of --app is rebuilt from its changelog, which fill-changelog has written
 *
 * load            writes lines of `timestamp TAB key TAB value` from standard input, as Java's client partitions them
 * fill-changelog  writes --records records over --keys keys into the changelog that restore reads
 * open-loop       writes --rate orders a second for --seconds and waits for what comes of each, by key and order
 * check           counts and sums what an output topic holds, as a read-committed consumer sees it
 * </pre>
 *
 * One line of JSON on standard output is the report; `{"ready":true}` comes first where --serve keeps a program up until its
 * standard input ends.
 */
public final class Peer {
  public static void main(String[] arguments) throws Exception {
    if (arguments.length == 0) throw new IllegalArgumentException("which mode?");
    Options options = new Options(arguments);
    switch (arguments[0]) {
      case "count", "reserve", "restore" -> Application.run(arguments[0], options);
      case "load" -> Load.fromStandardInput(options);
      case "fill-changelog" -> Load.changelog(options);
      case "open-loop" -> OpenLoop.run(options);
      case "check" -> Check.run(options);
      default -> throw new IllegalArgumentException("unknown mode " + arguments[0]);
    }
    System.exit(0);
  }

  /** `--name value`, and `--name` alone for a switch. */
  static final class Options {
    private final Map<String, String> values = new HashMap<>();

    Options(String[] arguments) {
      for (int at = 1; at < arguments.length; at += 1) {
        String name = arguments[at].substring(2);
        boolean isSwitch = at + 1 == arguments.length || arguments[at + 1].startsWith("--");
        values.put(name, isSwitch ? "true" : arguments[at += 1]);
      }
    }

    String text(String name) {
      String value = values.get(name);
      if (value == null) throw new IllegalArgumentException("--" + name + " is missing");
      return value;
    }

    String text(String name, String otherwise) {
      return values.getOrDefault(name, otherwise);
    }

    long number(String name, long otherwise) {
      return values.containsKey(name) ? Long.parseLong(values.get(name)) : otherwise;
    }

    boolean isSet(String name) {
      return values.getOrDefault(name, "false").equals("true");
    }

    /** `--set-streams name=value,…` and the like. */
    Map<String, String> settings(String name) {
      Map<String, String> settings = new HashMap<>();
      for (String each : values.getOrDefault(name, "").split(",")) {
        int at = each.indexOf('=');
        if (at > 0) settings.put(each.substring(0, at), each.substring(at + 1));
      }
      return settings;
    }
  }
}
