import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Functions of each kind, run once while the image is built: the classes that the client loads for them go into the archive. */
public class Training {
  public static class Event {
    public String text;
    public int number;
    public Double fraction;
    public boolean flag;
    public List<String> list;
    public Map<String, Object> map;
    public Event nested;
    private List<Event> events;

    public List<Event> getEvents() {
      return events;
    }

    public void setEvents(List<Event> events) {
      this.events = events;
    }

    public String getText() {
      return text;
    }

    public void setText(String text) {
      this.text = text;
    }
  }

  public static class Untyped implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
      var id = context.getAwsRequestId();
      System.out.println("event " + id + " has " + context.getRemainingTimeInMillis() + " ms");
      context.getLogger().log("text of " + id);
      fail(event.get("flag"));
      var names = event.keySet().stream().filter(name -> !name.isEmpty()).map(name -> "name " + name).collect(Collectors.toList());
      var counts = new TreeMap<String, Integer>();
      names.forEach(name -> counts.merge(name, 1, Integer::sum));
      return Map.of("event", event, "names", names, "text", String.format("%s has %d: %s!", id, names.size(), counts));
    }
  }

  public static class Typed implements RequestHandler<Event, Event> {
    public Event handleRequest(Event event, Context context) {
      fail(event.flag);
      return event;
    }
  }

  public static class Streamed implements RequestStreamHandler {
    public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
      input.transferTo(output);
    }
  }

  public Event method(Event event, Context context) {
    fail(event.flag);
    return event;
  }

  private static void fail(Object flag) {
    if (Boolean.TRUE.equals(flag)) throw new IllegalStateException("failed", new IllegalArgumentException("cause"));
  }
}
