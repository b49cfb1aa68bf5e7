package atalaya.peers;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.HdrHistogram.Histogram;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Histograms of two digits that grow with their values, written without the costly compression. */
final class Histograms {
    static final Serde<Histogram> SERDE = Serdes.serdeFrom(
        (topic, histogram) -> {
            if (histogram == null) {
                return null;
            }
            ByteBuffer buffer = ByteBuffer.allocate(histogram.getNeededByteBufferCapacity());
            return Arrays.copyOf(buffer.array(), histogram.encodeIntoByteBuffer(buffer));
        },
        (topic, bytes) -> bytes == null ? null : Histogram.decodeFromByteBuffer(ByteBuffer.wrap(bytes), 0));

    private Histograms() {}

    static Histogram empty() {
        return new Histogram(2);
    }

    static Histogram with(Histogram histogram, long value) {
        histogram.setAutoResize(true);
        histogram.recordValue(value);
        return histogram;
    }
}
