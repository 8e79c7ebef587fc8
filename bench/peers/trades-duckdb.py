"""DuckDB: the checks, the duplicates and the exact sums of bench/hand-loop.ts in SQL. Usage: trades-duckdb.py INPUT ROWS"""

import sys
import time

import duckdb
from usage import report_usage

DAY_MS = 86_400_000
EARLIEST = 1_262_304_000_000  # 2010-01-01
# Field names differ only by case (e and E, t and T), which columns of a table cannot: the fields are taken by path, once
# per record, as JSON text, which also keeps the difference between "1.5" and 1.5.
QUERY = """
COPY (
  WITH fields AS MATERIALIZED (
    SELECT json_extract(json, ['$.e', '$.E', '$.s', '$.t', '$.p', '$.q', '$.T', '$.m'])::VARCHAR[] AS f
    FROM read_ndjson_objects($input, ignore_errors = true)
  ), good AS (
    SELECT f[3][2:-2] AS symbol, TRY_CAST(f[4] AS BIGINT) AS id, TRY_CAST(f[5][2:-2] AS DECIMAL(19, 8)) AS price,
           TRY_CAST(f[6][2:-2] AS DECIMAL(19, 8)) AS quantity, TRY_CAST(f[7] AS BIGINT) AS time
    FROM fields
    WHERE f[1] = '"trade"' AND regexp_full_match(f[2], '-?\\d+') AND f[3] LIKE '"_%"' AND length(f[3]) <= 34
      AND regexp_full_match(f[4], '\\d+') AND regexp_full_match(f[5], '"\\d+(\\.\\d{1,8})?"')
      AND regexp_full_match(f[6], '"\\d+(\\.\\d{1,8})?"') AND regexp_full_match(f[7], '\\d+') AND f[8] IN ('true', 'false')
  ), once AS (
    SELECT symbol, id, time - time % 60000 AS window_start, any_value(price) AS price, any_value(quantity) AS quantity
    FROM good
    WHERE price > 0 AND quantity > 0 AND time BETWEEN $earliest AND $latest AND id <= 9007199254740991
    GROUP BY ALL
  )
  SELECT strftime(make_timestamp(window_start * 1000), '%Y-%m-%dT%H:%M:%S.%gZ') AS window_start, symbol,
         count(*) AS trade_count, sum(quantity)::VARCHAR AS volume, sum(price * quantity)::VARCHAR AS quote_volume,
         max(price)::VARCHAR AS high, min(price)::VARCHAR AS low
  FROM once GROUP BY ALL ORDER BY window_start, symbol
) TO '{rows}' (FORMAT json)
"""

source, rows = sys.argv[1:3]
latest = int(time.time() * 1000) + DAY_MS
duckdb.execute(QUERY.replace("{rows}", rows.replace("'", "''")), {"input": source, "earliest": EARLIEST, "latest": latest})
report_usage()
