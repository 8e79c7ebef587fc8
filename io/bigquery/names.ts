// Names and values in GoogleSQL: what is reserved for this connector, and how any name stays a name and any text a text.

/** The record of batches. A table of a pipeline must not have this name. */
export const BATCHES = "beamline_batches";

/** Tables that hold the rows of a batch until they are merged begin so. */
export const STAGING_PREFIX = "beamline_staging_";

/** A dataset, as it stands in an address. */
export interface Place {
  readonly project: string;
  readonly dataset: string;
}

const ESCAPED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r" };

/** What would end a name or a text, and what has no place in SQL, behind backslashes. */
const escaped = (text: string, quote: "`" | "'"): string =>
  text.replaceAll(
    // eslint-disable-next-line no-control-regex -- these are what must not stand in SQL as they are
    /[\\`'\u0000-\u001f\u007f]/g,
    (character) => {
      if (character === "\\" || character === quote) return `\\${character}`;
      if (character === "`" || character === "'") return character;
      return ESCAPED[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
    },
  );

/** A name as SQL: whatever is in it, it stays a name. */
export const quoteName = (name: string): string => `\`${escaped(name, "`")}\``;

/** A table with its project and dataset, so that no default leads elsewhere. */
export const quoteTable = ({ project, dataset }: Place, table: string): string =>
  quoteName(`${project}.${dataset}.${table}`);

/**
 * A text as SQL. Values are bound wherever one statement is sent; a script with a transaction has them as literals, since
 * the emulator that the tests run against binds none there.
 */
export const quoteText = (text: string): string => `'${escaped(text, "'")}'`;

/** A time as SQL. */
export const timeLiteral = (milliseconds: number): string => `TIMESTAMP_MILLIS(${milliseconds})`;
