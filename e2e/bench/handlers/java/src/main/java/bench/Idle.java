package bench;

import java.util.Map;

/** Does nothing. */
public class Idle {
  public Map<String, Object> handle(Map<String, Object> event) {
    return Map.of();
  }
}
