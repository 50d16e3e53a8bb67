package example.weather;

import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;

/** What all measurements of one station say together. */
public final class Station {
    public String name;
    public int count;
    public double coldest = Double.POSITIVE_INFINITY;
    public double warmest = Double.NEGATIVE_INFINITY;
    public double sum;
    public Instant last = Instant.MIN;
    public final Map<String, Integer> notes = new TreeMap<>();

    void add(Measurement one) {
        name = one.station();
        count++;
        coldest = Math.min(coldest, one.celsius());
        warmest = Math.max(warmest, one.celsius());
        sum += one.celsius();
        if (one.at().isAfter(last)) last = one.at();
        for (String note : one.notes()) notes.merge(note, 1, Integer::sum);
    }
}
