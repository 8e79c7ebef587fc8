// Makes what is said once in the code: the reference of pipelines and the command, and .env.example.
// `npm run generate` writes the files, `npm run generate -- --check` fails when one of them is stale.
import fs from "node:fs";
import path from "node:path";
import { fieldsOf, graphLines, typeText } from "../cli/describe";
import { parametersOf, type Parameter } from "../cli/parameters";
import { catalog } from "../pipelines/catalog";
import { type Pipeline } from "../pipelines/definition";
import { type EnvironmentSetting } from "../io/about";
import { type AddressOption } from "../io/address-options";
import { type ColumnType } from "../schema/table";
import { type Connector, type SourceConnector } from "../io/connector";
import { onCluster } from "../io/on-cluster";
import { everyConnector } from "../io/registry";
import { JOB_LABELS, metricsTable } from "../runners/observe/catalogue";
import { ENDPOINTS } from "../runners/observe/endpoints";
import { eventsTable } from "../runners/observe/events";
import { RunOptions } from "../runners/run-options";
import { format } from "prettier";

const root = path.resolve(__dirname, "..");
const NOTE = "<!-- Made by `npm run generate` from the code: change it there. -->";

const cell = (text: string) => text.replaceAll("|", "\\|");

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function parameterTable(parameters: readonly Parameter[]): string {
  return table(
    ["flag", "environment", "usual", "what it says"],
    parameters.map(({ flag, value, environment, usual, description, repeated }) => [
      `\`--${flag}${value === "" ? "" : ` ${value}`}\``,
      `\`${environment}\``,
      usual === null ? "" : `\`${usual}\``,
      repeated ? `${description}; may be repeated` : description,
    ]),
  );
}

function pipelinePage(pipeline: Pipeline): string {
  const parts = [`# ${pipeline.name}`, NOTE, `${pipeline.summary}. Version ${pipeline.version}.`];
  for (const [name, { model }] of Object.entries(pipeline.inputs)) {
    parts.push(
      `## Input \`${name}\``,
      table(
        ["field", "what it says"],
        fieldsOf(model).map(([field, text]) => [`\`${field}\``, text]),
      ),
    );
  }
  for (const [name, { table: output }] of Object.entries(pipeline.outputs)) {
    const key = output.key.map((column) => `\`${column}\``).join(", ");
    const columns = output.columns.map((column) => [`\`${column.name}\``, typeText(column), column.description]);
    parts.push(
      `## Output \`${name}\`: table \`${output.name}\``,
      `Key: ${key}.`,
      table(["column", "type", "what it says"], columns),
    );
  }
  parts.push("## Parameters", parameterTable(parametersOf(pipeline.params)));
  parts.push("## Graph", ["```text", ...graphLines(pipeline), "```"].join("\n"));
  return parts.join("\n\n");
}

function commandPage(): string {
  return [
    "# The command",
    NOTE,
    "Flags of every run. A flag wins over the environment, the environment over `.env`, that over what is usual.",
    parameterTable(parametersOf(RunOptions)),
    "Exit codes: 0 done, 1 the run failed, 2 wrong usage or configuration, 130 interrupted.",
    "## Pipelines",
    table(
      ["pipeline", "what it does"],
      catalog.map(({ name, summary }) => [`[${name}](pipelines/${name}.md)`, summary]),
    ),
  ].join("\n\n");
}

function observabilityPage(): string {
  const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(", ");
  return [
    "# Observability",
    NOTE,
    "What a job that goes on tells of itself.",
    "## Endpoints",
    table(
      ["path", "answer"],
      Object.entries(ENDPOINTS).map(([path, answer]) => [`\`${path}\``, answer]),
    ),
    "They listen on 127.0.0.1 unless a host is given, and take GET and HEAD.",
    "## Metrics",
    `Each carries ${code(Object.keys(JOB_LABELS))} beside its own labels. Counters begin at 0 with the process. A gauge is absent while its value is not known. Beside them are the metrics of the process (\`process_…\`, \`nodejs_…\`), which belong to no job.`,
    "Prometheus gives a label `job` to all that it scrapes and renames this one to `exported_job`, unless the scrape configuration says `honor_labels: true`.",
    table(["metric", "kind", "labels", "what it says"], metricsTable()),
    "## Log",
    `One line an event, on standard error. As JSON, each line is an object with ${code(["time", "level", "event", "job", "pipeline"])} and the event's fields; every batch has its lines, also an empty one. For people, the lines of events marked “summed” are added up and written at most every 10 seconds, and not while nothing happened; those marked “none” are left out, and so are counts of 0. Credentials are masked.`,
    table(["event", "level", "for people", "fields", "when"], eventsTable()),
  ].join("\n\n");
}

function streamingOf(source: SourceConnector): string {
  if (source.follow !== undefined) return "goes on where it was, also after a crash";
  return source.flow === undefined ? "no: it has an end" : "goes on with what comes, by way of the job's inbox";
}

function sinkSentences({ about, sink }: Connector): string[] {
  if (sink === undefined) return [];
  const wanted =
    sink.wants === "update"
      ? "the row of a window whenever it has changed"
      : "the row of a window once, when nothing more can come";
  const letters = sink.letters === undefined ? "Dead letters cannot be read back" : "`replay` reads dead letters back";
  const links = about.killTests.map((file) => `[${file}](../../${file})`).join(", ");
  const proof =
    links === "" ? "No test has killed a job that writes there yet" : `Jobs that write there were killed in ${links}`;
  return [
    `Delivery: ${sink.deliveryClass}; ${sink.delivery}. ${proof}.`,
    `With \`--streaming\`: ${wanted}. ${letters}.`,
  ];
}

function connectorSection({ connector, schemes }: { connector: Connector; schemes: readonly string[] }): string {
  const { about, source } = connector;
  const parts = [
    `## ${schemes.map((scheme) => `\`${scheme}:\``).join(", ")}`,
    `${about.summary}.`,
    ["```text", ...about.examples, "```"].join("\n"),
    ...sinkSentences(connector),
  ];
  const has = (options: readonly AddressOption[], { name, description }: AddressOption) =>
    options.some((option) => option.name === name && option.description === description);
  const { readOptions, writeOptions, settings } = about;
  const options = [...readOptions, ...writeOptions.filter((option) => !has(readOptions, option))];
  if (options.length > 0) {
    const isBoth = source !== undefined && connector.sink !== undefined;
    const rows = options.map((option) => {
      const where = [...(has(readOptions, option) ? ["read"] : []), ...(has(writeOptions, option) ? ["written"] : [])];
      const usual = option.usual === null ? "" : `\`${option.usual}\``;
      return [`\`${option.name}\``, ...(isBoth ? [where.join(", ")] : []), usual, option.description];
    });
    parts.push(table(["option", ...(isBoth ? ["where"] : []), "usual", "what it says"], rows));
  }
  if (settings.length > 0) {
    const rows = settings.map(({ name, usual, description, secret }) => [
      `\`${name}\``,
      usual === undefined ? "" : `\`${usual}\``,
      secret ? `${description}; secret` : description,
    ]);
    parts.push(table(["environment", "usual", "what it says"], rows));
  }
  return parts.join("\n\n");
}

/** A column of each kind, as the table of types shows it. */
const COLUMN_TYPES: readonly (readonly [string, ColumnType])[] = [
  ["text", { kind: "text" }],
  ["whole number", { kind: "integer" }],
  ["double", { kind: "double" }],
  ["boolean", { kind: "boolean" }],
  ["decimal(38, 8)", { kind: "decimal", precision: 38, scale: 8 }],
  ["decimal(38, 16)", { kind: "decimal", precision: 38, scale: 16 }],
  ["timestamp", { kind: "timestamp" }],
  ["date", { kind: "date" }],
  ["bytes", { kind: "bytes" }],
  ["JSON", { kind: "json" }],
  ["list of texts", { kind: "json", of: { kind: "text" } }],
];

function connectorsPage(): string {
  const every = everyConnector();
  const written = every.filter(({ connector }) => connector.sink !== undefined);
  const typed = written.filter(({ connector }) => connector.about.typeOf !== undefined);
  return [
    "# Connectors",
    NOTE,
    "Where records are read (`--from`) and rows are written (`--to`). Options stand behind a `?`, as in `file:rows?format=csv`; those of a web address behind a `#`, since what is behind its `?` is for the server. No address has a password in it: addresses are shown and recorded. Secrets come from the environment, or from files that it names. Beside these, `sample:` means the bundled sample of an input, and `live:` the place where the system that a pipeline belongs to has its records or rows.",
    table(
      ["address", "read", "with `--streaming`", "written"],
      every.map(({ connector: { source, sink }, schemes }) => [
        schemes.map((scheme) => `[\`${scheme}:\`](#${schemes.join("-")})`).join(", "),
        source === undefined ? "" : "yes",
        source === undefined ? "" : streamingOf(source),
        sink?.deliveryClass ?? "",
      ]),
    ),
    "What becomes of rows that are written again, because their batch is run again after a crash. keyed: each replaces the row of its key, so it is as if it had been written once. named file: the batch's file is replaced by the same one. append: they are there once more.",
    "## Written rows",
    "Places that are proven pass one suite of tests, [test/conformance](../../test/conformance/suite.ts), against what the table names: values of all types, batches that are written again, the order of updates, rows that are refused, breaks, restarts, full disks, kills. All of it is on the direct runner; a bounded run on Flink writes by the same targets in the same process, and commits there. With `--detach` its workers write, which is proven in [test/flink-detached.integration.ts](../../test/flink-detached.integration.ts), and with `--streaming` too, into several places at once in [test/flink-stream-sinks.integration.ts](../../test/flink-stream-sinks.integration.ts); [what each of them can promise there](../decisions/019-flink-sinks.md).",
    table(
      [
        "address",
        "a bounded run, direct or on Flink",
        "on Flink with `--detach`",
        "with `--streaming`",
        "on Flink with `--streaming`",
        "dead letters come back",
        "proven against",
      ],
      written.map(({ connector: { about, sink }, schemes }) => [
        schemes.map((scheme) => `\`${scheme}:\``).join(", "),
        sink?.deliveryClass ?? "",
        sink === undefined ? "" : onCluster(sink).detached,
        sink?.wants === "update" ? "each change of a window" : "a window once, when it is final",
        sink === undefined ? "" : onCluster(sink).streaming,
        sink?.letters === undefined ? "no" : "yes",
        about.provenAgainst ?? "nothing yet",
      ]),
    ),
    "## Types of columns",
    table(
      ["column", ...typed.map(({ schemes }) => schemes.map((scheme) => `\`${scheme}:\``).join(", "))],
      COLUMN_TYPES.map(([name, type]) => [name, ...typed.map(({ connector }) => connector.about.typeOf?.(type) ?? "")]),
    ),
    ...every.map(connectorSection),
  ].join("\n\n");
}

/** What connectors take from the environment; several may share it. */
function everySetting(): { schemes: string[]; settings: readonly EnvironmentSetting[] }[] {
  const bySettings = new Map<readonly EnvironmentSetting[], string[]>();
  for (const { connector, schemes } of everyConnector()) {
    const { settings } = connector.about;
    if (settings.length > 0) bySettings.set(settings, [...(bySettings.get(settings) ?? []), ...schemes]);
  }
  return [...bySettings].map(([settings, schemes]) => ({ schemes, settings }));
}

function dotEnv(): string {
  const entry = ({ environment, description, usual }: Parameter) =>
    `# ${description}\n# ${environment}=${usual ?? ""}\n`;
  const sections = [
    "# Copy this to .env and take away the # of what you set. Made by `npm run generate`.\n",
    "# --- every run ---\n",
    ...parametersOf(RunOptions).map(entry),
    ...catalog.flatMap(({ name, params }) => [`# --- ${name} ---\n`, ...parametersOf(params).map(entry)]),
    ...everySetting().flatMap(({ schemes, settings }) => [
      `# --- ${schemes.map((scheme) => `${scheme}:`).join(" ")} ---\n`,
      ...settings.map(
        ({ name, usual, description }) =>
          `# ${description}${usual === undefined ? "" : `; else ${usual}`}\n# ${name}=\n`,
      ),
    ]),
  ];
  return sections.join("\n");
}

async function files(): Promise<Map<string, string>> {
  const markdown = async (text: string) => format(text, { parser: "markdown", printWidth: 120 });
  const made = new Map([
    ["docs/reference/command.md", await markdown(commandPage())],
    ["docs/reference/connectors.md", await markdown(connectorsPage())],
    ["docs/reference/observability.md", await markdown(observabilityPage())],
    [".env.example", dotEnv()],
  ]);
  for (const pipeline of catalog) {
    made.set(`docs/reference/pipelines/${pipeline.name}.md`, await markdown(pipelinePage(pipeline)));
  }
  return made;
}

async function main(): Promise<void> {
  const check = process.argv.includes("--check");
  const stale: string[] = [];
  for (const [file, text] of await files()) {
    const target = path.join(root, file);
    const there = fs.existsSync(target) ? fs.readFileSync(target, "utf8") : null;
    if (there === text) continue;
    stale.push(file);
    if (check) continue;
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text);
  }
  if (stale.length === 0) console.log("All generated files are fresh.");
  else if (!check) console.log(`Written: ${stale.join(", ")}`);
  else {
    console.error(`Stale: ${stale.join(", ")}. Run npm run generate and commit what it writes.`);
    process.exitCode = 1;
  }
}

void main();
