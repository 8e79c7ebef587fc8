// An output that goes to several places: for all that runs it, it is several outputs with the same rows. The first keeps
// its name, the others are numbered: candles, candles-2, candles-3.
import { named, type PCollection } from "../beam";
import { type Pipeline } from "../pipelines/definition";
import { type Row } from "../schema/table";

const NUMBERED = /^(.+)-([2-9]|[1-9]\d+)$/;

/** The name of an output's place, counted from 0. */
export const nameOfPlace = (output: string, index: number): string => (index === 0 ? output : `${output}-${index + 1}`);

/** The pipeline with those of the names that are further places of an output as outputs of their own. */
export function withPlaces(pipeline: Pipeline, names: readonly string[]): Pipeline {
  const further = names.flatMap((name) => {
    const [, of = ""] = NUMBERED.exec(name) ?? [];
    const spec = Object.hasOwn(pipeline.outputs, name) ? undefined : pipeline.outputs[of];
    return spec === undefined ? [] : [{ name, of, spec }];
  });
  if (further.length === 0) return pipeline;
  return {
    ...pipeline,
    outputs: { ...pipeline.outputs, ...Object.fromEntries(further.map(({ name, spec }) => [name, spec])) },
    build(inputs, ends, params) {
      const all = Object.keys(pipeline.outputs).map((output) => {
        const places = [output, ...further.filter(({ of }) => of === output).map(({ name }) => name)];
        const toAll = named(`${output} to all places`, (rows: PCollection<Row>): void => {
          for (const place of places) {
            const end = ends[place];
            if (end === undefined) throw new Error(`The output ${place} has no end of the graph`);
            rows.apply(end);
          }
        });
        return [output, toAll] as const;
      });
      pipeline.build(inputs, Object.fromEntries(all), params);
    },
  };
}
