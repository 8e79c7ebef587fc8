import fc from "fast-check";
import { type SourceRecord } from "../../schema/record";
import { packRecord, unpackRecord } from "./packed-record";

const raw = fc.oneof(fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 20 }));
const texts = fc.option(fc.dictionary(fc.string(), fc.string({ unit: "binary" }), { noNullPrototype: true }));

test("a record comes back as it was: texts as texts, bytes as bytes", () => {
  fc.assert(
    fc.property(
      fc.record(
        {
          value: raw,
          source: fc.string(),
          position: fc.nat(),
          key: fc.option(raw),
          timestamp: fc.option(fc.integer()),
          headers: texts,
          fields: texts,
        },
        { noNullPrototype: true },
      ),
      (record: SourceRecord) => expect(unpackRecord(packRecord(record))).toStrictEqual(record),
    ),
  );
});

test("bytes that would be text stay bytes, and which try it is stays too", () => {
  const record: SourceRecord = {
    value: new Uint8Array([0x61]),
    source: "s",
    position: 1,
    key: "a",
    timestamp: null,
    headers: null,
    fields: null,
    attempt: 2,
  };
  expect(unpackRecord(packRecord(record))).toStrictEqual(record);
});
