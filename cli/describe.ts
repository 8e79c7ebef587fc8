// `describe`: a pipeline as its users need to know it, in words and as JSON.
import { type z } from "zod";
import { newGraph, defaultContext } from "../beam";
import { parseAddress } from "../io/address";
import { type Address } from "../io/connector";
import { onCluster } from "../io/on-cluster";
import { sinkOf, sourceOf } from "../io/registry";
import { readRanges } from "../runners/read-range";
import { writeOutput } from "../runners/direct/open-outputs";
import { type InputSpec, type OutputSpec, type Pipeline } from "../pipelines/definition";
import { type Column, type Table } from "../schema/table";
import { flagLines, table } from "./help";
import { parametersOf } from "./parameters";
import { paintOnStdout as paint } from "./screen";

/** The names of the graph's transforms, indented by what is part of what. */
export function graphLines(pipeline: Pipeline): string[] {
  const params = pipeline.params.safeParse({});
  if (!params.success) return ["(it depends on parameters that have no default)"];
  const graph = newGraph({ ...defaultContext, pipeline: pipeline.name });
  const inputs = Object.keys(pipeline.inputs).map((name) => [name, readRanges(graph.root, name, [])]);
  const outputs = Object.keys(pipeline.outputs).map((name) => [name, writeOutput(name, "described")]);
  pipeline.build(Object.fromEntries(inputs) as never, Object.fromEntries(outputs) as never, params.data);
  const { rootTransformIds, components } = graph.proto();
  const lines: string[] = [];
  const visit = (id: string, depth: number) => {
    const transform = components?.transforms[id];
    if (transform === undefined) return;
    const name = transform.uniqueName.slice(transform.uniqueName.lastIndexOf("/") + 1);
    lines.push(`${"  ".repeat(depth)}${name}`);
    for (const part of transform.subtransforms) visit(part, depth + 1);
  };
  for (const id of rootTransformIds) visit(id, 0);
  return lines;
}

export function typeText({ type, nullable }: Column): string {
  const text = type.kind === "decimal" ? `decimal(${type.precision}, ${type.scale})` : type.kind;
  return nullable ? `${text} or null` : text;
}

const delivery = (output: Table) =>
  output.mode === "upsert"
    ? `a row replaces the row with the same ${output.key.join(", ")}`
    : "reading the same input again replaces what it gave before";

/** The fields of an input's records. */
export function fieldsOf(model: z.ZodType): [string, string][] {
  const shape = (model as unknown as { shape?: Record<string, z.ZodType> }).shape ?? {};
  return Object.entries(shape).map(([name, type]) => [name, type.meta()?.description ?? ""]);
}

/** Where `live:` is, by the usual parameters; null where it is nowhere. */
function liveOf(pipeline: Pipeline, live: ((params: never) => string) | null | undefined): Address | null {
  const params = pipeline.params.safeParse({});
  return live == null || !params.success ? null : parseAddress(live(params.data as never));
}

/** What is given only once is kept in an inbox, which is on the machine of the job. */
const needsInbox = (address: Address): boolean => {
  const source = sourceOf(address);
  return source.flow !== undefined && source.follow === undefined;
};

function liveInputLines(pipeline: Pipeline, { live }: InputSpec): string[] {
  const address = liveOf(pipeline, live);
  if (address === null) return [];
  const where = `  --from live: reads ${address.scheme}:${address.path}`;
  return needsInbox(address) ? [`${where}, which only the direct runner can without end`] : [where];
}

function liveOutputLines(pipeline: Pipeline, { live }: OutputSpec<unknown>): string[] {
  const address = liveOf(pipeline, live);
  if (address === null) return [];
  const sink = sinkOf(address);
  return [
    `  --to live: writes ${address.scheme}:${address.path}: ${sink.delivery}`,
    `  on Flink with --streaming: ${onCluster(sink).streaming}`,
  ];
}

export function describe(pipeline: Pipeline): string {
  const heading = (text: string) => ["", paint.bold(text)];
  const lines = [`${paint.bold(pipeline.name)}: ${pipeline.summary} (version ${pipeline.version})`];
  for (const [name, input] of Object.entries(pipeline.inputs)) {
    lines.push(
      ...heading(`Input ${name}`),
      `  read from ${input.from} unless --from says otherwise`,
      ...liveInputLines(pipeline, input),
      ...table(fieldsOf(input.model)),
    );
  }
  for (const [name, spec] of Object.entries(pipeline.outputs)) {
    const { table: output } = spec;
    const columns = output.columns.map(
      (column) =>
        [column.name, `${typeText(column)}${column.description === "" ? "" : ` — ${column.description}`}`] as const,
    );
    lines.push(
      ...heading(`Output ${name}: table ${output.name}`),
      `  ${delivery(output)}`,
      ...liveOutputLines(pipeline, spec),
      ...table(columns),
    );
  }
  const parameters = parametersOf(pipeline.params);
  if (parameters.length > 0) lines.push(...heading("Parameters"), ...flagLines(parameters));
  lines.push(...heading("Graph"), ...graphLines(pipeline).map((line) => `  ${line}`));
  return lines.join("\n");
}

function liveJson(pipeline: Pipeline, live: InputSpec["live"]): object {
  const address = liveOf(pipeline, live);
  return address === null
    ? {}
    : { live: `${address.scheme}:${address.path}`, runners: needsInbox(address) ? ["direct"] : ["any"] };
}

export function describeJson(pipeline: Pipeline): unknown {
  return {
    name: pipeline.name,
    summary: pipeline.summary,
    version: pipeline.version,
    inputs: Object.entries(pipeline.inputs).map(([name, { model, from, live }]) => ({
      name,
      from,
      ...liveJson(pipeline, live),
      fields: fieldsOf(model).map(([field, description]) => ({ name: field, description })),
    })),
    outputs: Object.entries(pipeline.outputs).map(([name, { table: output }]) => ({
      name,
      table: output.name,
      key: output.key,
      delivery: delivery(output),
      columns: output.columns.map((column) => ({
        name: column.name,
        type: typeText(column),
        description: column.description,
      })),
    })),
    parameters: parametersOf(pipeline.params),
    graph: graphLines(pipeline),
  };
}
