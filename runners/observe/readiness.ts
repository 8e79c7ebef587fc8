// Whether a job can do its work: its sources and sinks were reached, its sources answer, and the last batch did not fail.
import { sentenceOf } from "./safe-text";

/** What must be connected before the job is ready, by name. */
export class Connections {
  private readonly waiting: Set<string>;

  constructor(names: Iterable<string>) {
    this.waiting = new Set(names);
  }

  connected(name: string): void {
    this.waiting.delete(name);
  }

  lost(name: string): void {
    this.waiting.add(name);
  }

  get missing(): readonly string[] {
    return [...this.waiting].sort();
  }
}

/** The answer of /ready. */
export interface ReadinessState {
  readonly ready: boolean;
  readonly missing: { readonly sources: readonly string[]; readonly sinks: readonly string[] };
  readonly error: string | null;
}

export class Readiness {
  readonly sources: Connections;
  readonly sinks: Connections;
  private error: string | null = null;
  private sourceError: string | null = null;

  constructor(names: { readonly sources: Iterable<string>; readonly sinks: Iterable<string> }) {
    this.sources = new Connections(names.sources);
    this.sinks = new Connections(names.sinks);
  }

  /** From here until a batch is committed the job is not ready. */
  batchFailed(error: unknown): void {
    this.error = sentenceOf(error);
  }

  batchCommitted(): void {
    this.error = null;
  }

  /** From here until the sources were looked at again the job is not ready. */
  sourcesFailed(error: unknown): void {
    this.sourceError = sentenceOf(error);
  }

  sourcesAnswered(): void {
    this.sourceError = null;
  }

  state(): ReadinessState {
    const missing = { sources: this.sources.missing, sinks: this.sinks.missing };
    const error = this.error ?? this.sourceError;
    const ready = missing.sources.length === 0 && missing.sinks.length === 0 && error === null;
    return { ready, missing, error };
  }
}
