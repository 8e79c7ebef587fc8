"""Beam's Python SDK on its in-process runner: the checks, the duplicates and the exact sums of bench/hand-loop.ts.

Usage: trades-beam.py INPUT ROWS
"""

import json
import re
import sys
import time

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from usage import report_usage

DAY_MS = 86_400_000
EARLIEST = 1_262_304_000_000  # 2010-01-01
PLAIN_DECIMAL = re.compile(r"\d+(?:\.\d{1,8})?", re.ASCII)


def to_units(text):
    """In units of 10^-8, or None: Python's integers are exact at any size, and faster than its Decimal."""
    if type(text) is not str or PLAIN_DECIMAL.fullmatch(text) is None:
        return None
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0")) or None


def parse(line, latest):
    try:
        event = json.loads(line)
    except ValueError:
        return
    if type(event) is not dict or event.get("e") != "trade" or type(event.get("E")) is not int:
        return
    symbol, trade_id, at = event.get("s"), event.get("t"), event.get("T")
    price, quantity = to_units(event.get("p")), to_units(event.get("q"))
    if type(symbol) is not str or not 0 < len(symbol) <= 32 or type(event.get("m")) is not bool:
        return
    if type(trade_id) is not int or not 0 <= trade_id < 2**53 or type(at) is not int or not EARLIEST <= at <= latest:
        return
    if price is not None and quantity is not None:
        yield TimestampedValue(((symbol, trade_id), (price, quantity)), at / 1000)


class AnyOf(beam.CombineFn):
    def create_accumulator(self):
        return None

    def add_input(self, kept, value):
        return value if kept is None else kept

    def merge_accumulators(self, kept):
        return next((value for value in kept if value is not None), None)

    def extract_output(self, kept):
        return kept


class Candle(beam.CombineFn):
    def create_accumulator(self):
        return (0, 0, 0, None, None)

    def add_input(self, candle, trade):
        price, quantity = trade
        return self.merge_accumulators([candle, (1, quantity, price * quantity, price, price)])

    def merge_accumulators(self, candles):
        count, volume, quote_volume, high, low = 0, 0, 0, None, None
        for other in candles:
            if other[0] == 0:
                continue
            count, volume, quote_volume = count + other[0], volume + other[1], quote_volume + other[2]
            high = other[3] if high is None or other[3] > high else high
            low = other[4] if low is None or other[4] < low else low
        return (count, volume, quote_volume, high, low)

    def extract_output(self, candle):
        return candle


def decimal_text(units, scale):
    digits = str(units).rjust(scale + 1, "0")
    return f"{digits[:-scale]}.{digits[-scale:]}"


def to_row(keyed, window=beam.DoFn.WindowParam):
    symbol, (count, volume, quote_volume, high, low) = keyed
    return json.dumps(
        {
            "window_start": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(window.start.micros // 1_000_000)),
            "symbol": symbol,
            "trade_count": count,
            "volume": decimal_text(volume, 8),
            "quote_volume": decimal_text(quote_volume, 16),
            "high": decimal_text(high, 8),
            "low": decimal_text(low, 8),
        }
    )


def main(source, rows):
    latest = int(time.time() * 1000) + DAY_MS
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    with beam.Pipeline(options=PipelineOptions([f"--runner={runner}"])) as pipeline:
        (
            pipeline
            | beam.io.ReadFromText(source)
            | beam.FlatMap(parse, latest)
            | beam.WindowInto(FixedWindows(60))
            | "once per id" >> beam.CombinePerKey(AnyOf())
            | beam.MapTuple(lambda key, trade: (key[0], trade))
            | "candles" >> beam.CombinePerKey(Candle())
            | beam.Map(to_row)
            | beam.io.WriteToText(rows, num_shards=1, shard_name_template="")
        )
    report_usage()


main(*sys.argv[1:3])
