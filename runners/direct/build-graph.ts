// A pipeline's graph, built for one batch: its inputs read the batch's ranges, its outputs write to what the batch opened.
import { newGraph, type Graph, type PCollection, type PTransform, type Root, type RunContext } from "../../beam";
import { type Pipeline } from "../../pipelines/definition";
import { type Range, type SourceRecord } from "../../schema/record";
import { type Row } from "../../schema/table";
import { timesCleaned } from "../../transforms";
import { readRanges } from "../read-range";
import { writeOutput } from "./open-outputs";

type OutputEnd = PTransform<PCollection<Row>, void>;

export interface BuiltGraph {
  readonly graph: Graph;
  /** Whether every input is cleaned exactly once. */
  readonly cleanedOnce: boolean;
  /** Inputs that are not cleaned at all. */
  readonly uncleaned: readonly string[];
}

export function buildGraph(
  pipeline: Pipeline,
  params: unknown,
  context: RunContext,
  ranges: Readonly<Record<string, readonly Range[]>>,
  /** What an output's rows go to, by its name. */
  endOf: (output: string) => OutputEnd = (name) => writeOutput(name, context.batch),
  /** What an input's records come from, by its name. */
  beginOf: (input: string, root: Root) => PCollection<SourceRecord> = (name, root) =>
    readRanges(root, name, ranges[name] ?? []),
): BuiltGraph {
  const graph = newGraph(context);
  const inputs: Record<string, PCollection<SourceRecord>> = {};
  for (const name of Object.keys(pipeline.inputs)) inputs[name] = beginOf(name, graph.root);
  const outputs = Object.keys(pipeline.outputs).map((name) => [name, endOf(name)] as const);
  pipeline.build(inputs, Object.fromEntries(outputs), params);
  const times = Object.entries(inputs).map(([name, input]) => [name, timesCleaned(input)] as const);
  return {
    graph,
    cleanedOnce: times.every(([, n]) => n === 1),
    uncleaned: times.filter(([, n]) => n === 0).map(([name]) => name),
  };
}
