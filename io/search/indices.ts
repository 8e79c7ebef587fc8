// The index of an output, or its indices: looked at, compared with the table, made and widened.
import { RunError, UsageError } from "../../schema/errors";
import { columnOf, type Column } from "../../schema/table";
import { type Output } from "../connector";
import { type Cluster } from "./cluster";
import { saidIn } from "./failures";
import { prefixOf, rollsOver } from "./index-names";
import { ensureLifecycle, lifecycleSettings } from "./lifecycle";
import { checkTable, differencesOf, mappingOf, missingFrom, type Fields } from "./mapping";
import { type SearchSettings } from "./options";

/** What was found of an output's index. */
export interface Found {
  readonly isThere: boolean;
  /** Columns that it does not have yet. */
  readonly missing: readonly Column[];
}

type Mappings = Readonly<Record<string, { readonly mappings: { readonly properties?: Fields } }>>;

/** Refuses what the settings and the outputs do not allow together, before anything is asked. */
export function checkOutputs(settings: SearchSettings, outputs: readonly Output[]): void {
  const { shown, fullText, rollover } = settings;
  for (const { table } of outputs) checkTable(table, fullText);
  const tables = outputs.map(({ table }) => table.name).join(", ");
  for (const name of fullText) {
    if (!outputs.some(({ table }) => table.columns.some((column) => column.name === name)))
      throw new UsageError(`${shown} has the option full-text=${name}, but no such column is in ${tables}`);
  }
  if (rollover === null) return;
  const rolled = outputs.filter((output) => rollsOver(output, settings));
  if (rolled.length === 0)
    throw new UsageError(
      `${shown} has the option rollover=${rollover.period}(${rollover.column}), but that column is not in the key of ${tables}: a row that is written again could go to another index`,
    );
  for (const { table } of rolled) {
    const { kind } = columnOf(table, rollover.column).type;
    if (kind !== "timestamp" && kind !== "date")
      throw new UsageError(
        `${shown} has the option rollover=${rollover.period}(${rollover.column}), but that column of ${table.name} is no timestamp or date`,
      );
  }
}

/** What is there under the name; a UsageError with the difference when it does not fit. Changes nothing. */
export async function compareIndex(cluster: Cluster, index: string, output: Output): Promise<Found> {
  const { settings, shown } = cluster;
  const { table } = output;
  const { status, body } = await cluster.look<Mappings>({
    method: "GET",
    path: `/${encodeURIComponent(index)}/_mapping`,
    taken: [404],
  });
  if (status === 404) return { isThere: false, missing: table.columns };
  const found = Object.entries(body);
  checkNames(
    found.map(([name]) => name),
    index,
    output,
    cluster,
  );
  const differences = new Set(
    found.flatMap(([, { mappings }]) => differencesOf(mappings.properties ?? {}, table, settings.fullText)),
  );
  if (differences.size > 0)
    throw new UsageError(
      `The index ${index} of ${shown} has another shape: ${[...differences].join("; ")}. Delete it, or write to another (index=…)`,
    );
  const missing = new Set(
    found.flatMap(([, { mappings }]) => missingFrom(mappings.properties ?? {}, table, settings.fullText)),
  );
  return { isThere: true, missing: [...missing] };
}

/** One name must mean one place for each row. */
function checkNames(names: readonly string[], index: string, output: Output, { settings, shown }: Cluster): void {
  const { rollover } = settings;
  if (rollover !== null && rollsOver(output, settings)) {
    const prefix = prefixOf(index, rollover.period);
    const other = names.find((name) => !name.startsWith(prefix));
    if (other !== undefined)
      throw new UsageError(
        `${shown} has the index ${other} under the name ${index}, which rollover=${rollover.period}(${rollover.column}) does not make: its rows would be there twice. Reindex or delete it, or write to another (index=…)`,
      );
  } else if (names.length > 1) {
    throw new UsageError(
      `${index} is an alias of ${names.length} indices of ${shown} (${names.slice(0, 3).join(", ")}): say rollover= as when they were made, or write to another (index=…)`,
    );
  }
}

/** Makes what is missing. Several processes may do so at once. */
export async function prepareIndex(cluster: Cluster, index: string, output: Output, found: Found): Promise<void> {
  const { settings } = cluster;
  const { table } = output;
  const isRolled = rollsOver(output, settings);
  if (isRolled) await ensureLifecycle(cluster, index);
  if (found.isThere && found.missing.length === 0) return;
  const mappings = mappingOf(table, settings.fullText);
  if (found.isThere) {
    const properties = Object.fromEntries(found.missing.map(({ name }) => [name, mappings.properties[name]]));
    await cluster.act({ method: "PUT", path: `/${encodeURIComponent(index)}/_mapping`, body: { properties } });
  }
  await putTemplate(cluster, index, output, isRolled);
  if (found.isThere || isRolled) return;
  const { status, body } = await cluster.act<unknown>({
    method: "PUT",
    path: `/${encodeURIComponent(index)}`,
    body: { settings: sizesOf(settings), mappings },
    taken: [400],
  });
  if (status !== 400) return;
  const { type, reason } = saidIn(body);
  if (type !== "resource_already_exists_exception")
    throw new RunError(`${cluster.shown} does not make the index ${index}: ${reason}`);
  // Another process was first.
  await compareIndex(cluster, index, output);
}

const sizesOf = ({ shards, replicas }: SearchSettings) => ({
  ...(shards === null ? {} : { number_of_shards: shards }),
  ...(replicas === null ? {} : { number_of_replicas: replicas }),
});

/** By the template an index that is made by a write, of a new day or where somebody has deleted it, is like the others. */
async function putTemplate(cluster: Cluster, index: string, output: Output, isRolled: boolean): Promise<void> {
  const { settings } = cluster;
  const { rollover, fullText } = settings;
  const pattern = isRolled && rollover !== null ? `${prefixOf(index, rollover.period)}*` : index;
  await cluster.act({
    method: "PUT",
    path: `/_index_template/${encodeURIComponent(`beamline-${index}`)}`,
    body: {
      index_patterns: [pattern],
      // Above those that come with the servers.
      priority: 500,
      template: {
        settings: { ...sizesOf(settings), ...(isRolled ? lifecycleSettings(settings, index) : {}) },
        mappings: mappingOf(output.table, fullText),
        ...(isRolled ? { aliases: { [index]: {} } } : {}),
      },
    },
  });
}

/** Makes all that was written findable. An index that is not there has nothing in it. */
export async function refresh(cluster: Cluster, index: string): Promise<void> {
  await cluster.act({ method: "POST", path: `/${encodeURIComponent(index)}/_refresh`, taken: [404] });
}
