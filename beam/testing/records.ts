// Records for tests, as a source would give them.
import { type Raw, type SourceRecord } from "../../schema/record";

/** One record a value, line by line of a source called “test”; `more` says what else a record has. */
export function records(values: readonly Raw[], more: Partial<SourceRecord> = {}): SourceRecord[] {
  return values.map((value, at) => ({
    value,
    source: "test",
    position: at + 1,
    key: null,
    timestamp: null,
    headers: null,
    fields: null,
    ...more,
  }));
}
