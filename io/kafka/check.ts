// What `doctor` finds out of a topic, and of the registry of its schemas.
import { EVERYTHING, type Address, type Finding, type Output } from "../connector";
import { fine, findingsOf, missing } from "../findings";
import { MissingTopicError, withClient } from "./client";
import { explain } from "./failures";
import { checkSchema, formatOf } from "./message-format";
import { writeOptions } from "./options";
import { patiently } from "./patience";
import { checkOptions, placeOf } from "./place";
import { creationOf, notThere } from "./sink";
import { planTopic } from "./source";

/** A person waits. */
const PATIENCE_MS = 5_000;

export const checkSource = (address: Address): Promise<readonly Finding[]> =>
  findingsOf(async () => {
    const ranges = await planTopic(address, EVERYTHING);
    const { brokers, topic } = placeOf(address);
    const records = ranges.reduce((sum, { from, to }) => sum + (to ?? from) - from, 0);
    return [fine(`The topic ${topic} at ${brokers.join(",")} can be read: about ${records} records`)];
  });

export const checkSink = (address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> =>
  findingsOf(async () => {
    checkOptions(address, writeOptions, "written to");
    const place = placeOf(address);
    const creation = creationOf(address);
    const choice = formatOf(address);
    const shown = `The topic ${place.topic} at ${place.brokers.join(",")}`;
    const found: Finding[] = [];
    try {
      const look = () => withClient(place, (client) => client.partitions(place.topic));
      const partitions = await patiently(look, { limitMs: PATIENCE_MS });
      found.push(fine(`${shown} is there, with ${partitions.length} partitions`));
    } catch (error) {
      if (!(error instanceof MissingTopicError)) throw explain(error, shown);
      if (creation === null) throw notThere(error);
      found.push(missing(`${shown} is not there yet: the first run makes it`));
    }
    for (const { table } of outputs) {
      const schema = await checkSchema(choice, place.topic, table);
      if (schema === "new")
        found.push(missing(`The registry has no schema for ${place.topic} yet: the first run adds it`));
      if (schema === "fits") found.push(fine(`The schema of ${place.topic} fits the one in the registry`));
    }
    return found;
  });
