// What is known of the messages of a service: which of them are records, and how a record that was missed is found.
import { isJson, textAt, type JsonPath } from "../json-text";

/** One of a row of records with whole numbers that follow each other: a trade of a symbol. */
export interface RecordId {
  readonly key: string;
  readonly id: number;
}

export type Message =
  | { readonly kind: "record"; readonly value: string; readonly id: RecordId | null }
  /** Not as the service sends it; it is a record all the same, so that it becomes a dead letter and not nothing. */
  | { readonly kind: "garbage"; readonly value: string }
  /** To something that was sent. */
  | { readonly kind: "answer" }
  | { readonly kind: "refusal"; readonly why: string; readonly value: string }
  /** The server ends the connection soon. */
  | { readonly kind: "farewell" };

export interface Protocol {
  /** Whether a message that is no text can be a record. */
  readonly takesBytes: boolean;
  read(text: string): Message;
  /** How records that were missed are asked for; absent where nobody can tell that they were. */
  readonly history?: History;
}

export interface History {
  /** The most that one answer has. */
  readonly limit: number;
  /** Where records of these ids are, from `from` on. */
  url(server: URL, key: string, from: number, limit: number): URL;
  /** What of an answer are records, in the form that they have in the stream; null when it is no such answer. */
  read(text: string, key: string): { readonly id: number; readonly value: string }[] | null;
}

/** Each message is a record, or what lies in it at a place. */
export function plain(unwrap: JsonPath | null): Protocol {
  return {
    takesBytes: unwrap === null,
    read(text) {
      if (unwrap === null) return { kind: "record", value: text, id: null };
      const value = isJson(text) ? textAt(text, unwrap) : null;
      return value === null ? { kind: "garbage", value: text } : { kind: "record", value, id: null };
    },
  };
}
