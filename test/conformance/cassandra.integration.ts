// Cassandra asks for no credentials here; that wrong ones are told is tried in io/cassandra/failures.test.ts.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Client, type types } from "cassandra-driver";
import { z } from "zod";
import { freePort } from "../../infra/services/ports";
import { restartService, startServices, stopServices } from "../../infra/services/services";
import { clientOf, endClient } from "../../io/cassandra/driver";
import { tableOf, type Column, type Table } from "../../schema/table";
import { startFaultProxy, type FaultProxy } from "../fault-proxy";
import { withoutZeros, type Normal } from "./rows";
import { conforms, type Place } from "./suite";

const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
let proxy: FaultProxy | undefined;
let client: Client | undefined;

const counted = {
  name: "counted",
  table: tableOf("counted", z.object({ id: z.string(), count: z.int() }), { key: ["id"] }),
};

conforms({
  sink: "cassandra",
  against: "Apache Cassandra 5",
  records: true,
  without: {
    full: "its data would have to lie on a disk of its own; what it says then is tried in io/cassandra/failures.test.ts",
  },
  async stop() {
    if (client !== undefined) await endClient(client);
    await proxy?.close();
    await stopServices(["cassandra"], { directory, data: true });
    rmSync(directory, { recursive: true, force: true });
  },
  async start(): Promise<Place> {
    const started = await startServices(["cassandra"], { directory, ports: { cassandra: await freePort(2) } });
    const { port } = started.cassandra;
    const between = await startFaultProxy({ port });
    proxy = between;
    const connect = async (): Promise<Client> => {
      if (client !== undefined) await endClient(client);
      client = clientOf({ contactPoints: [`127.0.0.1:${port}`], localDataCenter: "datacenter1" });
      await client.connect();
      return client;
    };
    let own = await connect();
    const uri = (keyspace: string, at = port) => `cassandra://127.0.0.1:${at}/${keyspace}?give-up=30s`;
    const keyspaceOf = (address: string) => new URL(address).pathname.slice(1);
    return {
      address: async (name) => uri(`test_${name}`),
      async rows(address, table) {
        const keyspace = keyspaceOf(address);
        const found = await own.execute(
          "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?",
          [keyspace, table.name],
        );
        if (found.rowLength === 0) return [];
        const rows: Normal[] = [];
        const query = `SELECT * FROM ${keyspace}."${table.name}"`;
        for await (const row of own.stream(query, [], {
          fetchSize: 2_000,
          autoPage: true,
        }) as unknown as AsyncIterable<types.Row>)
          rows.push(normalOfCells(table, row));
        return rows;
      },
      server: {
        proxy: between,
        through: (address) => uri(keyspaceOf(address), between.port),
        async restart() {
          await restartService("cassandra", { directory });
          own = await connect();
        },
      },
      wrong: [
        {
          what: "server",
          address: async () => "cassandra://127.0.0.1:1/anything?give-up=500ms",
          says: /cannot be reached|nothing listens|does not answer/,
        },
        { what: "datacenter", address: async () => `${uri("anything")}&datacenter=nowhere`, says: /nowhere/ },
        {
          what: "schema",
          async address(name) {
            await own.execute(
              `CREATE KEYSPACE ${name} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
            );
            await own.execute(`CREATE TABLE ${name}.events (id bigint PRIMARY KEY, other text)`);
            return uri(name);
          },
          says: /events/,
        },
      ],
      refuses: { output: counted, row: { id: "far", count: 2n ** 63n }, reason: "unfit-value" },
    };
  },
});

const normalOfCells = (table: Table, row: types.Row): Normal =>
  Object.fromEntries(table.columns.map((column) => [column.name, normal(column, row[column.name] ?? null)]));

function normal({ type }: Column, value: unknown): unknown {
  if (value === null) return null;
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return value.toString("hex");
  if (type.kind === "json") return JSON.parse(value as string) as unknown;
  if (type.kind === "decimal") return withoutZeros((value as { toString(): string }).toString());
  // Whole numbers of 64 bits and days are objects of the driver's.
  return typeof value === "object" ? (value as { toString(): string }).toString() : value;
}
