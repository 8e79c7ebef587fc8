// The words of `npm run simulate --`: one simulator is started, and serves until it is interrupted.
import colors from "picocolors";
import { z } from "zod";
import { flagLines, table } from "../../cli/help";
import { parametersOf, readParameters } from "../../cli/parameters";
import { namesIn, sortWords, splitWords } from "../../cli/words";
import { suggestion } from "../../io/address";
import { UsageError } from "../../schema/errors";
import { exitCodeOf, print } from "../exit-code";
import { BinanceOptions, startBinance } from "./binance/binance";
import { BinanceFaults, HttpFaults } from "./faults";
import { RandomUserOptions, startRandomUser } from "./randomuser/randomuser";

interface Started {
  readonly url: string;
  readonly wsUrl?: string;
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

interface Simulator {
  readonly summary: string;
  readonly options: z.ZodObject;
  readonly faults: z.ZodObject;
  start(values: Readonly<Record<string, unknown>>): Promise<Started>;
  /** What to do with it, by address. */
  hints(started: Started): readonly (readonly [string, string])[];
}

const SIMULATORS: Readonly<Record<string, Simulator>> = {
  binance: {
    summary: "the exchange: WebSocket streams of trades, tickers and the history of trades over HTTP",
    options: BinanceOptions,
    faults: BinanceFaults,
    start: (values) => startBinance({ ...BinanceOptions.parse(values), faults: BinanceFaults.parse(values) }),
    hints: ({ url, wsUrl }) => [
      ["Trades", `${wsUrl}/stream?streams=btcusdt@trade/ethusdt@trade`],
      ["History", `${url}/api/v3/historicalTrades?symbol=BTCUSDT&limit=10`],
      ["Ticker", `${url}/api/v3/ticker/24hr?symbol=BTCUSDT`],
    ],
  },
  randomuser: {
    summary: "randomuser.me: made-up people over HTTP",
    options: RandomUserOptions,
    faults: HttpFaults,
    start: (values) => startRandomUser({ ...RandomUserOptions.parse(values), faults: HttpFaults.parse(values) }),
    hints: ({ url }) => [["Users", `${url}/api/?results=3&seed=abc&nat=gb,de`]],
  },
};
const names = Object.keys(SIMULATORS);
const modelOf = ({ options, faults }: Simulator) => z.object({ ...options.shape, ...faults.shape });

const help = `Stand-ins for the outside systems that pipelines read, on this machine only.

  npm run simulate -- <name> [flags]      serve until interrupted
  npm run simulate -- <name> --help       its flags and faults

${table(Object.entries(SIMULATORS).map(([name, { summary }]) => [name, summary])).join("\n")}`;

/** Does what the words say, and answers with the exit code. */
export const command = (args: readonly string[]): Promise<number> => exitCodeOf(() => obey(args));

async function obey(args: readonly string[]): Promise<void> {
  const words = splitWords(args);
  const all = Object.values(SIMULATORS).flatMap((simulator) => parametersOf(modelOf(simulator)));
  const [name] = namesIn(words, all);
  if (name === undefined && (words.length === 0 || words.some(({ text }) => text === "help"))) {
    process.stdout.write(`${help}\n`);
    return;
  }
  if (name === undefined) throw new UsageError(`Which simulator? It must be one of ${names.join(", ")}`);
  const simulator = SIMULATORS[name];
  if (simulator === undefined) throw new UsageError(`There is no simulator “${name}”: ${suggestion(name, names)}`);
  const model = modelOf(simulator);
  const { names: said, said: flags } = sortWords(words, parametersOf(model), ["json", "help"]);
  if (flags.has("help")) {
    process.stdout.write(`${helpFor(name, simulator)}\n`);
    return;
  }
  if (said[1] !== undefined) throw new UsageError(`“${said[1]}” is too much: npm run simulate -- ${name} [flags]`);
  const started = await simulator.start(readParameters(model, flags, {}));
  if (flags.has("json"))
    process.stdout.write(
      `${JSON.stringify({ simulator: name, url: started.url, wsUrl: started.wsUrl, pid: process.pid })}\n`,
    );
  print(
    `${colors.green("✓")} ${name} serves at ${started.url}${started.wsUrl === undefined ? "" : ` and ${started.wsUrl}`}`,
  );
  for (const [label, text] of [
    ...simulator.hints(started),
    ["Faults", `curl -X POST ${started.url}/_simulator/faults -d '{"answer429": 0.1}'`] as const,
    ["Ledger", `${started.url}/_simulator/ledger`] as const,
  ])
    print(`  ${`${label}:`.padEnd(9)} ${text}`);
  await untilInterrupted(started);
}

/** Serves until a signal comes or it cannot go on. One Ctrl-C may come by several ways: what follows the first is ignored. */
async function untilInterrupted(started: Started): Promise<void> {
  const end = () => void started.close();
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, end);
  try {
    await started.ended;
  } finally {
    await started.close();
    for (const signal of signals) process.off(signal, end);
  }
}

function helpFor(name: string, { summary, options, faults }: Simulator): string {
  return [
    `npm run simulate -- ${name} [flags]`,
    "",
    `A stand-in for ${summary}.`,
    "",
    ...flagLines(parametersOf(options)),
    "",
    ...table([
      ["--json", "print one JSON object on stdout when it serves: where, and its process"],
      ["--help", "show this"],
    ]),
    "",
    "What goes wrong; each can be changed while it runs, by POST /_simulator/faults:",
    ...flagLines(parametersOf(faults)),
  ].join("\n");
}
