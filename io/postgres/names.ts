// Names in SQL: what is reserved for this connector, and how any name stays a name.

/** The record of batches. A table of a pipeline must not have this name. */
export const BATCHES = "beamline_batches";

/** A name as SQL: whatever is in it, it stays a name. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A table by its schema, so that no search_path can lead elsewhere. */
export function quoteTable(schema: string, table: string): string {
  return `${quoteName(schema)}.${quoteName(table)}`;
}
