package example.weather;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Gives every measurement back in degrees Fahrenheit, sorted; reads and writes streams. */
public class Fahrenheit implements RequestStreamHandler {
    @Override
    public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
        List<JsonNode> measurements = new ArrayList<>();
        for (JsonNode one : Json.MAPPER.readTree(input).get("measurements")) {
            ObjectNode converted = one.deepCopy();
            double celsius = converted.remove("celsius").asDouble();
            measurements.add(converted.put("fahrenheit", Math.round(celsius * 18 + 320) / 10.0));
        }
        measurements.sort(Comparator.comparing((JsonNode one) -> one.get("station").asText()).thenComparing(one -> one.get("at").asText()));
        Json.MAPPER.writeValue(output, measurements);
    }
}
