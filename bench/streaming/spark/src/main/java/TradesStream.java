// Trades from Kafka to candles in PostgreSQL by Spark Structured Streaming: the checks of bench/hand-loop.ts, duplicates
// as Spark can remove them, one-minute windows per symbol, exact decimals, and an upsert by a staging table.

import static org.apache.spark.sql.functions.*;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.spark.api.java.function.VoidFunction2;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.DataStreamReader;
import org.apache.spark.sql.streaming.StreamingQuery;
import org.apache.spark.sql.streaming.StreamingQueryProgress;
import org.apache.spark.sql.streaming.Trigger;

public final class TradesStream {
  /** from_json turns 1.5 and "1.5" into the same string, so types are told apart in the text. */
  private static final String WIRE_FORMAT =
      "^\\{\"e\":\"trade\",\"E\":-?\\d+,\"s\":\"[^\"\\\\]{1,32}\",\"t\":\\d+,\"p\":\"\\d+(\\.\\d{1,8})?\","
          + "\"q\":\"\\d+(\\.\\d{1,8})?\",\"T\":\\d+,\"m\":(true|false)\\}$";

  private static final String SCHEMA = "s STRING, t BIGINT, p STRING, q STRING, T BIGINT";
  private static final long EARLIEST = 1_262_304_000_000L; // 2010-01-01
  private static final long DAY_MS = 86_400_000L;

  /** The table's columns but for its key. */
  private static final List<String> VALUES =
      List.of(
          "window_end", "trade_count", "volume", "quote_volume", "open", "high", "low", "close", "avg_price", "vwap");

  public static void main(String[] args) throws Exception {
    Map<String, String> options = readOptions(args);
    long begin = System.nanoTime();
    SparkSession spark = startSession();
    double sessionSeconds = secondsSince(begin);

    begin = System.nanoTime();
    String url = options.get("jdbc");
    String table = options.get("table");
    VoidFunction2<Dataset<Row>, Long> upsert = (candles, batch) -> upsert(candles, url, table);
    StreamingQuery query =
        candles(dedupe(trades(spark, options), options))
            .writeStream()
            // A window's row is sent again whenever it changed, and replaces the one that is there.
            .outputMode("update")
            .trigger(trigger(options.get("trigger")))
            .option("checkpointLocation", options.get("checkpoint"))
            .foreachBatch(upsert)
            .start();
    if (!isBacklog(options.get("trigger"))) stopAtEndOfInput(query);
    query.awaitTermination();
    double querySeconds = secondsSince(begin);

    StreamingQueryProgress last = query.lastProgress();
    long batches = last == null ? 0 : last.batchId() + 1;
    System.out.printf(
        Locale.ROOT,
        "{\"spark\":\"%s\",\"sessionSeconds\":%.3f,\"querySeconds\":%.3f,\"batches\":%d}%n",
        spark.version(),
        sessionSeconds,
        querySeconds,
        batches);
    spark.stop();
    reportUsage();
  }

  /**
   * Without Hadoop's native library, each file of a checkpoint starts a chmod, more than a hundred processes a batch. A
   * cluster's file system does not, so neither shall this.
   */
  public static final class PlainFiles extends RawLocalFileSystem {
    @Override
    public void setPermission(org.apache.hadoop.fs.Path path, FsPermission permission) {}
  }

  private static SparkSession startSession() {
    return SparkSession.builder()
        .master("local[*]")
        .appName("trades-stream")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.caseSensitive", "true") // t and T are two fields
        // One task of the shuffle per core: the usual 200 are for a cluster.
        .config("spark.sql.shuffle.partitions", Runtime.getRuntime().availableProcessors())
        .config("spark.hadoop.fs.file.impl", PlainFiles.class.getName())
        .config(
            "spark.sql.streaming.checkpointFileManagerClass",
            "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate();
  }

  /** The good trades; bad ones are left out, without a dead letter. */
  private static Dataset<Row> trades(SparkSession spark, Map<String, String> options) {
    DataStreamReader reader =
        spark
            .readStream()
            .format("kafka")
            .option("kafka.bootstrap.servers", options.get("bootstrap"))
            .option("subscribe", options.get("topic"))
            .option("startingOffsets", "earliest");
    if (options.containsKey("max-offsets")) reader = reader.option("maxOffsetsPerTrigger", options.get("max-offsets"));
    long latest = System.currentTimeMillis() + DAY_MS;
    return reader
        .load()
        .select(col("value").cast("string").as("value"))
        .where(col("value").rlike(WIRE_FORMAT))
        .select(from_json(col("value"), SCHEMA, new HashMap<String, String>()).as("trade"))
        .select(
            col("trade.s").as("symbol"),
            col("trade.t").as("id"),
            col("trade.p").cast("decimal(18,8)").as("price"),
            col("trade.q").cast("decimal(18,8)").as("quantity"),
            col("trade.T").as("time"))
        .where(col("time").between(EARLIEST, latest))
        .where("price > 0 AND quantity > 0 AND id <= 9007199254740991")
        .withColumn("event_time", timestamp_millis(col("time")))
        .withWatermark("event_time", options.get("watermark"));
  }

  private static Dataset<Row> dedupe(Dataset<Row> trades, Map<String, String> options) {
    if (!options.get("dedupe").equals("true")) return trades;
    return trades.dropDuplicatesWithinWatermark(new String[] {"symbol", "id"});
  }

  private static Dataset<Row> candles(Dataset<Row> trades) {
    return trades
        .groupBy(window(col("event_time"), "1 minute"), col("symbol"))
        .agg(
            count("*").as("trade_count"),
            sum("quantity").as("volume"),
            sum(col("price").multiply(col("quantity"))).as("quote_volume"),
            min_by(col("price"), struct("time", "id")).as("open"),
            max("price").as("high"),
            min("price").as("low"),
            max_by(col("price"), struct("time", "id")).as("close"),
            sum("price").as("price_sum"))
        .select(
            col("window.start").as("window_start"),
            col("window.end").as("window_end"),
            col("symbol"),
            col("trade_count"),
            col("volume"),
            col("quote_volume"),
            col("open"),
            col("high"),
            col("low"),
            col("close"),
            // avg() rounds half up; of wider types Spark would divide to six digits only.
            expr("bround(price_sum / CAST(trade_count AS DECIMAL(10,0)), 8)").as("avg_price"),
            expr("bround(CAST(quote_volume AS DECIMAL(30,16)) / CAST(volume AS DECIMAL(20,8)), 8)").as("vwap"));
  }

  private static void upsert(Dataset<Row> candles, String url, String table) throws SQLException {
    String staging = table + "_staging";
    candles
        .write()
        .format("jdbc")
        .mode(SaveMode.Overwrite)
        .option("truncate", "true")
        .option("url", url)
        .option("driver", "org.postgresql.Driver")
        .option("dbtable", staging)
        .option("batchsize", "5000")
        .save();
    String values = String.join(", ", VALUES);
    String excluded = VALUES.stream().map(name -> "excluded." + name).collect(Collectors.joining(", "));
    try (Connection connection = DriverManager.getConnection(url);
        Statement statement = connection.createStatement()) {
      statement.executeUpdate(
          "INSERT INTO %1$s (symbol, window_start, %2$s) SELECT symbol, window_start, %2$s FROM %3$s ON CONFLICT (symbol, window_start) DO UPDATE SET (%2$s) = (%4$s)"
              .formatted(table, values, staging, excluded));
    }
  }

  private static boolean isBacklog(String trigger) {
    return trigger.equals("available-now");
  }

  private static Trigger trigger(String text) {
    return isBacklog(text) ? Trigger.AvailableNow() : Trigger.ProcessingTime(text);
  }

  /** A query that goes on ends when whoever started it closes its standard input. */
  private static void stopAtEndOfInput(StreamingQuery query) {
    Thread thread =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0)
                  ;
                query.stop();
              } catch (Exception error) {
                throw new IllegalStateException(error);
              }
            });
    thread.setDaemon(true);
    thread.start();
  }

  private static Map<String, String> readOptions(String[] args) {
    Map<String, String> options = new HashMap<>(Map.of("dedupe", "true", "watermark", "10 seconds"));
    for (int index = 0; index + 1 < args.length; index += 2) options.put(args[index].substring(2), args[index + 1]);
    for (String name : List.of("bootstrap", "topic", "jdbc", "table", "checkpoint", "trigger"))
      if (!options.containsKey(name)) throw new IllegalArgumentException("--" + name + " is missing");
    return options;
  }

  private static double secondsSince(long begin) {
    return (System.nanoTime() - begin) / 1e9;
  }

  /** In the words of bench/measure.ts: what this process used, from the kernel's books. Linux only. */
  private static void reportUsage() throws IOException {
    String target = System.getenv("BENCH_USAGE_FILE");
    if (target == null) return;
    String stat = Files.readString(Path.of("/proc/self/stat"));
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
    double ticks = 0;
    for (int index = 11; index < 15; index += 1) ticks += Long.parseLong(fields[index]);
    double peak =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("VmHWM:"))
            .mapToDouble(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024.0)
            .findFirst()
            .orElseThrow();
    Files.writeString(
        Path.of(target), String.format(Locale.ROOT, "{\"cpuSeconds\":%.2f,\"peakRssMb\":%.1f}", ticks / 100, peak));
  }
}
