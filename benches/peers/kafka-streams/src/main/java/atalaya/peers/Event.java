package atalaya.peers;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;

/** The one number of an event that is summed up; read by Jackson's streaming parser, the cheapest way that it has. */
final class Event {
    private static final JsonFactory JSON = new JsonFactory();

    private Event() {}

    static long seconds(byte[] record) {
        long seconds = 0;
        try (JsonParser parser = JSON.createParser(record)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                if (token == JsonToken.FIELD_NAME && parser.currentName().equals("seconds")) {
                    seconds = parser.nextLongValue(0);
                }
            }
        } catch (IOException bad) {
            throw new UncheckedIOException(bad);
        }
        return seconds;
    }
}
