// Help texts, made from the same models as the flags themselves.
import { type Pipeline } from "../pipelines/definition";
import { CancelOptions, ReplayOptions, RunOptions, SavepointOptions, StatusOptions } from "../runners/run-options";
import { parametersOf, type Parameter } from "./parameters";

export const VERBS = {
  run: "run a pipeline (what is done when no verb is given)",
  list: "list the pipelines",
  describe: "show a pipeline: inputs, outputs, parameters, graph",
  doctor: "check the configuration and reach every server that is named; changes nothing",
  status: "show how the jobs stand that go on (--streaming), or those on a cluster (--flink-master)",
  savepoint: "keep where a job on a cluster stands, and let it go on",
  stop: "end a job on a cluster with a savepoint, from which it can go on",
  cancel: "end a job on a cluster",
  replay: "try the dead letters of a job again, such as after a step was repaired",
  init: "write a first pipeline, its sample and its test into this directory",
} as const;
export type Verb = keyof typeof VERBS;
export const verbs = Object.keys(VERBS) as Verb[];

const JSON_SWITCH: Switch = ["json", "print one JSON object at the end, on stdout"];
const EVERYWHERE: readonly Switch[] = [
  ["debug", "show the stack of an error"],
  ["help", "show this"],
];
const OF_VERB: Readonly<Record<Verb, readonly Switch[]>> = {
  run: [JSON_SWITCH],
  list: [JSON_SWITCH],
  describe: [JSON_SWITCH],
  doctor: [JSON_SWITCH],
  status: [JSON_SWITCH],
  savepoint: [JSON_SWITCH],
  stop: [JSON_SWITCH],
  cancel: [JSON_SWITCH],
  replay: [JSON_SWITCH],
  init: [["no-install", "write the files only, without npm install"]],
};
type Switch = readonly [flag: string, description: string];

/** The flags of a verb that stand alone. */
export const switchesOf = (verb: Verb): string[] => [...OF_VERB[verb], ...EVERYWHERE].map(([flag]) => flag);

const switchLines = (verb: Verb): string[] =>
  table([...OF_VERB[verb], ...EVERYWHERE].map(([flag, description]) => [`--${flag}`, description]));

/** How each verb is written. */
export const usages: Readonly<Record<Verb, string>> = {
  run: "run [pipeline] [flags]",
  list: "list [--json]",
  describe: "describe <pipeline> [--json]",
  doctor: "doctor [pipeline] [flags of run] [--json]",
  status: "status [job] [--state-dir DIR] [--max-age AGE] [--flink-master HOST:PORT] [--json]",
  savepoint: "savepoint <job> --flink-master HOST:PORT [--savepoint-dir DIR] [--json]",
  stop: "stop <job> --flink-master HOST:PORT [--savepoint-dir DIR] [--json]",
  cancel: "cancel <job> --flink-master HOST:PORT [--json]",
  replay: "replay [pipeline] [--reason REASON] [--since TIME] [--dry-run] [flags]",
  init: "init [name] [--no-install]",
};

/** The command as the reader calls it. */
export function commandName(): string {
  return process.env["npm_lifecycle_event"] === "pipeline" ? "npm run pipeline --" : "npx beamline";
}

export function generalHelp(pipelines: readonly Pipeline[]): string {
  return [
    "Apache Beam pipelines in TypeScript.",
    "",
    `${commandName()} [verb] [pipeline] [flags]`,
    "",
    "Verbs:",
    ...table(Object.entries(VERBS)),
    "",
    "Pipelines:",
    ...table(pipelines.map(({ name, summary }) => [name, summary])),
    "",
    "Flags of every run:",
    ...flagLines(parametersOf(RunOptions)),
    ...switchLines("run"),
    "",
    `${commandName()} run <pipeline> --help shows the flags of one pipeline.`,
  ].join("\n");
}

export function verbHelp(verb: Verb, pipeline: Pipeline | null): string {
  const lines = [`${commandName()} ${usages[verb]}`, "", `${VERBS[verb][0]?.toUpperCase()}${VERBS[verb].slice(1)}.`];
  if (verb === "run" || verb === "doctor") {
    if (pipeline !== null) {
      lines.push("", `${pipeline.name}: ${pipeline.summary}`);
      const own = parametersOf(pipeline.params);
      if (own.length > 0) lines.push("", "Its parameters:", ...flagLines(own));
    }
    lines.push("", "Flags of every run:", ...flagLines(parametersOf(RunOptions)));
  }
  if (verb === "status") lines.push("", ...flagLines(parametersOf(StatusOptions)));
  if (verb === "cancel") lines.push("", ...flagLines(parametersOf(CancelOptions)));
  if (verb === "savepoint" || verb === "stop") lines.push("", ...flagLines(parametersOf(SavepointOptions)));
  if (verb === "replay") lines.push("", ...flagLines(parametersOf(ReplayOptions)));
  lines.push("", ...switchLines(verb));
  return lines.join("\n");
}

export function flagLines(parameters: readonly Parameter[]): string[] {
  return table(
    parameters.map(({ flag, value, description, usual, repeated }) => [
      `--${flag}${value === "" ? "" : ` ${value}`}`,
      `${description}${usual === null ? "" : ` [${usual}]`}${repeated ? " (may be repeated)" : ""}`,
    ]),
  );
}

export function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
}
