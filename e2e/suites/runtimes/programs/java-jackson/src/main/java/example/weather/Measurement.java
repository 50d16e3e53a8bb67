package example.weather;

import java.time.Instant;
import java.util.List;

/** What one station measured at one moment. */
public record Measurement(String station, Instant at, double celsius, int humidity, List<String> notes) {
}
