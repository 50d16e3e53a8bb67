import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

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

    public String getText() {
      return text;
    }

    public void setText(String text) {
      this.text = text;
    }
  }

  public static class Untyped implements RequestHandler<Map<String, Object>, Map<String, Object>> {
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
      System.out.println(context.getAwsRequestId() + context.getRemainingTimeInMillis());
      context.getLogger().log("text");
      fail(event.get("flag"));
      return event;
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

  private static void fail(Object flag) {
    if (Boolean.TRUE.equals(flag)) throw new IllegalStateException("failed", new IllegalArgumentException("cause"));
  }
}
