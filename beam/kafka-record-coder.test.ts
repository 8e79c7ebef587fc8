import { Reader, Writer } from "protobufjs";
import { KafkaRecordCoder } from "./kafka-record-coder";

type Bytes = Uint8Array | string | null;

/** As Java writes bytes that may be missing. */
function nullable(writer: Writer, bytes: Bytes): Writer {
  // A single byte, whether something follows.
  writer.uint32(bytes === null ? 0 : 1);
  return bytes === null ? writer : writer.bytes(Buffer.from(bytes as string));
}

function encoded({
  headers = [],
  key = null,
  value,
  timestamp = 1_767_605_400_000,
}: {
  headers?: [string, Bytes][];
  key?: Bytes;
  value: Bytes;
  timestamp?: number;
}): Uint8Array {
  const writer = new Writer().string("trades").int32(3).int64(9_007_199_254_740_000).int64(timestamp).int32(0);
  const count = Buffer.alloc(4);
  count.writeInt32BE(headers.length);
  for (const byte of count) writer.uint32(byte);
  for (const [name, text] of headers) nullable(writer.string(name), text);
  return nullable(nullable(writer, key), value).finish();
}

const decoded = (record: Parameters<typeof encoded>[0]) => new KafkaRecordCoder().decode(new Reader(encoded(record)));

test("a record is what every source gives", () => {
  expect(
    decoded({
      key: "BTC",
      value: '{"p":"ü"}',
      headers: [
        ["of", "one"],
        ["of", "two"],
      ],
    }),
  ).toEqual({
    value: '{"p":"ü"}',
    source: "trades/3",
    position: 9_007_199_254_740_000,
    key: "BTC",
    timestamp: 1_767_605_400_000,
    headers: { of: "two" },
    fields: null,
  });
});

test("bytes that are no text stay bytes, of their own", () => {
  const bytes = encoded({
    value: Uint8Array.of(0xff, 0x00),
    headers: [
      ["raw", Uint8Array.of(0xff)],
      ["none", null],
    ],
  });
  const { value, headers } = new KafkaRecordCoder().decode(new Reader(bytes));
  expect(value).toEqual(Uint8Array.of(0xff, 0x00));
  expect((value as Uint8Array).buffer).not.toBe(bytes.buffer);
  expect(headers).toEqual({ raw: "base64:/w==", none: "" });
});

test("a record without a value says that its key is gone; one without a time has none", () => {
  expect(decoded({ key: "BTC", value: null, timestamp: -1 })).toMatchObject({
    value: "",
    timestamp: null,
    headers: { tombstone: "true" },
  });
  expect(decoded({ value: "" })).toMatchObject({ value: "", key: null, headers: null });
});

test("a header may be called __proto__", () => {
  const { headers } = decoded({ value: "x", headers: [["__proto__", "here"]] });
  expect(Object.keys(headers ?? {})).toEqual(["__proto__"]);
});

test("nobody writes them", () => {
  expect(() => new KafkaRecordCoder().encode()).toThrow("are written by no one");
});
