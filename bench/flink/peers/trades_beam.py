"""Beam's Python SDK on a Flink cluster: ranges of a Kafka topic, candles per symbol and minute, upserted into PostgreSQL.

The checks, the duplicates and the exact sums are those of bench/hand-loop.ts. It writes no dead letters.

Usage: trades_beam.py --kafka HOST:PORT --topic TOPIC --postgres URL --unique yes|no, and options of Beam's
"""

import argparse
import re
import time
from datetime import datetime, timezone

import apache_beam as beam
import orjson
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import FixedWindows, TimestampedValue

# As beamline cuts them.
RANGE_OFFSETS = 250_000
DAY_MS = 86_400_000
EARLIEST = 1_262_304_000_000  # 2010-01-01
PLAIN_DECIMAL = re.compile(r"\d+(?:\.\d{1,8})?", re.ASCII)
ROWS_TOGETHER = 1_000
UPSERT = """insert into trades_1min_agg values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (symbol, window_start) do update set (window_end, trade_count, volume, quote_volume, open, high, low, close,
avg_price, vwap) = (excluded.window_end, excluded.trade_count, excluded.volume, excluded.quote_volume, excluded.open,
excluded.high, excluded.low, excluded.close, excluded.avg_price, excluded.vwap)"""


def plan_ranges(kafka, topic):
    """What lies in the topic now: (partition, from, to)."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-plan"})
    ranges = []
    for partition in consumer.list_topics(topic, timeout=30).topics[topic].partitions:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        ranges += [(partition, at, min(end, at + RANGE_OFFSETS)) for at in range(first, end, RANGE_OFFSETS)]
    consumer.close()
    return ranges


class ReadRange(beam.DoFn):
    def __init__(self, kafka, topic):
        self.kafka, self.topic = kafka, topic

    def process(self, planned):
        from confluent_kafka import Consumer, TopicPartition

        partition, start, end = planned
        settings = {"bootstrap.servers": self.kafka, "group.id": "bench-read", "enable.auto.commit": False}
        consumer = Consumer(settings)
        consumer.assign([TopicPartition(self.topic, partition, start)])
        at = start
        while at < end:
            # It waits for all of them, also where the partition ends before: so not for long.
            for message in consumer.consume(10_000, timeout=0.2):
                if message.error() is not None:
                    raise RuntimeError(str(message.error()))
                at = message.offset() + 1
                if at <= end:
                    yield message.value()
        consumer.close()


def to_units(text):
    """In units of 10^-8, or None: Python's integers are exact at any size, and faster than its Decimal."""
    if type(text) is not str or PLAIN_DECIMAL.fullmatch(text) is None:
        return None
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0")) or None


class Parse(beam.DoFn):
    """(symbol, (id, time, price, its text, quantity)) of each good record, at its event time."""

    def __init__(self, latest):
        self.latest = latest

    def process(self, value):
        try:
            event = orjson.loads(value)
        except ValueError:
            return
        if type(event) is not dict or event.get("e") != "trade" or type(event.get("E")) is not int:
            return
        symbol, trade_id, at = event.get("s"), event.get("t"), event.get("T")
        text = event.get("p")
        price, quantity = to_units(text), to_units(event.get("q"))
        if type(symbol) is not str or not 0 < len(symbol) <= 32 or type(event.get("m")) is not bool:
            return
        if type(trade_id) is not int or not 0 <= trade_id < 2**53 or type(at) is not int:
            return
        if EARLIEST <= at <= self.latest and price is not None and quantity is not None:
            yield TimestampedValue((symbol, (trade_id, at, price, text, quantity)), at / 1000)


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
    """count, volume, quote volume, sum of prices, high, low, and the edges: (time, what breaks a tie, price)."""

    def __init__(self, unique):
        self.unique = unique

    def create_accumulator(self):
        return None

    def add_input(self, candle, trade):
        trade_id, at, price, text, quantity = trade
        edge = (at, trade_id if self.unique else text, price)
        if candle is None:
            return [1, quantity, price * quantity, price, price, price, edge, edge]
        candle[0] += 1
        candle[1] += quantity
        candle[2] += price * quantity
        candle[3] += price
        if price > candle[4]:
            candle[4] = price
        if price < candle[5]:
            candle[5] = price
        if edge < candle[6]:
            candle[6] = edge
        if edge > candle[7]:
            candle[7] = edge
        return candle

    def merge_accumulators(self, candles):
        merged = None
        for other in candles:
            if other is None:
                continue
            if merged is None:
                merged = list(other)
                continue
            merged[:4] = [a + b for a, b in zip(merged[:4], other[:4])]
            merged[4], merged[5] = max(merged[4], other[4]), min(merged[5], other[5])
            merged[6], merged[7] = min(merged[6], other[6]), max(merged[7], other[7])
        return merged

    def extract_output(self, candle):
        return candle


def by_id(keyed):
    symbol, trade = keyed
    return (symbol, trade[0]), trade


def by_symbol(keyed):
    (symbol, _), trade = keyed
    return symbol, trade


def decimal_text(units, scale):
    digits = str(units).rjust(scale + 1, "0")
    return f"{digits[:-scale]}.{digits[-scale:]}"


def divide_half_even(dividend, divisor):
    quotient, rest = divmod(dividend, divisor)
    return quotient + (1 if 2 * rest > divisor or (2 * rest == divisor and quotient % 2 == 1) else 0)


class Upsert(beam.DoFn):
    def __init__(self, postgres):
        self.postgres = postgres

    def setup(self):
        import psycopg

        self.connection = psycopg.connect(self.postgres)

    def start_bundle(self):
        self.rows = []

    def process(self, keyed, window=beam.DoFn.WindowParam):
        symbol, (count, volume, quote_volume, prices, high, low, first, last) = keyed
        start, end = (
            datetime.fromtimestamp(edge.micros // 1_000_000, timezone.utc) for edge in (window.start, window.end)
        )
        units = [volume, first[2], high, low, last[2], divide_half_even(prices, count), divide_half_even(quote_volume, volume)]
        volume, *others = [decimal_text(unit, 8) for unit in units]
        self.rows.append((start, end, symbol, count, volume, decimal_text(quote_volume, 16), *others))
        if len(self.rows) >= ROWS_TOGETHER:
            self.flush()

    def flush(self):
        with self.connection.cursor() as cursor:
            cursor.executemany(UPSERT, self.rows)
        self.connection.commit()
        self.rows = []

    def finish_bundle(self):
        if self.rows:
            self.flush()

    def teardown(self):
        self.connection.close()


def main():
    parser = argparse.ArgumentParser()
    for name in ("kafka", "topic", "postgres", "unique"):
        parser.add_argument(f"--{name}", required=True)
    asked, of_beam = parser.parse_known_args()
    unique = asked.unique == "yes"
    latest = int(time.time() * 1000) + DAY_MS
    with beam.Pipeline(options=PipelineOptions(of_beam)) as pipeline:
        trades = (
            pipeline
            | beam.Create(plan_ranges(asked.kafka, asked.topic))
            | beam.Reshuffle()
            | "read" >> beam.ParDo(ReadRange(asked.kafka, asked.topic))
            | "parse" >> beam.ParDo(Parse(latest))
            | beam.WindowInto(FixedWindows(60))
        )
        if unique:
            trades = (
                trades
                | beam.Map(by_id)
                | "once per id" >> beam.CombinePerKey(AnyOf())
                | beam.Map(by_symbol)
            )
        trades | "candles" >> beam.CombinePerKey(Candle(unique)) | "write" >> beam.ParDo(Upsert(asked.postgres))
