import { parseAddress } from "../address";
import { kafka } from "./kafka";
import { placeOf, sameText } from "./place";

const place = (uri: string) => placeOf(parseAddress(uri));

it("takes an address apart", () => {
  expect(place("kafka://one:9093,two/trades.v1")).toEqual({ brokers: ["one:9093", "two:9092"], topic: "trades.v1" });
  expect(sameText(place("kafka://b,a:1/t"))).toBe(sameText(place("kafka://a:1,b:9092/t")));
});

it.each([
  ["kafka:trades", "is not a Kafka address"],
  ["kafka:///trades", "names no broker"],
  ["kafka://host:9092", "names no topic"],
  ["kafka://host:9092/", "names no topic"],
  ["kafka://host:9092/a/b", "is no name for a Kafka topic"],
  ["kafka://host:99999/a", "“host:99999” is not a Kafka broker"],
  ["kafka://host:x/a", "“host:x” is not a Kafka broker"],
])("%s is refused", (uri, message) => {
  expect(() => place(uri)).toThrow(message);
});

it("refuses a password in an address, and does not repeat it", () => {
  expect(() => place("kafka://ann:s3cret@host/topic")).toThrow(/^(?!.*s3cret).*KAFKA_SASL_PASSWORD_FILE/);
});

it("answers unknown options with the nearest one, before it connects", async () => {
  const batch = { job: "j", pipeline: "p", id: "b", plan: "p1", ranges: [], replays: [], turn: null };
  const source = kafka.source?.plan(parseAddress("kafka://host/t?create=true"), { since: null, until: null });
  await expect(source).rejects.toThrow(
    "“kafka://host/t” has the option “create”, which there is not when a topic is read",
  );
  const sink = kafka.sink?.open(parseAddress("kafka://host/t?partition=3"), [], batch);
  await expect(sink).rejects.toThrow("did you mean “partitions”?");
});
