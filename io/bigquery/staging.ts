// Where the rows of one output wait until the batch is committed: a table of BigQuery's that nobody else looks at.
import { type Row } from "../../schema/table";
import { type Rejected } from "../connector";
import { type Jobs } from "./jobs";
import { STAGING_PREFIX } from "./names";
import { type Rest } from "./rest";
import { type FoundTable, type StoredType } from "./shape";
import { SEQUENCE, type StagedForm } from "./staged-row";

/** When nobody could take it away, it goes by itself. */
const KEPT_MS = 24 * 3_600_000;

export interface Staging {
  /** Takes rows; gives those that BigQuery refuses one by one. */
  add(rows: readonly Row[]): Promise<readonly Rejected[]>;
  /** Brings all of them into a table, and gives its name; null when there were none. */
  finish(): Promise<string | null>;
  /** What they are, in a word that is the same only for the same rows; known behind finish(). */
  readonly content: string;
  /** Lets go of all that it made. Never throws. */
  drop(): Promise<void>;
}

/** What staging needs to know of the dataset. */
export interface Ground {
  readonly rest: Rest;
  readonly jobs: Jobs;
  readonly location: string;
}

/** A name that tells people what it is; `mark` makes it this batch's and no other's. */
export const stagingName = (output: string, mark: string): string =>
  `${STAGING_PREFIX}${output.replaceAll(/\W/g, "_").slice(0, 200)}_${mark}`;

const STAGED_TYPES: Readonly<Record<string, StoredType>> = {
  integer: "INT64",
  double: "FLOAT64",
  boolean: "BOOL",
  timestamp: "TIMESTAMP",
  date: "DATE",
  bytes: "BYTES",
  decimal: "NUMERIC",
};

export const stagedFields = ({ table }: StagedForm) =>
  table.columns.map(({ name, type }) => ({
    name,
    type: STAGED_TYPES[type.kind] ?? "STRING",
    mode: name === SEQUENCE ? "REQUIRED" : "NULLABLE",
  }));

/** Makes the table, or finds the one that was made for the same rows; gives the time when it was made. */
export async function createStaging({ rest }: Ground, name: string, form: StagedForm): Promise<string> {
  const { project, dataset } = rest.settings;
  const made = await rest.make<FoundTable>({
    method: "POST",
    path: `/datasets/${dataset}/tables`,
    body: {
      tableReference: { projectId: project, datasetId: dataset, tableId: name },
      description: "Rows of a batch that beamline is about to merge; it goes by itself.",
      schema: { fields: stagedFields(form) },
      expirationTime: String(Date.now() + KEPT_MS),
    },
  });
  const found = made ?? (await rest.find<FoundTable>({ method: "GET", path: `/datasets/${dataset}/tables/${name}` }));
  return found?.creationTime ?? "";
}

export async function dropStaging({ rest }: Ground, name: string): Promise<void> {
  // It goes by itself later, when it cannot be taken away now.
  await rest
    .find({ method: "DELETE", path: `/datasets/${rest.settings.dataset}/tables/${name}` })
    .catch(() => undefined);
}

/** A row as the pipeline gave it, and as it is staged. */
export interface TakenRow {
  readonly row: Row;
  readonly staged: Row;
}

/** Splits rows into those that can be staged and those that BigQuery cannot hold. */
export function sift(form: StagedForm, rows: readonly Row[]): { taken: TakenRow[]; rejected: Rejected[] } {
  const taken: TakenRow[] = [];
  const rejected: Rejected[] = [];
  for (const row of rows) {
    const result = form.take(row);
    if ("rejected" in result) rejected.push(result.rejected);
    else taken.push({ row, staged: result.staged });
  }
  return { taken, rejected };
}
