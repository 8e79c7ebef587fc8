// The script that makes a batch visible: all outputs of one dataset in one transaction, and the record of the batch with them.
import { type Range } from "../../schema/record";
import { dayFrom } from "../../schema/time-text";
import { type Batch, type Output, type Stretch } from "../connector";
import { BATCHES, quoteName, quoteTable, quoteText, timeLiteral, type Place } from "./names";
import { isStagedText, SEQUENCE, stagedName, type StagedDecimals } from "./staged-row";
import { type Shape, type StoredColumn } from "./shape";

/** What a batch gives for one output. */
export interface Given {
  readonly output: Output;
  readonly shape: Shape;
  /** The table with its rows; null when it has none. */
  readonly staging: { readonly name: string; readonly decimals: StagedDecimals } | null;
  /** The first and the last time of its rows, where the target is partitioned by it. */
  readonly days: { readonly first: number; readonly last: number } | null;
  readonly rows: number;
}

/**
 * A part of a job's rows has no record, and is one output's: a statement of its own, which BigQuery lets run beside others of the
 * same table, where of two transactions one would give way. Null when it changes nothing.
 */
export function partStatement(place: Place, { shape, staging, days, output }: Given): string | null {
  return staging === null ? null : mergeSql(place, shape, staging, days, [], output.growsBy);
}

export function commitScript(place: Place, batch: Batch, given: readonly Given[]): string {
  const statements = given.flatMap((one) => [...changesOf(place, batch, one), recordSql(place, batch, one)]);
  return ["BEGIN TRANSACTION", ...statements, "COMMIT TRANSACTION"].map((statement) => `${statement};\n`).join("");
}

function changesOf(place: Place, batch: Batch, { output, shape, staging, days }: Given): string[] {
  const target = quoteTable(place, shape.table.name);
  const { mode, recomputedBy } = shape.table;
  const isDue = dueSql(place, batch, output.name);
  const notGiven = staging === null ? [] : [`NOT EXISTS (${keysSql(shape, staging, place)})`];
  const statements: string[] = [];
  if (staging !== null) statements.push(mergeSql(place, shape, staging, days, isDue, output.growsBy));
  const takeOut = (conditions: readonly string[]) =>
    statements.push(`DELETE FROM ${target} AS t WHERE ${[...conditions, ...notGiven, ...isDue].join(" AND ")}`);
  if (mode === "by-origin" && batch.ranges.length > 0) takeOut(originSql(batch));
  if (recomputedBy !== undefined && batch.covers !== undefined) takeOut(stretchSql(shape, recomputedBy, batch.covers));
  return statements;
}

/**
 * Of a batch that is run again until it is committed: true only while it is not on record, and no younger process has taken
 * the job over. Within the transaction nobody else can change the answer.
 */
function dueSql(place: Place, { job, id, turn }: Batch, output: string): string[] {
  if (turn === null) return [];
  return [
    `NOT EXISTS (SELECT 1 FROM ${quoteTable(place, BATCHES)} AS r WHERE r.\`job\` = ${quoteText(job)} ` +
      `AND r.\`output\` = ${quoteText(output)} AND (r.\`batch\` = ${quoteText(id)} OR r.\`epoch\` > ${turn.epoch}))`,
  ];
}

/** The last row of each key takes the place of the one that is there; a row that is as it should be is not written again. */
function mergeSql(
  place: Place,
  shape: Shape,
  { name, decimals }: NonNullable<Given["staging"]>,
  days: Given["days"],
  isDue: readonly string[],
  growsBy: string | undefined,
): string {
  const { table, columns, partition } = shape;
  const isKey = ({ column }: StoredColumn) => table.key.includes(column.name);
  const isStamp = ({ column }: StoredColumn) => table.stamps?.includes(column.name) === true;
  const at = (stored: StoredColumn) => stagedName(columns.indexOf(stored));
  const keys = columns.filter(isKey);
  const others = columns.filter((stored) => !isKey(stored));
  const compared = others.filter((stored) => !isStamp(stored));
  const selected = columns.map((stored) => `${fromStaged(stored, at(stored), decimals)} AS ${at(stored)}`);
  const same = keys.map((stored) => `t.${quoteName(stored.column.name)} = s.${at(stored)}`);
  const differ = compared.map((stored) => {
    const [there, given] = [`t.${quoteName(stored.column.name)}`, `s.${at(stored)}`];
    // JSON has no order and no equality of its own.
    return stored.type === "JSON"
      ? `TO_JSON_STRING(${there}) IS DISTINCT FROM TO_JSON_STRING(${given})`
      : `${there} IS DISTINCT FROM ${given}`;
  });
  const sets = others.map((stored) => `${quoteName(stored.column.name)} = s.${at(stored)}`);
  const isLess = columns
    .filter(({ column }) => column.name === growsBy)
    .map((stored) => {
      const there = `t.${quoteName(stored.column.name)}`;
      return ` AND (${there} IS NULL OR ${there} <= s.${at(stored)})`;
    });
  const update =
    compared.length === 0
      ? ""
      : `WHEN MATCHED AND (${differ.join(" OR ")})${isLess.join("")} THEN UPDATE SET ${sets.join(", ")} `;
  return (
    `MERGE ${quoteTable(place, table.name)} AS t USING (SELECT ${selected.join(", ")} ` +
    `FROM ${quoteTable(place, name)} AS g WHERE ${["TRUE", ...isDue].join(" AND ")} QUALIFY ROW_NUMBER() OVER ` +
    `(PARTITION BY ${keys.map((stored) => `g.${at(stored)}`).join(", ")} ORDER BY g.${SEQUENCE} DESC) = 1) AS s ` +
    `ON ${[...same, ...onlyDays(shape, partition, days)].join(" AND ")} ${update}WHEN NOT MATCHED THEN INSERT ` +
    `(${columns.map(({ column }) => quoteName(column.name)).join(", ")}) VALUES (${columns.map((stored) => `s.${at(stored)}`).join(", ")})`
  );
}

/** Says what follows from the keys already, in a form by which BigQuery leaves other days' partitions alone. */
function onlyDays({ table }: Shape, partition: string | null, days: Given["days"]): string[] {
  const column = table.columns.find(({ name }) => name === partition);
  if (days === null || column === undefined) return [];
  const literal = column.type.kind === "date" ? dateLiteral : timeLiteral;
  const name = `t.${quoteName(column.name)}`;
  return [`${name} >= ${literal(days.first)}`, `${name} <= ${literal(days.last)}`];
}

function fromStaged(stored: StoredColumn, name: string, decimals: StagedDecimals): string {
  if (!isStagedText(stored, decimals)) return `g.${name}`;
  if (stored.column.type.kind === "decimal") return `PARSE_${stored.type}(g.${name})`;
  if (stored.type === "JSON") return `PARSE_JSON(g.${name}, wide_number_mode => 'round')`;
  return `g.${name}`;
}

/** The keys that a batch gives, for a row t. */
function keysSql({ table, columns }: Shape, { name, decimals }: NonNullable<Given["staging"]>, place: Place): string {
  const same = columns.flatMap((stored, at) =>
    table.key.includes(stored.column.name)
      ? [`${fromStaged(stored, stagedName(at), decimals)} = t.${quoteName(stored.column.name)}`]
      : [],
  );
  return `SELECT 1 FROM ${quoteTable(place, name)} AS g WHERE ${same.join(" AND ")}`;
}

/** Rows that an earlier run of this job left of the ranges that this batch reads again. */
function originSql({ job, ranges }: Batch): string[] {
  const byTime = ranges.some(({ times }) => times !== undefined);
  const isOfItsTimes =
    " AND (r.since IS NULL OR t.`timestamp` >= r.since) AND (r.until IS NULL OR t.`timestamp` < r.until)";
  return [
    `t.\`job\` = ${quoteText(job)}`,
    `EXISTS (SELECT 1 FROM UNNEST(ARRAY<STRUCT<source STRING, start INT64, stop INT64, since TIMESTAMP, until TIMESTAMP>>` +
      `[${ranges.map(rangeLiteral).join(", ")}]) AS r WHERE r.source = t.\`source\` AND t.\`position\` >= r.start ` +
      `AND (r.stop IS NULL OR t.\`position\` < r.stop)${byTime ? isOfItsTimes : ""})`,
  ];
}

function rangeLiteral({ source, from, to, times }: Range): string {
  const time = (at: number | null | undefined) => (at == null ? "NULL" : timeLiteral(at));
  return `(${quoteText(source)}, ${from}, ${to ?? "NULL"}, ${time(times?.since)}, ${time(times?.until)})`;
}

/** Rows of a stretch of time that a run gives whole. */
function stretchSql({ table }: Shape, by: string, { since, until }: Stretch): string[] {
  const isDate = table.columns.find(({ name }) => name === by)?.type.kind === "date";
  const literal = isDate ? (at: number) => `DATE '${dayFrom(at)}'` : timeLiteral;
  const name = `t.${quoteName(by)}`;
  return [
    "TRUE",
    ...(since === null ? [] : [`${name} >= ${literal(since)}`]),
    ...(until === null ? [] : [`${name} < ${literal(until)}`]),
  ];
}

/** A day as SQL, by a time in it. */
const dateLiteral = (milliseconds: number): string => `DATE '${new Date(milliseconds).toISOString().slice(0, 10)}'`;

/** Puts the batch on record. No clock in it: the same run leaves the same rows. */
function recordSql(place: Place, batch: Batch, { output, rows }: Given): string {
  const { job, id, turn } = batch;
  const sets = [
    `\`batch\` = ${quoteText(id)}`,
    `\`number\` = ${turn?.number ?? "NULL"}`,
    // A run on its own takes no job over: what keeps older processes out stays.
    ...(turn === null ? [] : [`\`epoch\` = ${turn.epoch}`]),
    `\`rows\` = ${rows}`,
  ];
  const isIt = `\`job\` = ${quoteText(job)} AND \`output\` = ${quoteText(output.name)}`;
  const isDue =
    turn === null ? "" : ` AND \`batch\` <> ${quoteText(id)} AND (\`epoch\` IS NULL OR \`epoch\` <= ${turn.epoch})`;
  return `UPDATE ${quoteTable(place, BATCHES)} SET ${sets.join(", ")} WHERE ${isIt}${isDue}`;
}

/** Adds rows to the record of batches, for outputs that have none: only a row that is there can be fought for. */
export function firstRecordsSql(place: Place, job: string, outputs: readonly string[]): string {
  const rows = outputs.map((output) => `SELECT ${quoteText(job)} AS j, ${quoteText(output)} AS o`);
  return (
    `MERGE ${quoteTable(place, BATCHES)} AS t USING (${rows.join(" UNION ALL ")}) AS s ON t.\`job\` = s.j AND t.\`output\` = s.o ` +
    `WHEN NOT MATCHED THEN INSERT (\`job\`, \`output\`, \`batch\`, \`rows\`) VALUES (s.j, s.o, '', 0)`
  );
}
