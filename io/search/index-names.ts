// How indices are called, and which one a row goes to.
import { UsageError } from "../../schema/errors";
import { type Output } from "../connector";
import { type Cell } from "../cell";
import { checkIndexName, type Period, type SearchSettings } from "./options";

/** Beside the indices of rows: which batch they stand at. */
export const BATCHES = "beamline-batches";

/** The index, or with `rollover` the alias, of each output; a UsageError where that does not go. */
export function indicesOf(settings: SearchSettings, outputs: readonly Output[]): ReadonlyMap<string, string> {
  const { shown, index } = settings;
  if (index !== null && outputs.length > 1)
    throw new UsageError(
      `${shown} has the option index=${index} for several outputs (${outputs.map(({ name }) => name).join(", ")}): give each its own, such as --to ${outputs[0]?.name}=${shown}?index=${index}`,
    );
  const found = new Map<string, string>();
  for (const { name, table } of outputs) {
    const own = index ?? table.name;
    if (index === null)
      checkIndexName(own, `The table ${table.name} cannot be an index of that name; say another by index=`);
    if (own === BATCHES) throw new UsageError(`The index ${own} is for the record of batches: choose another`);
    if ([...found.values()].includes(own))
      throw new UsageError(`Two outputs go to the index ${own} of ${shown}: give one another name or place`);
    found.set(name, own);
  }
  return found;
}

/** A table whose key does not have the column that is rolled by lies in one index: letters, say. */
export const rollsOver = ({ table }: Output, { rollover }: Pick<SearchSettings, "rollover">): boolean =>
  rollover !== null && table.key.includes(rollover.column);

const DIGITS: Readonly<Record<Period, number>> = { day: 3, month: 2, year: 1 };

/** `candles.day-2026.01.05`: the index of a time. A month or a year has the name of its first day, which servers can read. */
export function indexOf(alias: string, period: Period, cell: Cell): string {
  const [date = ""] = String(cell).split("T");
  const parts = (/^([+-]?\d+)-(\d\d)-(\d\d)$/.exec(date) ?? []).slice(1);
  const said = parts.map((part, at) => (at < DIGITS[period] ? part : "01"));
  return `${prefixOf(alias, period)}${said.join(".")}`;
}

export const prefixOf = (alias: string, period: Period): string => `${alias}.${period}-`;
