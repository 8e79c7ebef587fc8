// Both ways into BigQuery, against its emulator. What real BigQuery does and the emulator does not, such as giving a job's
// name once, is tried against a double in io/bigquery/target.test.ts.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { freePort } from "../../infra/services/ports";
import { restartService, startServices, stopServices } from "../../infra/services/services";
import { plainDecimal } from "../../io/bigquery/row-json";
import { decimal, tableOf, type Table } from "../../schema/table";
import { BigQueryTestClient } from "../bigquery-client";
import { startFaultProxy, type FaultProxy } from "../fault-proxy";
import { type Normal } from "./rows";
import { conforms, type Place } from "./suite";

const PROJECT = "beamline-test";

const priced = {
  name: "priced",
  table: tableOf("priced", z.object({ id: z.string(), amount: decimal() }), { key: ["id"] }),
};

for (const via of ["load", "write"] as const) {
  const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
  const environment = { ...process.env };
  let proxy: FaultProxy | undefined;

  conforms({
    sink: `bigquery via=${via}`,
    against: "bqemulator",
    records: true,
    without: {
      full: "a dataset has no end; that a quota is used up is told is tried in io/bigquery/target.test.ts",
    },
    async stop() {
      process.env = environment;
      await proxy?.close();
      await stopServices(["bigquery"], { directory, data: true });
      rmSync(directory, { recursive: true, force: true });
    },
    async start(): Promise<Place> {
      const { bigquery } = await startServices(["bigquery"], { directory, ports: { bigquery: await freePort() } });
      const between = await startFaultProxy({ port: bigquery.port });
      proxy = between;
      // An address of BigQuery has no host in it: all goes by the proxy, and the test's own client does not.
      process.env["BIGQUERY_EMULATOR_HOST"] = `127.0.0.1:${between.port}`;
      process.env["BIGQUERY_STORAGE_EMULATOR_HOST"] = `127.0.0.1:${bigquery.port + 1}`;
      const client = new BigQueryTestClient(`http://127.0.0.1:${bigquery.port}`, PROJECT);
      const nobody = await freePort();
      const uri = (dataset: string) => `bigquery://${PROJECT}/${dataset}?via=${via}&give-up=10s`;
      const datasetOf = (address: string) => /\/(\w+)\?/.exec(address)?.[1] ?? "";
      return {
        async address(name) {
          await client.makeDataset(name);
          return uri(name);
        },
        async rows(address, table) {
          const dataset = datasetOf(address);
          if (!(await client.tables(dataset)).includes(table.name)) return [];
          const names = table.columns.map(({ name }) => `\`${name}\``).join(", ");
          const rows = await client.query(`SELECT ${names} FROM \`${PROJECT}.${dataset}.${table.name}\``);
          return rows.map((cells) => normalOfCells(table, cells));
        },
        server: {
          proxy: between,
          through: (address) => address,
          async restart() {
            await restartService("bigquery", { directory });
          },
        },
        wrong: [
          {
            what: "server",
            address: async () => uri("nowhere").replace("10s", "500ms"),
            environment: { BIGQUERY_EMULATOR_HOST: `127.0.0.1:${nobody}` },
            says: /does not answer/,
          },
          {
            what: "credentials",
            address: async () => uri("nowhere"),
            environment: { BIGQUERY_EMULATOR_HOST: "", GOOGLE_APPLICATION_CREDENTIALS: "/no/such/key.json" },
            says: /GOOGLE_APPLICATION_CREDENTIALS names a file that is not there/,
          },
          { what: "dataset", address: async () => uri("no_such_dataset"), says: /is not there: make it with bq mk/ },
          { what: "project", address: async () => "bigquery://other-project/events", says: /other-project/ },
          {
            what: "schema",
            async address(name) {
              await client.makeDataset(name);
              await client.ask("POST", `/datasets/${name}/tables`, {
                tableReference: { projectId: PROJECT, datasetId: name, tableId: "events" },
                schema: { fields: [{ name: "id", type: "INTEGER", mode: "REQUIRED" }] },
              });
              return uri(name);
            },
            says: /The table events in .* has another shape: column id is INT64, not STRING/,
          },
        ],
        refuses: {
          output: priced,
          row: { id: "too much", amount: "1".repeat(30) },
          reason: "out of range",
        },
      };
    },
  });
}

function normalOfCells(table: Table, cells: readonly unknown[]): Normal {
  return Object.fromEntries(
    table.columns.map(({ name, type }, at) => {
      const text = cells[at] as string | null;
      if (text === null) return [name, null];
      if (type.kind === "double") return [name, Number(text)];
      if (type.kind === "boolean") return [name, text === "true"];
      if (type.kind === "decimal") return [name, plainDecimal(text)];
      if (type.kind === "timestamp") return [name, new Date(Number(BigInt(text) / 1000n)).toISOString()];
      if (type.kind === "bytes") return [name, Buffer.from(text, "base64").toString("hex")];
      if (type.kind === "json") return [name, JSON.parse(text) as unknown];
      return [name, text];
    }),
  );
}
