package example.weather;

import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.util.Map;

/** Gives the event on standard input to the handler whose class is named, without Lambda. */
public final class Here {
    private Here() {
    }

    @SuppressWarnings("unchecked")
    public static void main(String[] args) throws Exception {
        Object handler = Class.forName(args[0]).getDeclaredConstructor().newInstance();
        if (handler instanceof RequestStreamHandler streams) {
            streams.handleRequest(System.in, System.out, null);
        } else {
            Map<String, Object> event = Json.MAPPER.readValue(System.in, Map.class);
            Json.MAPPER.writeValue(System.out, ((RequestHandler<Map<String, Object>, Object>) handler).handleRequest(event, null));
        }
    }
}
