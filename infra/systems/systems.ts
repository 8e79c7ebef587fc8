// The systems: which servers each needs, which topics, and which pipelines make it up.
import path from "node:path";
import { parseAddress } from "../../io/address";
import { type ServiceName } from "../services/server-kind";
import { type SystemJob } from "./job";

/** Where a system's things are, when it is started. */
export interface SystemPlaces {
  /** Brokers as host:port, with commas between. */
  readonly brokers: string;
  /** URI of the database; null where the system needs none, and was given none. */
  readonly postgres: string | null;
  /** The simulator's URLs; null when the real source is asked. */
  readonly simulator: { readonly http: string; readonly ws: string } | null;
  /** The system's own directory: states of its jobs, its SQLite file. */
  readonly directory: string;
}

export interface System {
  readonly name: string;
  readonly summary: string;
  readonly services: readonly ServiceName[];
  readonly topics: readonly string[];
  readonly simulator: "binance";
  /** The variable that says where the real source is, for whoever cannot reach it. */
  readonly sourceVariable: string;
  jobs(places: SystemPlaces): SystemJob[];
  /** What to look at when it runs: a line each. */
  look(places: SystemPlaces): string[];
}

const root = path.resolve(__dirname, "../..");

/** The command as a process of its own, from source. */
export const fromSource = (file: string): { program: string; args: string[] } => ({
  program: process.execPath,
  args: ["--enable-source-maps", "--require", path.join(__dirname, "load-typescript.js"), path.join(root, file)],
});

interface PipelineJob {
  readonly name: string;
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly keep?: SystemJob["keep"];
  readonly brings?: boolean;
}

function pipelineJob({ name, words, environment = {}, keep = "goes on", brings = false }: PipelineJob): SystemJob {
  const { program, args } = fromSource("cli/main.ts");
  return { name, program, args: [...args, "run", ...words], environment, keep, brings };
}

const stateOf = ({ directory }: SystemPlaces): string => path.join(directory, "state");

/** A command that shows something of a store. */
function query(store: string, sql: (table: (name: string) => string) => string): string {
  const { scheme, path: place, options } = parseAddress(store);
  const { schema } = options;
  if (scheme === "sqlite") return `sqlite3 "${place}" "${sql((name) => name)}"`;
  return `psql "postgresql:${place}" -c "${sql((name) => (schema === undefined ? name : `${schema}.${name}`))}"`;
}

const trades: System = {
  name: "trades",
  summary: "live trades → raw_trades → candles per minute in PostgreSQL",
  services: ["kafka", "postgres"],
  topics: ["raw_trades"],
  simulator: "binance",
  sourceVariable: "BINANCE_STREAM_URL",
  jobs: (places) => [
    pipelineJob({
      name: "trades-ingest",
      words: [
        ...["trades-ingest", "--streaming", "--from", "live:", "--to", "trades=live:"],
        ...["--to", `dead_letters=${places.postgres}`, "--state-dir", stateOf(places)],
      ],
      environment: {
        KAFKA_BROKERS: places.brokers,
        ...(places.simulator === null ? {} : { BINANCE_STREAM_URL: places.simulator.ws }),
      },
      brings: true,
    }),
    pipelineJob({
      name: "CryptoAnalytics",
      words: [
        ...["trades-aggregate", "--streaming", "--job", "CryptoAnalytics", "--from"],
        ...[`kafka://${places.brokers}/raw_trades`, "--to", String(places.postgres), "--state-dir", stateOf(places)],
      ],
    }),
  ],
  look: (places) => [
    `candles   ${query(String(places.postgres), (table) => `select * from ${table("trades_1min_agg")} order by window_start desc limit 10`)}`,
    `stale?    npm run pipeline -- status CryptoAnalytics --max-age 5m --state-dir "${stateOf(places)}"`,
  ],
};

const tickerStore = ({ postgres, directory }: SystemPlaces): string =>
  postgres ?? `sqlite:${path.join(directory, "app.db")}`;

const ticker: System = {
  name: "ticker",
  summary: "24 hour tickers → ticker_raw → events → a summary per day in SQLite, or in the PostgreSQL that is named",
  services: ["kafka"],
  topics: ["ticker_raw"],
  simulator: "binance",
  sourceVariable: "API_URL",
  jobs(places) {
    const store = tickerStore(places);
    const environment = {
      KAFKA_BROKERS: places.brokers,
      TICKER_STORE: store,
      ...(places.simulator === null
        ? {}
        : { API_URL: `${places.simulator.http}/api/v3/ticker/24hr?symbol=BTCUSDT`, BEAMLINE_EVERY: "2s" }),
    };
    const state = ["--state-dir", stateOf(places)];
    return [
      pipelineJob({
        name: "ticker-ingest",
        words: [
          ...["ticker-ingest", "--streaming", "--from", "live:", "--to", "ticker=live:"],
          ...["--to", `dead_letters=${store}`, ...state],
        ],
        environment,
        brings: true,
      }),
      pipelineJob({
        name: "ticker-clean",
        words: ["ticker-clean", "--streaming", "--from", "live:", "--to", "live:", ...state],
        environment,
      }),
      pipelineJob({
        name: "ticker-daily",
        words: ["ticker-daily", "--from", "live:", "--to", "live:"],
        environment,
        keep: 10_000,
      }),
    ];
  },
  look: (places) => [
    `events    ${query(tickerStore(places), (table) => `select * from ${table("events")} order by event_time desc limit 10`)}`,
    `days      ${query(tickerStore(places), (table) => `select * from ${table("daily_summary")}`)}`,
    `stale?    npm run pipeline -- status ticker-clean --max-age 5m --state-dir "${stateOf(places)}"`,
  ],
};

export const systems: readonly System[] = [ticker, trades];
