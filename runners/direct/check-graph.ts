// What may be in the graph of a job that goes on. Only clean and aggregate know how to go on from batch to batch; any
// other shape that gathers elements would begin anew with every batch, and give wrong rows without a word.
import { type Graph, type RunContext } from "../../beam";
import { UsageError } from "../../schema/errors";
import { aggregatesOf } from "../../transforms/aggregates-of";

const GATHERING: Readonly<Record<string, string>> = {
  "beam:transform:group_by_key:v1": "groups elements",
  "beam:transform:combine_per_key:v1": "combines elements",
  "beam:transform:combine_globally:v1": "combines elements",
};
const PAR_DO = "beam:transform:pardo:v1";

/** Refuses, by name, what cannot go on. */
export function checkGraph(graph: Graph, context: RunContext, uncleaned: readonly string[]): void {
  const transforms = Object.values(graph.proto().components?.transforms ?? {});
  for (const { uniqueName, spec, inputs, subtransforms } of transforms) {
    const gathers = GATHERING[spec?.urn ?? ""];
    if (gathers !== undefined) refuse(uniqueName, `${gathers}, and only aggregate can do that from batch to batch`);
    if (spec?.urn === PAR_DO && subtransforms.length === 0 && Object.keys(inputs).length > 1)
      refuse(uniqueName, "has a side input, which would be that of one batch only");
  }
  const aggregates = transforms.filter(({ uniqueName }) => uniqueName.endsWith("/go on"));
  for (const first of aggregates) {
    const fed = new Set(Object.values(first.outputs));
    // Transforms stand in the order in which they were applied, so one pass finds all that comes after.
    for (const { inputs, outputs, uniqueName, subtransforms } of transforms) {
      if (subtransforms.length > 0 || !Object.values(inputs).some((id) => fed.has(id))) continue;
      if (uniqueName.endsWith("/go on"))
        refuse(uniqueName.slice(0, -"/go on".length), "aggregates the rows of another aggregate, which change");
      for (const id of Object.values(outputs)) fed.add(id);
    }
  }
  const known = aggregatesOf(context);
  const names = known.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined)
    refuse(twice, "is there twice: give each aggregate a name of its own, under which its state is kept");
  const [input] = uncleaned;
  if (known.length > 0 && input !== undefined)
    refuse(input, "is an input that is aggregated but not cleaned, so that nobody knows how far its time is");
}

function refuse(name: string, what: string): never {
  throw new UsageError(`This pipeline cannot run with --streaming: “${name}” ${what}`);
}
