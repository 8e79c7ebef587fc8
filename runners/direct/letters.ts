// Dead letters that are tried again: found where they lie, and put aside in the job's state, from where batches take them.
import { type Address, type LetterId, type LetterNews } from "../../io/connector";
import { idOf } from "../../io/letters";
import { sinkOf } from "../../io/registry";
import { type Pipeline } from "../../pipelines/definition";
import { UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { type Row } from "../../schema/table";
import { DeadLetter, WINDOW_CLOSED } from "../../transforms";
import { type JobState, type WaitingLetter } from "./job-state";
import { isOfRow } from "./refused-rows";

/** Which letters are meant. */
export interface LetterChoice {
  /** None: whatever the reason is. */
  readonly reasons: readonly string[];
  /** Of records that their source says were written at that time or later, in milliseconds. */
  readonly since: number | null;
}

/** Where a job's letters lie. */
export interface LetterPlace {
  readonly pipeline: Pipeline;
  readonly job: string;
  readonly outputs: Readonly<Record<string, Address>>;
}

/** Letters by what is to be done with them. */
export interface SortedLetters {
  /** To be tried again, by reason. */
  readonly chosen: ReadonlyMap<string, number>;
  /** Those that stay, since their window is no longer kept. */
  readonly closed: number;
  /** Those of sources that this job does not read. */
  readonly foreign: number;
  /** Those of rows that an output has refused. */
  readonly rows: number;
}

/** Stands in a range in place of a connector's name: the runner itself has the letters. */
export const LETTERS = "dead letters";

/** Puts the chosen letters of a job aside in its state, in place of what waits there. */
export async function putLettersAside(
  state: JobState,
  place: LetterPlace,
  choice: LetterChoice,
): Promise<SortedLetters> {
  state.dropLetters();
  const inputOf = inputsBySource(state, place.pipeline);
  const sorting = new Sorting(choice, place.pipeline, (source) => inputOf(source) !== null);
  for await (const news of newsOf(place)) {
    state.together(() => {
      for (const one of news) {
        const letter = one.kind === "gone" ? null : letterOf(one.row, place);
        const id = one.kind === "gone" ? one.id : idOf(one.row);
        const isChosen = sorting.isChosen(id, letter);
        const input = inputOf(id.source);
        if (letter !== null && isChosen && input !== null)
          state.putLetter({ id, input, record: recordOf(letter, place) });
        else state.dropLetter(id);
      }
    });
  }
  return sorting.sorted();
}

/** What would be tried again. Changes nothing. */
export async function sortLetters(
  state: Pick<JobState, "positions">,
  place: LetterPlace,
  choice: LetterChoice,
): Promise<SortedLetters> {
  const inputOf = inputsBySource(state, place.pipeline);
  const sorting = new Sorting(choice, place.pipeline, (source) => inputOf(source) !== null);
  for await (const news of newsOf(place)) {
    for (const one of news) {
      if (one.kind === "gone") sorting.isChosen(one.id, null);
      else sorting.isChosen(idOf(one.row), letterOf(one.row, place));
    }
  }
  return sorting.sorted();
}

/** The origins of letters as ranges: what a place has of them is replaced by what the batch gives. */
export const originsOf = (letters: readonly WaitingLetter[]): Range[] =>
  letters.map(({ id: { source, position } }) => ({
    connector: LETTERS,
    source,
    from: position,
    to: position + 1,
    detail: {},
  }));

/** What the inputs read in a batch of letters. */
export function letterRanges(letters: readonly WaitingLetter[]): Record<string, Range[]> {
  const ranges: Record<string, Range[]> = {};
  for (const { input } of letters)
    ranges[input] ??= [{ connector: LETTERS, source: input, from: 0, to: letters.length, detail: {} }];
  return ranges;
}

export const readLetters = (letters: readonly WaitingLetter[], { source }: Range): SourceRecord[][] => [
  letters.filter(({ input }) => input === source).map(({ record }) => record),
];

async function* newsOf({ pipeline, job, outputs }: LetterPlace): AsyncGenerator<readonly LetterNews[]> {
  for (const [output, { table }] of Object.entries(pipeline.outputs)) {
    const address = outputs[output];
    if (table.mode !== "by-origin" || address === undefined) continue;
    const sink = sinkOf(address);
    if (sink.letters === undefined)
      throw new UsageError(
        `The dead letters of ${job} go to ${address.scheme}:${address.path}, from where they cannot be read back`,
      );
    yield* sink.letters(address, table, job);
  }
}

/** Which input's records lie at a source: as the job has read them, or the only input that there is. */
function inputsBySource(state: Pick<JobState, "positions">, pipeline: Pipeline): (source: string) => string | null {
  const [only, ...others] = Object.keys(pipeline.inputs);
  if (only !== undefined && others.length === 0) return () => only;
  const inputs = new Map(state.positions().map(({ source, input }) => [source, input]));
  return (source) => inputs.get(source) ?? null;
}

/** Follows what is said of each letter: a place that only grows says several things of one, and the last holds. */
class Sorting {
  private readonly chosen = new Map<string, string>();
  private readonly closed = new Set<string>();
  private readonly foreign = new Set<string>();
  private readonly rows = new Set<string>();

  constructor(
    private readonly choice: LetterChoice,
    private readonly pipeline: Pipeline,
    private readonly isOurs: (source: string) => boolean,
  ) {}

  /** Takes the last word on a letter, null when it is gone; says whether it is to be tried again. */
  isChosen(id: LetterId, letter: DeadLetter | null): boolean {
    const name = JSON.stringify([id.source, id.position, id.step]);
    for (const kind of [this.chosen, this.closed, this.foreign, this.rows]) kind.delete(name);
    if (letter === null) return false;
    const { reasons, since } = this.choice;
    const { reason, timestamp } = letter;
    if (reasons.length > 0 && !reasons.includes(reason)) return false;
    if (since !== null && (timestamp === null || timestamp < since)) return false;
    // There is no record to try again: the row comes again with its window, or when its input is read again.
    if (isOfRow(id, this.pipeline)) this.rows.add(name);
    else if (reason === WINDOW_CLOSED) this.closed.add(name);
    else if (!this.isOurs(id.source)) this.foreign.add(name);
    else {
      this.chosen.set(name, reason);
      return true;
    }
    return false;
  }

  sorted(): SortedLetters {
    const chosen = new Map<string, number>();
    for (const reason of this.chosen.values()) chosen.set(reason, (chosen.get(reason) ?? 0) + 1);
    return { chosen, closed: this.closed.size, foreign: this.foreign.size, rows: this.rows.size };
  }
}

/** Somebody may have repaired a letter by hand, and not well. */
function letterOf(row: Row, { job }: LetterPlace): DeadLetter {
  const checked = DeadLetter.safeParse(row);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new UsageError(
    `The dead letter of ${job} for ${String(row["source"])}, ${String(row["position"])}, cannot be read: ${issue?.path.join(".")}: ${issue?.message}`,
  );
}

function recordOf(letter: DeadLetter, { job }: LetterPlace): SourceRecord {
  const { source, position, value, key, timestamp, attempt } = letter;
  const textsOf = (name: "headers" | "fields"): Readonly<Record<string, string>> | null => {
    const text = letter[name];
    try {
      return text === null ? null : (JSON.parse(text) as Record<string, string>);
    } catch {
      throw new UsageError(`The dead letter of ${job} for ${source}, ${position}, has ${name} that are no JSON`);
    }
  };
  const [headers, fields] = [textsOf("headers"), textsOf("fields")];
  return { value, source, position, key, timestamp, headers, fields, attempt: attempt + 1 };
}
