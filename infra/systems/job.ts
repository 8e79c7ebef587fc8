// What a system runs: programs that are kept running, or run again and again.
import { type ProcessIdentity } from "../services/process-identity";

/** A program of a system, and how it is kept going. */
export interface SystemJob {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** "goes on": started again when it ends by a mistake. A number: run again so many milliseconds after its end. */
  readonly keep: "goes on" | number;
  /** Whether it brings records in: such jobs end first, so that the others can still take in what was brought. */
  readonly brings: boolean;
}

/** How a job stands, as the supervisor writes it down. */
export interface JobRecord {
  readonly name: string;
  readonly process: ProcessIdentity | null;
  readonly state: "running" | "waiting" | "failed" | "stopped";
  readonly starts: number;
  /** How the last run ended; null while there was none. */
  readonly lastEnd: string | null;
}
