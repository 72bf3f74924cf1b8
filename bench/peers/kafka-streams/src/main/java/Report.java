import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

/** One line of JSON on standard output. */
final class Report {
  static void print(Map<String, ?> report) throws IOException {
    System.out.println(new ObjectMapper().writeValueAsString(new TreeMap<>(report)));
    System.out.flush();
  }

  private Report() {}
}
