"""Polars: the checks, the duplicates and the exact sums of bench/hand-loop.ts. Usage: trades-polars.py INPUT ROWS"""

import sys
import time

import polars as pl
from usage import report_usage

DAY_MS = 86_400_000
EARLIEST = 1_262_304_000_000  # 2010-01-01
# One malformed line or one value of a wrong type makes Polars' JSON reader refuse the whole file, so the wire format is
# matched as text: the exchange always sends the same fields in the same order.
WIRE_FORMAT = (
    r'^\{"e":"trade","E":-?\d+,"s":"(?<symbol>[^"\\]{1,32})","t":(?<id>\d+),"p":"(?<price>\d+(?:\.\d{1,8})?)",'
    r'"q":"(?<quantity>\d+(?:\.\d{1,8})?)","T":(?<time>\d+),"m":(?:true|false)\}$'
)
# A product keeps the scale of its factors: sixteen places leave price times quantity exact.
EXACT = pl.Decimal(38, 16)

source, rows = sys.argv[1:3]
latest = int(time.time() * 1000) + DAY_MS
time_ms, price, quantity = pl.col("time"), pl.col("price"), pl.col("quantity")

(
    pl.scan_lines(source, name="line")
    .select(pl.col("line").str.extract_groups(WIRE_FORMAT).alias("trade"))
    .unnest("trade")
    .with_columns(
        pl.col("id").cast(pl.Int64, strict=False),
        time_ms.cast(pl.Int64, strict=False),
        price.cast(EXACT, strict=False),
        quantity.cast(EXACT, strict=False),
    )
    .filter(time_ms.is_between(EARLIEST, latest), price > 0, quantity > 0, pl.col("id") <= 2**53 - 1)
    .with_columns((time_ms - time_ms % 60_000).alias("window"))
    .unique(subset=["symbol", "window", "id"], keep="any")
    .group_by("window", "symbol")
    .agg(
        pl.len().alias("trade_count"),
        quantity.sum().alias("volume"),
        (price * quantity).sum().alias("quote_volume"),
        price.max().alias("high"),
        price.min().alias("low"),
    )
    .sort("window", "symbol")
    .select(
        pl.from_epoch("window", time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").alias("window_start"),
        pl.col("symbol", "trade_count"),
        pl.col("volume", "quote_volume", "high", "low").cast(pl.String),
    )
    .collect(engine="streaming")
    .write_ndjson(rows)
)
report_usage()
