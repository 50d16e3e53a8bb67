package example.weather;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Sums the measurements of each station up; the event and the answer are objects that the runtime converts. */
public class Summary implements RequestHandler<Map<String, Object>, Map<String, Map<String, Object>>> {
    /** The event. */
    public record Measurements(List<Measurement> measurements) {
    }

    @Override
    @SuppressWarnings("unchecked")
    public Map<String, Map<String, Object>> handleRequest(Map<String, Object> event, Context context) {
        Map<String, Station> stations = new TreeMap<>();
        for (Measurement one : Json.MAPPER.convertValue(event, Measurements.class).measurements())
            stations.computeIfAbsent(one.station(), name -> new Station()).add(one);
        Map<String, Map<String, Object>> answer = new TreeMap<>();
        stations.forEach((name, station) -> answer.put(name, new TreeMap<>(Json.MAPPER.convertValue(station, Map.class))));
        return answer;
    }
}
