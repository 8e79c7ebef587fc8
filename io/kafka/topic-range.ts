// A stretch of one partition, written as a range and read back from it.
import { type Range } from "../../schema/record";
import { type KafkaPlace } from "./place";

/** What may stand behind the question mark of a topic that is read. */
export const SOURCE_OPTIONS: readonly string[] = [];

/** What a range of this connector means. */
export interface TopicRange extends KafkaPlace {
  readonly partition: number;
}

export function rangeOf({ brokers, topic }: KafkaPlace, partition: number, from: number, to: number): Range {
  return {
    connector: "kafka",
    source: `${topic}/${partition}`,
    from,
    to,
    detail: { brokers: brokers.join(","), topic, partition },
  };
}

export function topicRangeOf({ detail }: Range): TopicRange {
  return {
    brokers: String(detail["brokers"]).split(","),
    topic: String(detail["topic"]),
    partition: Number(detail["partition"]),
  };
}
