"""Spark on one machine: the checks, the duplicates and the exact sums of bench/hand-loop.ts. Usage: trades-spark.py INPUT ROWS"""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from usage import report_usage

DAY_MS = 86_400_000
EARLIEST = 1_262_304_000_000  # 2010-01-01
# from_json turns 1.5 and "1.5" into the same string, so types are told apart in the text.
WIRE_FORMAT = (
    r'^\{"e":"trade","E":-?\d+,"s":"[^"\\]{1,32}","t":\d+,"p":"\d+(\.\d{1,8})?","q":"\d+(\.\d{1,8})?","T":\d+,'
    r'"m":(true|false)\}$'
)
SCHEMA = "s STRING, t BIGINT, p STRING, q STRING, T BIGINT"

source, rows = sys.argv[1:3]
latest = int(time.time() * 1000) + DAY_MS

spark = (
    SparkSession.builder.master("local[*]")
    .appName("trades")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.caseSensitive", "true")  # t and T are two fields
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.driver.memory", "2g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

trades = (
    spark.read.text(source)
    .where(F.col("value").rlike(WIRE_FORMAT))
    .select(F.from_json("value", SCHEMA).alias("trade"))
    .select(
        F.col("trade.s").alias("symbol"),
        F.col("trade.t").alias("id"),
        F.col("trade.p").cast("decimal(18,8)").alias("price"),
        F.col("trade.q").cast("decimal(18,8)").alias("quantity"),
        F.col("trade.T").alias("time"),
    )
    .where(F.col("time").between(EARLIEST, latest))
    .where("price > 0 AND quantity > 0 AND id <= 9007199254740991")
    .withColumn("window", F.col("time") - F.col("time") % 60_000)
    .dropDuplicates(["symbol", "window", "id"])
)
candles = (
    trades.groupBy("window", "symbol")
    .agg(
        F.count("*").alias("trade_count"),
        F.sum("quantity").alias("volume"),
        F.sum(F.col("price") * F.col("quantity")).alias("quote_volume"),
        F.max("price").alias("high"),
        F.min("price").alias("low"),
    )
    .orderBy("window", "symbol")
)
with open(rows, "w") as out:
    for row in candles.collect():
        window_start = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(row["window"] // 1000))
        decimals = {name: format(row[name], "f") for name in ("volume", "quote_volume", "high", "low")}
        counted = {"window_start": window_start, "symbol": row["symbol"], "trade_count": row["trade_count"]}
        out.write(json.dumps({**counted, **decimals}) + "\n")
# Before the JVM is gone and its books with it.
report_usage()
spark.stop()
