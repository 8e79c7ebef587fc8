// The table that both sides write, in a database of its own for each run: nothing of a run is there for the next.
import { Client, DatabaseError } from "pg";
import { type Row } from "../compare-rows";

/** As the pipeline calls it. */
export const CANDLE_TABLE = "trades_1min_agg";

/** A connection that ends with the work. */
export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Creates an empty database beside that of `server`, and says its address. */
export async function createDatabase(server: string, name: string): Promise<string> {
  await dropDatabase(server, name);
  await withClient(server, (client) => client.query(`create database ${name}`));
  const url = new URL(server);
  url.pathname = name;
  return url.href;
}

export async function dropDatabase(server: string, name: string): Promise<void> {
  // It is only ever one of this benchmark's.
  if (!/^bench_[a-z0-9_]+$/.test(name)) throw new Error(`${name} is no name of a benchmark's database`);
  await withClient(server, (client) => client.query(`drop database if exists ${name} with (force)`));
}

/** For who does not create the table itself, and the staging table that Spark writes before its upsert. */
export async function createCandleTables(url: string): Promise<void> {
  const columns = `window_start timestamptz not null, window_end timestamptz not null, symbol text not null,
    trade_count bigint not null, volume numeric(38, 8) not null, quote_volume numeric(38, 16) not null,
    open numeric(38, 8) not null, high numeric(38, 8) not null, low numeric(38, 8) not null,
    close numeric(38, 8) not null, avg_price numeric(38, 8), vwap numeric(38, 8)`;
  await withClient(url, async (client) => {
    await client.query(`create table ${CANDLE_TABLE} (${columns}, primary key (symbol, window_start))`);
    await client.query(`create unlogged table ${CANDLE_TABLE}_staging (${columns})`);
  });
}

/** How many trades each row counts, of windows that begin at `from` or later. Nothing while there is no table: its writer makes it. */
export async function readCounts(
  client: Client,
  from: number,
): Promise<{ readonly symbol: string; readonly start: number; readonly count: number }[]> {
  const select = `select symbol, (extract(epoch from window_start) * 1000)::float8 as start, trade_count::float8 as count
    from ${CANDLE_TABLE} where window_start >= to_timestamp($1::float8 / 1000)`;
  try {
    return (await client.query<{ symbol: string; start: number; count: number }>(select, [from])).rows;
  } catch (error) {
    if (error instanceof DatabaseError && error.code === "42P01") return [];
    throw error;
  }
}

/** All of it, in the words of the hand loop; decimals may have another scale. */
export async function readCandles(url: string): Promise<Row[]> {
  const time = (name: string): string => `to_char(${name} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') ${name}`;
  const select = `select ${time("window_start")}, ${time("window_end")}, symbol, trade_count::int, volume::text,
    quote_volume::text, open::text, high::text, low::text, close::text, avg_price::text, vwap::text from ${CANDLE_TABLE}`;
  return withClient(url, async (client) => (await client.query<Row>(select)).rows);
}
