// The words of `npm run services --`: turned into calls, and what comes back is printed.
import colors from "picocolors";
import { z } from "zod";
import { parametersOf, readParameters } from "../../cli/parameters";
import { sortWords, splitWords } from "../../cli/words";
import { suggestion } from "../../io/address";
import { UsageError } from "../../schema/errors";
import { exitCodeOf, print } from "../exit-code";
import { parsePorts } from "./ports";
import { serviceNames, usualServices, type ServiceName } from "./server-kind";
import { serviceStatus, startServices, stopServices, type ServicesOptions, type ServiceStatus } from "./services";

const help = `Real servers for development and tests, on this machine only.

  npm run services -- up [names] [--port name=port]   start, and wait until they are ready
  npm run services -- down [names] [--data]           stop; --data deletes their data too
  npm run services -- status [names] [--json]         what runs, and where

  names     ${serviceNames.join(", ")};
            without any, up means ${usualServices.join(" and ")}, down and status mean all
  --port    where a server listens, such as --port kafka=19092; else where it was before. Those that speak two
            protocols take the port after it too

What connectors need in their environment to find a server is printed as export lines, and by status --json.

Data and logs are in .services, or where BEAMLINE_SERVICES_DIR says.`;

const verbs = ["up", "down", "status"] as const;
type Verb = (typeof verbs)[number];
const switches: Readonly<Record<Verb, readonly string[]>> = {
  up: ["help"],
  down: ["data", "help"],
  status: ["json", "help"],
};

const UpOptions = z.object({ port: z.array(z.string()).default([]).meta({ value: "name=port" }) });

/** Does what the words say, and answers with the exit code. */
export const command = (args: readonly string[]): Promise<number> => exitCodeOf(() => obey(args));

async function obey(args: readonly string[]): Promise<void> {
  const words = splitWords(args);
  const first = words.find(({ kind }) => kind === "name")?.text;
  if (first === undefined && (words.length === 0 || words.some(({ text }) => text === "help"))) {
    process.stdout.write(`${help}\n`);
    return;
  }
  if (first === undefined) throw new UsageError(`Which verb? It must be one of ${verbs.join(", ")}`);
  const verb = verbs.find((known) => known === first);
  if (verb === undefined) throw new UsageError(`There is no verb “${first}”: ${suggestion(first, verbs)}`);
  const parameters = verb === "up" ? parametersOf(UpOptions) : [];
  const { names, said } = sortWords(words, parameters, switches[verb]);
  if (said.has("help")) {
    process.stdout.write(`${help}\n`);
    return;
  }
  const chosen = namesOf(names.slice(1), verb === "up" ? usualServices : serviceNames);
  switch (verb) {
    case "up":
      return up(chosen, parsePorts(readParameters(UpOptions, said, {}).port));
    case "down":
      await stopServices(chosen, { ...progress(widthOf(chosen)), data: said.has("data") });
      print(`${colors.green("✓")} ${chosen.join(", ")} down${said.has("data") ? ", data deleted" : ""}`);
      return;
    case "status": {
      const status = await serviceStatus(chosen);
      const width = widthOf(chosen);
      const lines = status.map((one) => statusLine(one, width)).join("");
      process.stdout.write(said.has("json") ? `${JSON.stringify(status)}\n` : lines);
    }
  }
}

/** The services that the words name; without a word, `usual`. */
function namesOf(words: readonly string[], usual: readonly ServiceName[]): ServiceName[] {
  const names = words.map((word) => {
    const name = serviceNames.find((known) => known === word);
    if (name === undefined) throw new UsageError(`There is no service “${word}”: ${suggestion(word, serviceNames)}`);
    return name;
  });
  return names.length === 0 ? [...usual] : [...new Set(names)];
}

async function up(names: readonly ServiceName[], ports: Partial<Record<ServiceName, number>>): Promise<void> {
  const unused = Object.keys(ports).find((name) => !names.some((chosen) => chosen === name));
  if (unused !== undefined)
    throw new UsageError(`--port ${unused}=… has no effect: ${unused} is not among what to start`);
  const width = widthOf(names);
  const started = Object.values(await startServices(names, { ...progress(width), ports }));
  for (const { name, url, pid, wasUp, seconds } of started) {
    const how = wasUp ? "was up already" : `ready in ${seconds.toFixed(1)} s`;
    print(`${colors.green("✓")} ${name.padEnd(width)}  ${url}  pid ${pid}, ${how}`);
  }
  // On standard output, so that a shell can take them over.
  for (const { environment } of started)
    for (const [name, value] of Object.entries(environment)) process.stdout.write(`export ${name}=${value}\n`);
}

const widthOf = (names: readonly ServiceName[]): number => Math.max(...names.map((name) => name.length));

function statusLine({ name, url, pid, state, log }: ServiceStatus, width: number): string {
  const notes = {
    ready: `pid ${pid}`,
    "not ready": `pid ${pid} does not answer: see ${log}`,
    crashed: `npm run services -- up ${name} starts it again; see ${log}`,
    stopped: "",
  };
  return `${[name.padEnd(width), state.padEnd(9), url ?? "", notes[state]].join("  ").trimEnd()}\n`;
}

function progress(width: number): ServicesOptions {
  return { onProgress: (name, text) => print(colors.dim(`  ${name.padEnd(width)}  ${text}`)) };
}
