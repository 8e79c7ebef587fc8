// A stretch of one partition, written as a range and read back from it.
import { type Range } from "../../schema/record";
import { type Address } from "../connector";
import { readOptions } from "./options";
import { checkOptions, placeOf, type KafkaPlace } from "./place";
import { registryUrl } from "./schema-registry";

/** A topic that is read. */
export interface ReadPlace extends KafkaPlace {
  /** The schema registry that its messages need; null when they are plain. */
  readonly registry: string | null;
}

/** What a range of this connector means. */
export interface TopicRange extends ReadPlace {
  readonly partition: number;
}

export function readPlaceOf(address: Address): ReadPlace {
  checkOptions(address, readOptions, "read from");
  const { registry } = address.options;
  return { ...placeOf(address), registry: registry === undefined ? null : registryUrl(registry) };
}

export function rangeOf(place: ReadPlace, partition: number, from: number, to: number): Range {
  const { brokers, topic, registry } = place;
  return {
    connector: "kafka",
    source: `${topic}/${partition}`,
    from,
    to,
    detail: { brokers: brokers.join(","), topic, partition, ...(registry === null ? {} : { registry }) },
  };
}

export function topicRangeOf({ detail }: Range): TopicRange {
  return {
    brokers: String(detail["brokers"]).split(","),
    topic: String(detail["topic"]),
    partition: Number(detail["partition"]),
    registry: typeof detail["registry"] === "string" ? detail["registry"] : null,
  };
}
