// The text that COPY reads: a line a row, a tab between values, \N for NULL, backslashes before what would mean more.
import { type TextRow } from "./cell-text";

const SPECIAL = /[\\\t\n\r]/;
const EVERY_SPECIAL = /[\\\t\n\r]/g;
const ESCAPED: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

export function copyLine(row: TextRow): string {
  let line = "";
  let separator = "";
  for (const value of row) {
    line += separator + (value === null ? "\\N" : escaped(value));
    separator = "\t";
  }
  return `${line}\n`;
}

function escaped(value: string): string {
  return SPECIAL.test(value) ? value.replace(EVERY_SPECIAL, (character) => ESCAPED[character] ?? character) : value;
}
