package atalaya.peers;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Prints how many events Kafka Streams takes per CPU-second of its process, once warm.
 *
 * <p>Two programs: {@code count_and_sum} keeps a count and a sum in hopping windows of 5 minutes by 10 seconds;
 * {@code histogram} keeps an HdrHistogram in each window of 10 seconds, as Atalaya's panes do. The topic is keyed by what
 * is grouped by and every event carries its number, so that nothing has to be joined or sent through another topic.
 */
public final class Main {
    private static final AtomicLong TAKEN = new AtomicLong();

    public static void main(String[] arguments) throws Exception {
        String broker = arguments[0], topic = arguments[1], application = arguments[2], variant = arguments[3];
        long warm = Long.parseLong(arguments[4]), events = Long.parseLong(arguments[5]);
        CountDownLatch warmed = new CountDownLatch(1), done = new CountDownLatch(1);

        StreamsBuilder builder = new StreamsBuilder();
        KGroupedStream<byte[], Long> seconds = builder
            .stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .mapValues(Event::seconds)
            .peek((key, value) -> {
                long taken = TAKEN.incrementAndGet();
                if (taken == warm) {
                    warmed.countDown();
                } else if (taken == warm + events) {
                    done.countDown();
                }
            })
            .groupByKey(Grouped.with(Serdes.ByteArray(), Serdes.Long()));
        switch (variant) {
            case "count_and_sum" -> seconds
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(5), Duration.ofSeconds(10))
                    .advanceBy(Duration.ofSeconds(10)))
                .aggregate(CountAndSum::new, (key, value, sums) -> sums.with(value),
                    Materialized.<byte[], CountAndSum, WindowStore<Bytes, byte[]>>as("windows")
                        .withKeySerde(Serdes.ByteArray()).withValueSerde(CountAndSum.SERDE));
            case "histogram" -> seconds
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(10)))
                .aggregate(Histograms::empty, (key, value, histogram) -> Histograms.with(histogram, value),
                    Materialized.<byte[], Histogram, WindowStore<Bytes, byte[]>>as("windows")
                        .withKeySerde(Serdes.ByteArray()).withValueSerde(Histograms.SERDE));
            default -> throw new IllegalArgumentException(variant);
        }

        KafkaStreams streams = new KafkaStreams(builder.build(), settings(broker, application, arguments[6]));
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        warmed.await();
        double before = cpuSeconds();
        done.await();
        System.out.println(Math.round(events / (cpuSeconds() - before)));
        System.out.flush();
        // What it would still write does not matter any more.
        Runtime.getRuntime().halt(0);
    }

    private static Properties settings(String broker, String application, String state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        // Results are a second old, as an evaluation of Atalaya; the default of exactly once, 100, costs half as much again.
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        return settings;
    }

    /** User and system time of the whole process: its threads, the compiler's and the collector's. */
    private static double cpuSeconds() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }
}
