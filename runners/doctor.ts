// What a run with the same words would need: that its settings fit, that there is room, and that every place answers. All
// places are asked at the same time, none of them for long, and nothing is changed.
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import path from "node:path";
import { defaultContext } from "../beam";
import { EVERYTHING, type Address, type Finding, type Output } from "../io/connector";
import { fine, findingsOf, wrong } from "../io/findings";
import { shownPath } from "../io/local-path";
import { sinkOf, sourceOf } from "../io/registry";
import { type Pipeline } from "../pipelines/definition";
import { messageOf } from "../schema/errors";
import { aggregatesOf } from "../transforms/aggregates-of";
import { batchContext } from "./direct/batch-context";
import { buildGraph } from "./direct/build-graph";
import { checkGraph } from "./direct/check-graph";
import { checkNothingWaits, placeOf } from "./direct/fallback";
import { findCluster } from "./flink/cluster";
import { findJobServer } from "./flink/job-server";
import { type RunOptions } from "./run-options";
import { checkAligned, isAll, stretchOf } from "./stretch";

/** What was said, as far as it could be read. */
export interface Asked {
  pipeline: Pipeline;
  options: RunOptions | null;
  params: unknown;
  inputs: Readonly<Record<string, Address>>;
  outputs: Readonly<Record<string, Address>>;
}

export interface Examined extends Finding {
  /** In two or three words. */
  readonly about: string;
}

/** How long a place may take to answer, in milliseconds. */
const PATIENCE = 10_000;

/** As in package.json; older ones lack what we use. */
const LEAST_NODE = [20, 19] as const;

/** With less than that a run of any size is in danger. */
const LITTLE_ROOM = 256 * 1024 * 1024;

/** `mistakes` are what is wrong with the words and settings themselves. */
export async function examine(
  asked: Asked,
  mistakes: readonly string[],
  patience = PATIENCE,
): Promise<readonly Examined[]> {
  const { options } = asked;
  const settings = mistakes.length > 0 ? mistakes.map(wrong) : await settingsOf(asked);
  const here = [
    ...named("Node", [nodeVersion()]),
    ...named("settings", settings),
    ...(options === null ? [] : named("disk", await findingsOf(() => roomAt(options["state-dir"])))),
    ...(options?.runner === "flink" ? named("Flink", await findFlink(options)) : []),
  ];
  const places = await Promise.all([...inputsOf(asked), ...outputsOf(asked)].map((place) => ask(place, patience)));
  return [...here, ...places.flat()];
}

async function findFlink({ "flink-master": master }: RunOptions): Promise<readonly Finding[]> {
  return [...(await findJobServer(master !== undefined)), ...(master === undefined ? [] : await findCluster(master))];
}

const named = (about: string, found: readonly Finding[]): Examined[] => found.map((one) => ({ about, ...one }));

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [least, leastMinor] = LEAST_NODE;
  const isOld = major < least || (major === least && minor < leastMinor);
  return isOld
    ? wrong(`This is Node ${process.versions.node}: it takes ${LEAST_NODE.join(".")} or later`)
    : fine(`Node ${process.versions.node}`);
}

/** Whether the pipeline can be run with these options at all. */
function settingsOf({ pipeline, options, params }: Asked): Promise<readonly Finding[]> {
  return findingsOf(async () => {
    if (options === null) return [];
    const job = options.job ?? pipeline.name;
    const goesOn = options.streaming;
    const context = batchContext({ pipeline, options }, { ...defaultContext, job, goesOn });
    const { graph, uncleaned } = buildGraph(pipeline, params, context, {});
    if (goesOn) checkGraph(graph, context, uncleaned);
    const stretch = stretchOf(options);
    if (!goesOn && !isAll(stretch)) checkAligned(stretch, aggregatesOf(context));
    checkNothingWaits(options["state-dir"], job, options.fallback);
    return [fine("Options, parameters and environment fit together")];
  });
}

async function roomAt(directory: string): Promise<readonly Finding[]> {
  let at = path.resolve(directory);
  while (!existsSync(at)) at = path.dirname(at);
  const { bavail, bsize } = await statfs(at);
  const free = bavail * bsize;
  const text = `${Math.floor(free / 1024 / 1024).toLocaleString("en")} MB are free for ${shownPath(path.resolve(directory))}`;
  return [free < LITTLE_ROOM ? wrong(`Only ${text}: make room`) : fine(text)];
}

interface Place {
  readonly about: string;
  readonly shown: string;
  readonly check: () => Promise<readonly Finding[]>;
}

const shownOf = ({ scheme, path: where }: Address): string => `${scheme}:${where}`;

const inputsOf = ({ inputs, options }: Asked): Place[] =>
  Object.entries(inputs).map(([name, address]) => {
    const source = sourceOf(address);
    const look = async (): Promise<readonly Finding[]> => {
      // A source that has an end tells by its plan what lies there.
      if (source.check !== undefined) return source.check(address);
      const ranges = await source.plan(address, EVERYTHING);
      return [fine(`${shownOf(address)} can be read${ranges.length > 1 ? `: ${ranges.length} parts` : ""}`)];
    };
    const goesOn = source.follow !== undefined || source.flow !== undefined;
    const check = (): Promise<readonly Finding[]> =>
      options?.streaming === true && !goesOn
        ? Promise.resolve([wrong(`“${address.scheme}:” has an end: it cannot be read with --streaming`)])
        : look();
    return { about: `input ${name}`, shown: shownOf(address), check };
  });

/** Outputs of one place are asked for together, as they are written. */
function outputsOf({ pipeline, outputs }: Asked): Place[] {
  const places = new Map<string, { readonly address: Address; readonly outputs: Output[] }>();
  for (const [name, address] of Object.entries(outputs)) {
    const spec = pipeline.outputs[name];
    if (spec === undefined) continue;
    let key: string;
    try {
      key = placeOf(address);
    } catch {
      // What is wrong with the address, its own check says.
      key = name;
    }
    const place = places.get(key) ?? { address, outputs: [] };
    places.set(key, place);
    place.outputs.push({ name, table: spec.table });
  }
  return [...places.values()].map(({ address, outputs: together }) => ({
    about: `output ${together.map(({ name }) => name).join(", ")}`,
    shown: shownOf(address),
    check: async () =>
      (await sinkOf(address).check?.(address, together)) ?? [fine(`${shownOf(address)} has no check of its own`)],
  }));
}

async function ask({ about, shown, check }: Place, patience: number): Promise<readonly Examined[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Finding[]>((resolve) => {
    const text = `${shown} does not answer within ${patience / 1000} s: is the server there, and may this machine reach it?`;
    timer = setTimeout(() => resolve([wrong(text)]), patience);
  });
  try {
    return named(about, await Promise.race([Promise.resolve().then(check), late]));
  } catch (error) {
    return named(about, [wrong(messageOf(error))]);
  } finally {
    clearTimeout(timer);
  }
}
