// A pipeline's graph, built for one batch: its inputs read the batch's ranges, its outputs write to what the batch opened.
import { newGraph, type Graph, type PCollection, type RunContext } from "../../beam";
import { type Pipeline } from "../../pipelines/definition";
import { type Range, type SourceRecord } from "../../schema/record";
import { timesCleaned } from "../../transforms";
import { readRanges } from "../read-range";
import { writeOutput } from "./open-outputs";

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
  /** In a job that goes on: which of an aggregate's rows each output wants. */
  wants: Readonly<Record<string, "update" | "final">> = {},
): BuiltGraph {
  const graph = newGraph(context);
  const inputs: Record<string, PCollection<SourceRecord>> = {};
  for (const name of Object.keys(pipeline.inputs)) inputs[name] = readRanges(graph.root, name, ranges[name] ?? []);
  const outputs = Object.keys(pipeline.outputs).map(
    (name) => [name, writeOutput(name, context.batch, wants[name])] as const,
  );
  pipeline.build(inputs, Object.fromEntries(outputs), params);
  const times = Object.entries(inputs).map(([name, input]) => [name, timesCleaned(input)] as const);
  return {
    graph,
    cleanedOnce: times.every(([, n]) => n === 1),
    uncleaned: times.filter(([, n]) => n === 0).map(([name]) => name),
  };
}
