// Flink SQL on the same cluster: a Kafka topic from its beginning to its present end, candles per symbol and minute, upserted
// into PostgreSQL. Records are checked by a function, since the JSON format does not tell "1.5" from 1.5; counts, sums and
// extremes are SQL's own. It writes no dead letters.
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.flink.table.functions.TableFunction;
import org.apache.flink.types.Row;

public final class TradesSql {
  private static final long WINDOW_MS = 60_000;
  private static final long EARLIEST = 1_262_304_000_000L; // 2010-01-01
  private static final long DAY_MS = 86_400_000;
  private static final BigInteger PRICES = BigInteger.TEN.pow(17);
  private static final BigInteger IDS = BigInteger.TEN.pow(16);

  /**
   * The trade of a record, when it is a good one. Its `edge` orders trades by time in the window, then by id or, where trades
   * that come twice count twice, by price; its last 17 digits are the price.
   */
  @FunctionHint(
      output =
          @DataTypeHint(
              "ROW<symbol STRING, id BIGINT, window_start BIGINT, price DECIMAL(18, 8), quantity DECIMAL(18, 8), edge DECIMAL(38, 0)>"))
  public static final class Trade extends TableFunction<Row> {
    private final boolean unique;
    private transient ObjectMapper mapper;
    private transient long latest;

    public Trade(boolean unique) {
      this.unique = unique;
    }

    @Override
    public void open(FunctionContext context) {
      mapper = new ObjectMapper();
      latest = System.currentTimeMillis() + DAY_MS;
    }

    public void eval(byte[] value) {
      JsonNode event;
      try {
        event = mapper.readTree(value);
      } catch (Exception notJson) {
        return;
      }
      if (event == null || !"trade".equals(text(event, "e")) || !isWhole(event, "E") || !isWhole(event, "t")) return;
      if (!isWhole(event, "T") || event.get("m") == null || !event.get("m").isBoolean()) return;
      String symbol = text(event, "s");
      long id = event.get("t").longValue();
      long time = event.get("T").longValue();
      BigDecimal price = decimal(text(event, "p"));
      BigDecimal quantity = decimal(text(event, "q"));
      if (symbol == null || symbol.isEmpty() || symbol.length() > 32 || id < 0 || id >= 1L << 53) return;
      if (time < EARLIEST || time > latest || price == null || quantity == null) return;
      long start = time - time % WINDOW_MS;
      BigInteger order = BigInteger.valueOf(time - start);
      if (unique) order = order.multiply(IDS).add(BigInteger.valueOf(id));
      BigInteger edge = order.multiply(PRICES).add(price.setScale(8).unscaledValue());
      collect(Row.of(symbol, id, start, price, quantity, new BigDecimal(edge)));
    }

    private static String text(JsonNode event, String field) {
      JsonNode node = event.get(field);
      return node == null || !node.isTextual() ? null : node.textValue();
    }

    private static boolean isWhole(JsonNode event, String field) {
      JsonNode node = event.get(field);
      return node != null && node.isIntegralNumber() && node.canConvertToLong();
    }

    /** A plain decimal above 0 with at most eight digits after the point; null is none. */
    private static BigDecimal decimal(String text) {
      if (text == null || text.isEmpty() || text.charAt(0) == '.') return null;
      int point = -1;
      for (int at = 0; at < text.length(); at += 1) {
        char letter = text.charAt(at);
        if (letter == '.' && point < 0) point = at;
        else if (letter < '0' || letter > '9') return null;
      }
      int places = point < 0 ? 0 : text.length() - point - 1;
      if (places > 8 || (point >= 0 && places == 0)) return null;
      BigDecimal decimal = new BigDecimal(text);
      return decimal.signum() > 0 ? decimal : null;
    }
  }

  /** Half even, as SQL does not divide. */
  public static final class Quotient extends ScalarFunction {
    public @DataTypeHint("DECIMAL(38, 8)") BigDecimal eval(
        @DataTypeHint("DECIMAL(38, 16)") BigDecimal total, @DataTypeHint("DECIMAL(38, 8)") BigDecimal parts) {
      return total.divide(parts, 8, RoundingMode.HALF_EVEN);
    }
  }

  public static final class PriceOf extends ScalarFunction {
    public @DataTypeHint("DECIMAL(38, 8)") BigDecimal eval(@DataTypeHint("DECIMAL(38, 0)") BigDecimal edge) {
      return new BigDecimal(edge.toBigInteger().mod(PRICES), 8);
    }
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> options = new HashMap<>();
    for (int at = 0; at + 1 < args.length; at += 2) options.put(args[at].substring(2), args[at + 1]);
    boolean unique = options.get("unique").equals("yes");
    Configuration settings = new Configuration();
    settings.setString("execution.target", "remote");
    settings.setString("rest.address", options.get("flink").split(":")[0]);
    settings.setString("rest.port", options.get("flink").split(":")[1]);
    settings.setString("pipeline.jars", options.get("jars"));
    settings.setString("parallelism.default", options.get("parallelism"));
    settings.setString("table.local-time-zone", "UTC");
    TableEnvironment tables =
        TableEnvironment.create(EnvironmentSettings.newInstance().inBatchMode().withConfiguration(settings).build());
    tables.createTemporarySystemFunction("trade", new Trade(unique));
    tables.createTemporarySystemFunction("quotient", new Quotient());
    tables.createTemporarySystemFunction("price_of", new PriceOf());
    tables.executeSql(
        """
        create table records (`value` bytes) with ('connector' = 'kafka', 'topic' = '%s',
          'properties.bootstrap.servers' = '%s', 'scan.startup.mode' = 'earliest-offset',
          'scan.bounded.mode' = 'latest-offset', 'format' = 'raw')"""
            .formatted(options.get("topic"), options.get("kafka")));
    tables.executeSql(
        """
        create table candles (window_start timestamp(3), window_end timestamp(3), symbol string, trade_count bigint,
          volume decimal(38, 8), quote_volume decimal(38, 16), `open` decimal(38, 8), high decimal(38, 8),
          low decimal(38, 8), `close` decimal(38, 8), avg_price decimal(38, 8), vwap decimal(38, 8),
          primary key (symbol, window_start) not enforced)
        with ('connector' = 'jdbc', 'url' = '%s', 'table-name' = 'trades_1min_agg', 'driver' = 'org.postgresql.Driver',
          'sink.buffer-flush.max-rows' = '1000')"""
            .formatted(options.get("jdbc")));
    String trades = "select t.* from records, lateral table(trade(`value`)) as t";
    String once =
        """
        select symbol, window_start, id, min(price) as price, min(quantity) as quantity, min(edge) as edge
        from (%s) group by symbol, window_start, id"""
            .formatted(trades);
    tables
        .executeSql(
            """
            insert into candles
            select cast(to_timestamp_ltz(window_start, 3) as timestamp(3)),
              cast(to_timestamp_ltz(window_start + 60000, 3) as timestamp(3)), symbol, trade_count, volume, quote_volume,
              price_of(first_edge), high, low, price_of(last_edge), quotient(prices, cast(trade_count as decimal(38, 8))),
              quotient(quote_volume, volume)
            from (select symbol, window_start, count(*) as trade_count, sum(quantity) as volume,
                sum(price * quantity) as quote_volume, max(price) as high, min(price) as low, min(edge) as first_edge,
                max(edge) as last_edge, cast(sum(price) as decimal(38, 16)) as prices
              from (%s) group by symbol, window_start)"""
                .formatted(unique ? once : trades))
        .await();
  }
}
