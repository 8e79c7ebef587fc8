import { chmodSync, chownSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Client } from "pg";
import { freePort } from "../../infra/services/ports";
import { restartService, startServices, stopServices } from "../../infra/services/services";
import { closePools } from "../../io/postgres/pool";
import { startFaultProxy, type FaultProxy } from "../fault-proxy";
import { endLittleRooms, littleRoom } from "./little-room";
import { conforms } from "./suite";

const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
chmodSync(directory, 0o755);
let proxy: FaultProxy | undefined;

conforms({
  sink: "postgres",
  against: "PostgreSQL",
  records: true,
  async stop() {
    await closePools();
    await proxy?.close();
    await stopServices(["postgres"], { directory, data: true });
    await endLittleRooms();
    rmSync(directory, { recursive: true, force: true });
  },
  async start() {
    const { postgres } = await startServices(["postgres"], { directory, ports: { postgres: await freePort() } });
    const { port } = postgres;
    const between = await startFaultProxy({ port });
    proxy = between;
    const uri = (schema: string, at = port, rest = "") =>
      `postgres://beamline@127.0.0.1:${at}/beamline_test?schema=${schema}${rest}`;
    const query = async (text: string, database = "beamline_test"): Promise<Record<string, unknown>[]> => {
      const client = new Client({ connectionString: `postgres://beamline@127.0.0.1:${port}/${database}` });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(text)).rows;
      } finally {
        await client.end();
      }
    };
    await query("CREATE DATABASE beamline_test", "beamline");
    const databaseOf = (address: string) => new URL(address).pathname.slice(1);
    const schemaOf = (address: string) => new URL(address).searchParams.get("schema") ?? "";
    return {
      async address(name) {
        await query(`CREATE SCHEMA ${name}`);
        return uri(name);
      },
      async rows(address, table) {
        const schema = schemaOf(address);
        const isThere = await query(
          `SELECT 1 FROM information_schema.tables WHERE table_schema = '${schema}' AND table_name = '${table.name}'`,
          databaseOf(address),
        );
        if (isThere.length === 0) return [];
        const columns = table.columns.map(({ name, type }) => {
          const column = `"${name}"`;
          if (type.kind === "integer") return `${column}::text`;
          if (type.kind === "decimal") return `trim_scale(${column})::text AS ${column}`;
          if (type.kind === "date") return `to_char(${column}, 'YYYY-MM-DD') AS ${column}`;
          if (type.kind === "bytes") return `encode(${column}, 'hex') AS ${column}`;
          if (type.kind === "timestamp")
            return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ${column}`;
          return column;
        });
        return await query(`SELECT ${columns.join(", ")} FROM "${schema}"."${table.name}"`, databaseOf(address));
      },
      server: {
        proxy: between,
        through: (address) => uri(schemaOf(address), between.port),
        async restart() {
          await restartService("postgres", { directory });
        },
      },
      wrong: [
        { what: "server", address: async () => uri("public", 1), says: /refused|does not answer|cannot be reached/ },
        {
          what: "credentials",
          address: async () => `postgres://nobody_of_that_name@127.0.0.1:${port}/beamline_test`,
          says: /nobody_of_that_name/,
        },
        {
          what: "database",
          address: async () => `postgres://beamline@127.0.0.1:${port}/no_such_database`,
          says: /no_such_database/,
        },
        {
          what: "schema",
          async address(name) {
            await query(`CREATE SCHEMA ${name}; CREATE TABLE ${name}.events (id int PRIMARY KEY, other text)`);
            return uri(name);
          },
          says: /events/,
        },
      ],
      refuses: null,
      // Tables that are made in a database lie where it says, apart from the log and all else of the server's.
      async full() {
        const room = await littleRoom();
        const { uid, gid } = statSync(path.join(directory, "postgres", "data"));
        chownSync(room.directory, uid, gid);
        await query(`CREATE TABLESPACE little LOCATION '${room.directory}'`);
        await query("CREATE DATABASE full_test");
        await query("ALTER DATABASE full_test SET default_tablespace = little");
        const address = `postgres://beamline@127.0.0.1:${port}/full_test?schema=public`;
        return { address, says: /disk is full/, free: room.free };
      },
    };
  },
});
