import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** What this process has taken of the machine, by Linux's account of it. */
record Resources(long userMs, long systemMs) {
  private static final long TICK_MS = 10;

  static Resources now() throws IOException {
    String stat = Files.readString(Path.of("/proc/self/stat"));
    // Fields 14 and 15 of proc(5); the second, a name in parentheses, may hold spaces.
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
    return new Resources(Long.parseLong(fields[11]) * TICK_MS, Long.parseLong(fields[12]) * TICK_MS);
  }

  Used since(Resources before) throws IOException {
    return new Used(this, userMs - before.userMs, systemMs - before.systemMs, peakBytes());
  }

  /** Since the program began its work, and since Java started. */
  record Used(Resources total, long userMs, long systemMs, long peakBytes) {
    void into(Map<String, Object> report) {
      report.put("cpuUserMs", userMs);
      report.put("cpuSystemMs", systemMs);
      report.put("cpuUserMsWithStart", total.userMs());
      report.put("cpuSystemMsWithStart", total.systemMs());
      report.put("memoryPeakBytes", peakBytes);
    }
  }

  private static long peakBytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status")))
      if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
    return -1;
  }
}
