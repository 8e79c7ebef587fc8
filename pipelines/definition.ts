// What a pipeline is: its inputs, outputs and parameters, and the graph between them. Runners and the command know a
// pipeline by this alone.
import { type z } from "zod";
import { type PCollection, type PTransform } from "../beam";
import { type SourceRecord } from "../schema/record";
import { tableOf, type Row, type Table } from "../schema/table";
import { deadLettersTable, type DeadLetter } from "../transforms";

export interface InputSpec {
  /** The model of a record as it is on the wire, for the docs. */
  readonly model: z.ZodType;
  /** The bundled file that `sample:` stands for. */
  readonly sample: string;
  /** Where it is read from when nothing else is said. */
  readonly from: string;
  /** What `live:` stands for, by the pipeline's parameters: where the system has these records. */
  readonly live: ((params: never) => string) | null;
}

export interface OutputSpec<T> {
  readonly table: Table;
  /** Where it is written when nothing is said; else the store that all pipelines write to. */
  readonly to?: string;
  /** What `live:` stands for, by the pipeline's parameters: where the system wants these rows. */
  readonly live?: (params: never) => string;
  /** What the log says, now and then, with the last row: “Published trade”. */
  readonly announced?: string;
  /** Never there at run time: the type of the rows. */
  readonly __row?: T;
}

/** An input: what its records look like, and the bundled file with some of them. */
export function input(
  model: z.ZodType,
  options: { readonly sample: string; readonly from?: string; readonly live?: (params: never) => string },
): InputSpec {
  return { model, sample: options.sample, from: options.from ?? "sample:", live: options.live ?? null };
}

/** An output: a table of rows of this model, each known by its key. */
export function table<Model extends z.ZodObject>(
  model: Model,
  options: {
    readonly name: string;
    readonly key: readonly (keyof z.infer<Model> & string)[];
    readonly messageKey?: readonly (keyof z.infer<Model> & string)[];
    readonly messageTime?: keyof z.infer<Model> & string;
    readonly stamps?: readonly (keyof z.infer<Model> & string)[];
    readonly recomputedBy?: keyof z.infer<Model> & string;
    readonly to?: string;
    readonly live?: (params: never) => string;
    readonly announced?: string;
  },
): OutputSpec<z.infer<Model>> {
  const { name, to, live, announced, ...shape } = options;
  return {
    table: tableOf(name, model, shape),
    ...(to === undefined ? {} : { to }),
    ...(live === undefined ? {} : { live }),
    ...(announced === undefined ? {} : { announced }),
  };
}

/** The output for records that could not be used. */
export const deadLetters: OutputSpec<DeadLetter> = { table: deadLettersTable };

export type InputSpecs = Readonly<Record<string, InputSpec>>;

type InputsOf<I> = { readonly [Name in keyof I]: PCollection<SourceRecord> };
type RowOf<O> = O extends OutputSpec<infer T> ? T : never;
/** An output's end of the graph: apply it to the rows. */
export type OutputTransform<T> = PTransform<PCollection<T>, void>;
type OutputsOf<O> = { readonly [Name in keyof O]: OutputTransform<RowOf<O[Name]>> };

export interface PipelineSpec<
  I extends InputSpecs,
  O extends Readonly<Record<string, OutputSpec<unknown>>>,
  P extends z.ZodObject,
> {
  /** In words joined by hyphens: the name on the command line, and the default name of its jobs. */
  readonly name: string;
  /** One sentence for the list. */
  readonly summary: string;
  /** Goes up when the meaning of its rows changes; dead letters carry it. */
  readonly version?: string;
  readonly inputs: I;
  readonly outputs: O;
  readonly params: P;
  build(inputs: InputsOf<I>, outputs: OutputsOf<O>, params: z.infer<P>): void;
}

/** A pipeline as runners and the command see it, whatever its rows. */
export interface Pipeline {
  readonly name: string;
  readonly summary: string;
  readonly version: string;
  readonly inputs: InputSpecs;
  readonly outputs: Readonly<Record<string, OutputSpec<unknown>>>;
  readonly params: z.ZodObject;
  build(
    inputs: Readonly<Record<string, PCollection<SourceRecord>>>,
    outputs: Readonly<Record<string, PTransform<PCollection<Row>, void>>>,
    params: unknown,
  ): void;
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Defines a pipeline. Its name, inputs and outputs are checked here, its graph where it is built. */
export function definePipeline<
  const I extends InputSpecs,
  const O extends Readonly<Record<string, OutputSpec<unknown>>>,
  P extends z.ZodObject,
>(spec: PipelineSpec<I, O, P>): Pipeline {
  if (!NAME.test(spec.name))
    throw new Error(`“${spec.name}” is no name for a pipeline: write it like trades-aggregate`);
  if (Object.keys(spec.inputs).length === 0) throw new Error(`The pipeline ${spec.name} has no input`);
  if (Object.keys(spec.outputs).length === 0) throw new Error(`The pipeline ${spec.name} has no output`);
  return { ...spec, version: spec.version ?? "1", build: spec.build as Pipeline["build"], [BRAND]: true } as Pipeline;
}

// By a symbol that every copy of this package shares, should there be two.
const BRAND = Symbol.for("beamline.pipeline");

/** Whether a value is a pipeline, such as an export of a module. */
export function isPipeline(value: unknown): value is Pipeline {
  return typeof value === "object" && value !== null && BRAND in value;
}
