// Elasticsearch and OpenSearch. Neither asks for credentials here; that wrong ones are told is tried in
// io/search/answers.test.ts.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { freePort } from "../../infra/services/ports";
import { restartService, startServices, stopServices } from "../../infra/services/services";
import { closeClients } from "../../io/search/cluster";
import { tableOf, type Column, type Table } from "../../schema/table";
import { startFaultProxy, type FaultProxy } from "../fault-proxy";
import { type Normal } from "./rows";
import { conforms, type Place } from "./suite";

const PAGE = 5_000;

const counted = {
  name: "counted",
  table: tableOf("counted", z.object({ id: z.string(), count: z.int() }), { key: ["id"] }),
};

interface Hits {
  readonly _scroll_id: string;
  readonly hits: { readonly hits: readonly { readonly _source: Readonly<Record<string, unknown>> }[] };
}

for (const server of ["opensearch", "elasticsearch"] as const) {
  const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
  let proxy: FaultProxy | undefined;

  conforms({
    sink: server,
    against: server === "opensearch" ? "OpenSearch 2.19" : "Elasticsearch 7.10",
    records: true,
    async stop() {
      await closeClients();
      await proxy?.close();
      await stopServices([server], { directory, data: true });
      rmSync(directory, { recursive: true, force: true });
    },
    async start(): Promise<Place> {
      const { port } = (await startServices([server], { directory, ports: { [server]: await freePort() } }))[server];
      const between = await startFaultProxy({ port });
      proxy = between;
      const uri = (index: string, at = port) => `${server}://127.0.0.1:${at}?index=${index}&give-up=20s`;
      const indexOf = (address: string) => new URL(address).searchParams.get("index") ?? "";
      const ask = async (method: string, where: string, body?: unknown) => {
        const sent = body === undefined ? {} : { body: JSON.stringify(body) };
        return fetch(`http://127.0.0.1:${port}${where}`, {
          ...{ method, headers: { "content-type": "application/json" }, ...sent },
        });
      };
      return {
        address: async (name) => uri(`test_${name}`),
        async rows(address, table) {
          const index = indexOf(address);
          const first = await ask("POST", `/${index}/_refresh`);
          if (first.status === 404) return [];
          const rows: Normal[] = [];
          let page = (await (await ask("POST", `/${index}/_search?scroll=1m`, { size: PAGE })).json()) as Hits;
          while (page.hits.hits.length > 0) {
            rows.push(...page.hits.hits.map(({ _source }) => normalOfDocument(table, _source)));
            page = (await (
              await ask("POST", "/_search/scroll", { scroll: "1m", scroll_id: page._scroll_id })
            ).json()) as Hits;
          }
          return rows;
        },
        server: {
          proxy: between,
          through: (address) => uri(indexOf(address), between.port),
          async restart() {
            await restartService(server, { directory });
          },
        },
        wrong: [
          {
            what: "server",
            address: async () => `${server}://127.0.0.1:1?give-up=500ms`,
            says: /cannot be reached/,
          },
          { what: "index", address: async () => uri("No%20such%20name"), says: /index/i },
          {
            what: "schema",
            async address(name) {
              await ask("PUT", `/${name}`, { mappings: { properties: { id: { type: "long" } } } });
              return uri(name);
            },
            says: /id/,
          },
        ],
        // What a server does with all its indices when its disk is nearly full: they give rows, and take none.
        async full() {
          const settings = "/test_full/_settings";
          const block = (on: true | null) => async () =>
            void (await ask("PUT", settings, { "index.blocks.read_only_allow_delete": on }));
          const address = `${server}://127.0.0.1:${port}?index=test_full&give-up=1s`;
          return { address, says: /disks are nearly full/, fill: block(true), free: block(null) };
        },
        refuses: { output: counted, row: { id: "far", count: 2n ** 63n }, reason: "unfit-value" },
      };
    },
  });
}

const normalOfDocument = (table: Table, document: Readonly<Record<string, unknown>>): Normal =>
  Object.fromEntries(table.columns.map((column) => [column.name, normal(column, document[column.name] ?? null)]));

function normal({ type }: Column, value: unknown): unknown {
  if (value === null) return null;
  if (type.kind === "integer") return `${value as number}`;
  if (type.kind === "timestamp") return new Date(value as string).toISOString();
  if (type.kind === "bytes") return Buffer.from(value as string, "base64").toString("hex");
  return value;
}
