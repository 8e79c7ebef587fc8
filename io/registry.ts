// Every connector, one line each. A connector's module is loaded when an address with its scheme is first used. A user's own
// package adds its own.
import { UsageError } from "../schema/errors";
import { nearest } from "./address";
import { type Address, type Connector, type SinkConnector, type SourceConnector } from "./connector";
import type * as BigQuery from "./bigquery/bigquery";
import type * as Cassandra from "./cassandra/cassandra";
import type * as File from "./file/file";
import type * as Gs from "./gs/gs";
import type * as Http from "./http/http";
import type * as Kafka from "./kafka/kafka";
import type * as Postgres from "./postgres/postgres";
import type * as S3 from "./s3/s3";
import type * as Search from "./search/search";
import type * as Sqlite from "./sqlite/sqlite";
import type * as Stdin from "./stdin/stdin";
import type * as Stdout from "./stdout/stdout";
import type * as WebSocket from "./websocket/websocket";

/* eslint-disable @typescript-eslint/no-require-imports -- connectors load lazily, and synchronously so that jest can too */
const connectors: Record<string, () => Connector> = {
  bigquery: () => (require("./bigquery/bigquery") as typeof BigQuery).bigquery,
  cassandra: () => (require("./cassandra/cassandra") as typeof Cassandra).cassandra,
  elasticsearch: () => (require("./search/search") as typeof Search).elasticsearch,
  file: () => (require("./file/file") as typeof File).file,
  gs: () => (require("./gs/gs") as typeof Gs).gs,
  http: () => (require("./http/http") as typeof Http).http,
  https: () => (require("./http/http") as typeof Http).http,
  kafka: () => (require("./kafka/kafka") as typeof Kafka).kafka,
  opensearch: () => (require("./search/search") as typeof Search).opensearch,
  postgres: () => (require("./postgres/postgres") as typeof Postgres).postgres,
  s3: () => (require("./s3/s3") as typeof S3).s3,
  sqlite: () => (require("./sqlite/sqlite") as typeof Sqlite).sqlite,
  stdin: () => (require("./stdin/stdin") as typeof Stdin).stdin,
  stdout: () => (require("./stdout/stdout") as typeof Stdout).stdout,
  ws: () => (require("./websocket/websocket") as typeof WebSocket).websocket,
  wss: () => (require("./websocket/websocket") as typeof WebSocket).websocket,
};
/* eslint-enable @typescript-eslint/no-require-imports */

/**
 * Makes a connector of a user's own package known, by the schemes of its addresses. Its name must be one of them: ranges
 * that travel to workers name their connector so.
 */
export function addConnector(connector: Connector, schemes: readonly string[] = [connector.name]): void {
  if (!schemes.includes(connector.name))
    throw new UsageError(
      `The connector ${connector.name} must have its own name among its schemes: ${schemes.join(", ")}`,
    );
  for (const scheme of schemes) {
    if (!/^[a-z][a-z0-9+.-]+$/.test(scheme))
      throw new UsageError(`“${scheme}” cannot be a scheme: it takes two or more small letters, digits, +, . and -`);
    const known = Object.hasOwn(connectors, scheme) ? connectors[scheme]?.() : undefined;
    if (known !== undefined && known !== connector)
      throw new UsageError(`“${scheme}:” is taken by the connector ${known.name}: give yours another scheme`);
    connectors[scheme] = () => connector;
  }
}

/** Each connector once, with the schemes of its addresses. */
export function everyConnector(): { readonly connector: Connector; readonly schemes: readonly string[] }[] {
  const schemes = new Map<Connector, string[]>();
  for (const [scheme, load] of Object.entries(connectors)) {
    const connector = load();
    schemes.set(connector, [...(schemes.get(connector) ?? []), scheme]);
  }
  return [...schemes].map(([connector, names]) => ({ connector, schemes: names }));
}

export function connectorOf(address: Address): Connector {
  const load = Object.hasOwn(connectors, address.scheme) ? connectors[address.scheme] : undefined;
  if (load === undefined) {
    const known = Object.keys(connectors);
    const near = nearest(address.scheme, known);
    const hint = near === null ? `known are ${known.map((name) => `${name}:`).join(" ")}` : `did you mean “${near}:”?`;
    throw new UsageError(`“${address.scheme}:” is not a known kind of address; ${hint}`);
  }
  return load();
}

export function sourceOf(address: Address): SourceConnector {
  const connector = connectorOf(address);
  if (connector.source === undefined) throw new UsageError(`“${address.scheme}:” can be written to, but not read from`);
  return connector.source;
}

export function sinkOf(address: Address): SinkConnector {
  const connector = connectorOf(address);
  if (connector.sink === undefined) throw new UsageError(`“${address.scheme}:” can be read from, but not written to`);
  return connector.sink;
}
