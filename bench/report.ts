import os from "node:os";
import type { TradesFile } from "./generate-trades";
import type { Spread } from "./measure";

export interface Machine {
  cores: number;
  cpu: string;
  memoryGb: number;
  node: string;
  platform: string;
  date: string;
  /** Others on the machine make wall seconds meaningless first, CPU seconds last. */
  loadBefore: number;
}

export interface Measurement {
  name: string;
  outcome: "measured" | "failed" | "absent";
  /** Why it failed or is absent; what differs. */
  problems: string[];
  /** What of its results was compared, and how. */
  compared?: string;
  runs?: number;
  cpuSeconds?: Spread;
  wallSeconds?: Spread;
  peakRssMb?: Spread;
  /** At the median wall time. */
  recordsPerSecond?: number;
  /** The hand loop's median CPU seconds as a percentage of this contender's: 100 is as fast as by hand. */
  percentOfHandLoop?: number;
}

/** `incomplete`: nothing was found different, but a contender that must take part did not, or failed. */
export type Verdict = "equal" | "different" | "incomplete";

const VERDICTS: Record<Verdict, string> = {
  equal: "All results are equal.",
  different: "RESULTS DIFFER.",
  incomplete: "INCOMPLETE: see the contenders without figures.",
};

export interface Report {
  machine: Machine;
  data: Pick<TradesFile, "bytes" | "ledger"> & { records: number; seed: number };
  measurements: Measurement[];
  verdict: Verdict;
}

export function describeMachine(): Machine {
  const cpus = os.cpus();
  return {
    cores: cpus.length,
    cpu: cpus[0]?.model ?? "unknown",
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    date: new Date().toISOString(),
    loadBefore: Math.round((os.loadavg()[0] ?? 0) * 100) / 100,
  };
}

function spreadText(values: Spread | undefined, digits: number): string {
  if (values === undefined) return "";
  return [values.min, values.median, values.max].map((value) => value.toFixed(digits)).join(" / ");
}

export function formatReport({ machine, data, measurements, verdict }: Report): string {
  const { ledger } = data;
  const header = ["", "CPU s min / median / max", "wall s", "records/s", "peak RSS MB", "of hand loop's speed"];
  const table = measurements.map((measurement) =>
    measurement.outcome === "measured"
      ? [
          measurement.name,
          spreadText(measurement.cpuSeconds, 2),
          spreadText(measurement.wallSeconds, 2),
          Math.round(measurement.recordsPerSecond ?? NaN).toLocaleString("en"),
          spreadText(measurement.peakRssMb, 0),
          `${Math.round(measurement.percentOfHandLoop ?? NaN)} %`,
        ]
      : [measurement.name, measurement.outcome === "failed" ? "failed" : (measurement.problems[0] ?? "absent")],
  );
  const widths = header.map((title, column) =>
    Math.max(title.length, ...table.map((cells) => (cells.length > 2 ? (cells[column] ?? "").length : 0))),
  );
  const nameWidth = Math.max(...table.map((cells) => (cells[0] ?? "").length));
  widths[0] = nameWidth;
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(nameWidth) : cell.padStart(widths[column] ?? 0)))
      .join("   ")
      .trimEnd();
  const notes = measurements
    .filter(({ outcome }) => outcome !== "absent")
    .map(({ name, compared, problems }) =>
      [
        `${name}: ${problems.length > 0 ? "WRONG" : (compared ?? "")}`,
        ...problems.map((problem) => `  ${problem}`),
      ].join("\n"),
    );
  return [
    `${data.records.toLocaleString("en")} records, ${(data.bytes / 1e6).toFixed(0)} MB, seed ${data.seed}: ` +
      `${ledger.ok} ok (${ledger.duplicate} duplicates), ${ledger.dead} dead`,
    `${machine.cores} cores (${machine.cpu}), ${machine.memoryGb} GB, Node ${machine.node}, ${machine.platform}, ` +
      `${machine.date}, load before ${machine.loadBefore}`,
    "",
    line(header),
    ...table.map((cells) => (cells.length > 2 ? line(cells) : `${(cells[0] ?? "").padEnd(nameWidth)}   ${cells[1]}`)),
    "",
    ...notes,
    VERDICTS[verdict],
  ].join("\n");
}
