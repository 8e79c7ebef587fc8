// Servers that somebody names, to be used instead of our own: what is wrong with them is told before anything is started.
import { parseAddress } from "../../io/address";
import { withClient } from "../../io/kafka/client";
import { explain } from "../../io/kafka/failures";
import { placeOf } from "../../io/kafka/place";
import { withAdmin } from "../../io/kafka/producer";
import { connect } from "../../io/postgres/pool";
import { settingsOf } from "../../io/postgres/settings";
import { UsageError } from "../../schema/errors";

/** Of a topic that is made for a system; one that is there already stays as it is. */
const PARTITIONS = 4;

/** `kafka://host:port` or `host:port`, several with commas between, as host:port with commas between. */
export function brokersOf(text: string): string {
  const [, brokers = ""] = /^(?:kafka:\/\/)?([^/]*)\/?$/.exec(text) ?? [];
  if (brokers === "")
    // Not shown: a password may stand in it.
    throw new UsageError("--kafka needs a broker without a topic: write it like kafka://localhost:9092");
  return placeOf(parseAddress(`kafka://${brokers}/any`)).brokers.join(",");
}

/** Makes the topics that are not there. */
export async function ensureTopics(brokers: string, topics: readonly string[]): Promise<void> {
  const list = brokers.split(",");
  const known = await withClient({ brokers: list, topic: "" }, (client) => client.topicNames());
  const missing = topics.filter((topic) => !known.includes(topic));
  if (missing.length === 0) return;
  try {
    await withAdmin(list, (admin) =>
      admin.createTopics({
        topics: missing.map((topic) => ({ topic, numPartitions: PARTITIONS })),
        waitForLeaders: true,
      }),
    );
  } catch (error) {
    throw explain(error, `Making the topic ${missing.join(", ")} at ${brokers}`);
  }
}

/** Whether the database lets us in. */
export async function checkPostgres(uri: string): Promise<void> {
  if (!/^postgres:/.test(uri))
    throw new UsageError("--postgres needs a database: write it like postgres://user@host:5432/database");
  (await connect(settingsOf(parseAddress(uri), "sink"))).release();
}
