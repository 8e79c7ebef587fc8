// The broker's settings: one node that is broker and controller, on this machine only, keeping what it is given.
import { HOST } from "../server-kind";
import { type ProxiedListener } from "./proxied-listener";

export interface KafkaPlace {
  readonly data: string;
  readonly port: number;
  readonly controllerPort: number;
  /** One more way to it, for tests. */
  readonly proxied?: ProxiedListener | null;
}

/** The text of server.properties. */
export function kafkaSettings({ data, port, controllerPort, proxied = null }: KafkaPlace): string {
  const listeners = [
    { name: "PLAINTEXT", port, advertised: port },
    ...(proxied === null ? [] : [{ name: "PROXIED", ...proxied }]),
  ];
  const settings = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@${HOST}:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    listeners: [...listeners, { name: "CONTROLLER", port: controllerPort }]
      .map(({ name, port }) => `${name}://${HOST}:${port}`)
      .join(","),
    "advertised.listeners": listeners.map(({ name, advertised }) => `${name}://${HOST}:${advertised}`).join(","),
    "listener.security.protocol.map": [...listeners, { name: "CONTROLLER" }]
      .map(({ name }) => `${name}:PLAINTEXT`)
      .join(","),
    "log.dirs": data,
    "num.partitions": 4,
    // A topic that nobody created is a mistake in a name, and should be seen.
    "auto.create.topics.enable": false,
    // Tests and samples write events of years ago, which any retention would delete at once.
    "log.retention.ms": -1,
    // Topics of the broker's own are made for three nodes; here there is one.
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    // Nobody waits for a second member of a group.
    "group.initial.rebalance.delay.ms": 0,
    // The usual 128 MB would be a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    // After a crash, the broker comes back only when its old session has run out, usually 9 s.
    "broker.session.timeout.ms": 6000,
    "broker.heartbeat.interval.ms": 1000,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
    .join("");
}

/** Java reads a backslash as an escape, and the file as Latin-1 in some versions: what is not plain is escaped. */
function escaped(value: string): string {
  return value
    .replaceAll("\\", "\\\\")
    .replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
