// `kafka://h1:9092,h2:9092/topic?option=value` taken apart.
import { UsageError } from "../../schema/errors";
import { suggestion } from "../address";
import { type AddressOption } from "../address-options";
import { type Address } from "../connector";

const DEFAULT_PORT = 9092;

/** A topic, and by which brokers it is found. */
export interface KafkaPlace {
  /** host:port, in the order they were written. */
  readonly brokers: readonly string[];
  readonly topic: string;
}

export function placeOf(address: Address): KafkaPlace {
  const form = "it has the form kafka://host:port,host:port/topic";
  // Not shown: what stands before an @ is most likely a password.
  if (address.path.includes("@"))
    throw new UsageError(
      `A kafka: address has an “@” in it, but a user and password never stand in an address: set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD_FILE`,
    );
  const match = /^\/\/([^/]*)\/?(.*)$/.exec(address.path);
  if (match === null) throw new UsageError(`“kafka:${address.path}” is not a Kafka address: ${form}`);
  const [, authority = "", topic = ""] = match;
  const brokers = authority.split(",").filter((broker) => broker !== "");
  if (brokers.length === 0) throw new UsageError(`“kafka:${address.path}” names no broker: ${form}`);
  if (topic === "") throw new UsageError(`“kafka:${address.path}” names no topic: ${form}`);
  if (!/^[\w.-]{1,249}$/.test(topic) || topic === "." || topic === "..")
    throw new UsageError(
      `“${topic}” is no name for a Kafka topic: those are made of letters, digits, “.”, “_” and “-”, at most 249`,
    );
  return { brokers: brokers.map(brokerOf), topic };
}

function brokerOf(text: string): string {
  const match = /^([^\s:[\]]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? DEFAULT_PORT);
  if (match === null || port < 1 || port > 65_535)
    throw new UsageError(`“${text}” is not a Kafka broker: write host:port, such as localhost:9092`);
  return `${match[1]}:${port}`;
}

/** One text for the topic, however the brokers are ordered. */
export function sameText({ brokers, topic }: KafkaPlace): string {
  return `//${[...brokers].sort().join(",")}/${topic}`;
}

/** Refuses options that are not known. */
export function checkOptions(
  address: Address,
  options: readonly AddressOption[],
  use: "read from" | "written to",
): void {
  const known = options.map(({ name }) => name);
  for (const name of Object.keys(address.options)) {
    if (!known.includes(name))
      throw new UsageError(
        `“kafka:${address.path}” has the option “${name}”, which there is not when a topic is ${use}: ${suggestion(name, known)}`,
      );
  }
}
