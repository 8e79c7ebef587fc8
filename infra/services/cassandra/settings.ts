// The node's settings: alone in its ring, on this machine only, small.
import path from "node:path";
import { HOST } from "../server-kind";

export interface CassandraPlace {
  readonly data: string;
  readonly port: number;
  /** Where other nodes would reach it. It has to stay the same, since the node knows itself by it. */
  readonly storagePort: number;
}

/** The text of cassandra.yaml. JSON is YAML too. */
export function cassandraSettings({ data, port, storagePort }: CassandraPlace): string {
  const settings = {
    cluster_name: "beamline",
    num_tokens: 1,
    initial_token: "0",
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    endpoint_snitch: "SimpleSnitch",
    seed_provider: [
      {
        class_name: "org.apache.cassandra.locator.SimpleSeedProvider",
        parameters: [{ seeds: `${HOST}:${storagePort}` }],
      },
    ],
    listen_address: HOST,
    storage_port: storagePort,
    rpc_address: HOST,
    native_transport_port: port,
    // What was answered is on the disk: the usual setting loses the last moments before a kill.
    commitlog_sync: "batch",
    auto_bootstrap: false,
    hinted_handoff_enabled: false,
    // Dropping and truncating tables, as tests do all day, would keep a copy of each.
    auto_snapshot: false,
    memtable_heap_space: "128MiB",
    memtable_offheap_space: "64MiB",
    file_cache_size: "32MiB",
    commitlog_segment_size: "16MiB",
    data_file_directories: [path.join(data, "data")],
    commitlog_directory: path.join(data, "commitlog"),
    saved_caches_directory: path.join(data, "saved_caches"),
    hints_directory: path.join(data, "hints"),
    cdc_raw_directory: path.join(data, "cdc"),
  };
  return `${JSON.stringify(settings, null, 2)}\n`;
}
