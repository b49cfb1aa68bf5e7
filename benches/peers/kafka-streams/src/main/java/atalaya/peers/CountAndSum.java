package atalaya.peers;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** What a mean is made of: 16 bytes. */
record CountAndSum(long count, long sum) {
    static final Serde<CountAndSum> SERDE = Serdes.serdeFrom(
        (topic, sums) -> sums == null ? null
            : ByteBuffer.allocate(16).putLong(sums.count).putLong(sums.sum).array(),
        (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return new CountAndSum(buffer.getLong(), buffer.getLong());
        });

    CountAndSum() {
        this(0, 0);
    }

    CountAndSum with(long value) {
        return new CountAndSum(count + 1, sum + value);
    }
}
