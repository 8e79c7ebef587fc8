// What a person sees: everything but results goes to stderr, and control characters only to a terminal.
import { inspect } from "node:util";
import colors from "picocolors";
import { cellOf, type Cell } from "../io/cell";
import { type JobStatus } from "../runners/direct/job-status";
import { type SortedLetters } from "../runners/direct/letters";
import { type Replayed } from "../runners/direct/run-continuous";
import { type Examined } from "../runners/doctor";
import { type StreamReport } from "../runners/flink/stream";
import { type NotWhole, type Report, type Sample } from "../runners/report";
import { type Row, type Table } from "../schema/table";
import { formatDuration } from "../schema/duration";

const onTerminal = process.stderr.isTTY === true;
const paint = colors.createColors(onTerminal && colors.isColorSupported);
/** For what is printed to stdout, which may be a file when stderr is a terminal. */
export const paintOnStdout = colors.createColors(process.stdout.isTTY === true && colors.isColorSupported);

export const print = (text: string): void => void process.stderr.write(`${text}\n`);

const number = new Intl.NumberFormat("en-US");
export const amount = (count: number): string => number.format(count);
const records = (count: number, one: string): string => `${amount(count)} ${one}${count === 1 ? "" : "s"}`;

/** Texts from records may hold anything; a terminal must not obey it. Control, format and broken characters, and line ends. */
export function harmless(text: string, longest = Number.POSITIVE_INFINITY): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "·");
}

/** One line that is written over again, on a terminal; nothing elsewhere. */
export class Progress {
  private last = 0;
  private lastRead = 0;
  private rate = 0;
  private shown = false;

  /** `more`: what else is known of it, in a few words each. */
  update(counters: Readonly<Record<string, number>>, more: readonly string[] = []): void {
    if (!onTerminal) return;
    const now = performance.now();
    if (now - this.last < 100) return;
    const read = counters["read"] ?? 0;
    if (this.last > 0) this.rate = (1000 * (read - this.lastRead)) / (now - this.last);
    this.last = now;
    this.lastRead = read;
    const parts = [
      `${amount(read)} read`,
      `${amount(Math.round(this.rate))}/s`,
      `${amount(counters["dead"] ?? 0)} dead`,
      `${amount(counters["duplicate"] ?? 0)} duplicate`,
      ...more,
    ];
    // A line that is longer than the terminal is wide could not be written over.
    process.stderr.write(`\r\u001b[2K${paint.dim(parts.join("  ·  ").slice(0, screenWidth() - 1))}`);
    this.shown = true;
  }

  clear(): void {
    if (this.shown) process.stderr.write("\r\u001b[2K");
    this.shown = false;
  }
}

/** The summary of a job that a cluster kept going until the command ended it. */
export function stoppedText(report: StreamReport): string {
  const { pipeline, seconds, read, ok, dead, dropped, duplicate, late, written, savepoint, restarts } = report;
  const counts = Object.entries({ read, ok, dead, dropped, duplicate, late }).filter(
    ([name, n]) => n > 0 || name === "read",
  );
  const about = report.isApproximate ? "about " : "";
  return [
    `${paint.bold(pipeline)} stopped after ${formatDuration(Math.round(seconds) * 1000)}`,
    "",
    ...counts.map(([name, n]) => `  ${name.padEnd(10)} ${about}${amount(n)}`),
    ...Object.entries(written).map(
      ([name, n]) => `  ${"written".padEnd(10)} ${about}${amount(n)} rows of ${harmless(name)}`,
    ),
    ...(restarts === 0 ? [] : [`  ${"begun again".padEnd(10)} ${restarts} times, from its last checkpoint`]),
    "",
    `It can go on: --from-savepoint ${harmless(savepoint)}`,
  ].join("\n");
}

/** The summary of a run. */
export function printReport(
  report: Report & { readonly sample: Sample },
  places: Readonly<Record<string, string>>,
): void {
  const { sample } = report;
  const time =
    report.seconds < 10 ? `${report.seconds.toFixed(2)} s` : formatDuration(Math.round(report.seconds) * 1000);
  const end =
    report.state === "done"
      ? `${paint.green("✓")} ${paint.bold(report.pipeline)} done in`
      : report.state === "degraded"
        ? `${paint.yellow("!")} ${paint.bold(report.pipeline)} degraded after`
        : `${paint.bold(report.pipeline)} stopped after`;
  print(`${end} ${time}, ${records(report.recordsPerSecond, "record")}/s`);
  print("");
  const lines: [string, string][] = [["read", records(report.read, "record")]];
  if (report.dropped > 0) lines.push(["dropped", records(report.dropped, "record")]);
  if (report.duplicate > 0) lines.push(["duplicate", `${records(report.duplicate, "record")}, counted once`]);
  if (report.late > 0) lines.push(["late", records(report.late, "record")]);
  if (report.outside !== undefined && report.outside > 0)
    lines.push(["outside", `${records(report.outside, "record")}, of windows that --since and --until leave out`]);
  if (report.dead > 0) lines.push(["dead", records(report.dead, "record")]);
  for (const [label, text] of lines) print(`  ${label.padEnd(10)} ${text}`);
  for (const { reason, count, example } of sample.deadReasons) {
    const value = typeof example.value === "string" ? example.value : inspect(Buffer.from(example.value));
    print(
      `    ${amount(count).padStart(6)} × ${harmless(reason)} — ${harmless(example.source)}, ${amount(example.position)}: ${harmless(example.error, 90)}`,
    );
    print(paint.dim(`             ${harmless(value, 100)}`));
  }
  for (const [output, rows] of Object.entries(report.written)) {
    const added = report.beside?.includes(output) === true ? ", added to the files of earlier runs" : "";
    print(
      `  ${"written".padEnd(10)} ${records(rows, "row")} of ${output} to ${harmless(places[output] ?? "")}${added}`,
    );
  }
  for (const [output, rows] of Object.entries(report.waiting ?? {})) {
    const where = harmless(places[output] ?? "");
    print(
      `  ${"waiting".padEnd(10)} ${records(rows, "row")} of ${output} for ${where}, which the next run delivers first`,
    );
  }
  if (report.rejected > 0)
    print(`  ${"rejected".padEnd(10)} ${records(report.rejected, "row")}, which are dead letters now`);
  if (report.notWhole !== undefined) for (const line of notWholeLines(report.notWhole)) print(line);
  for (const { output, table, rows } of sample.firstRows) {
    if (rows.length === 0 || places[output]?.startsWith("stdout:")) continue;
    print("");
    print(`  ${output}, the first ${rows.length === 1 ? "row" : records(rows.length, "row")}:`);
    print(tableText(table, rows));
  }
}

const SHOWN_WINDOWS = 5;

function notWholeLines({ before, windows, named }: NotWhole): string[] {
  const shown = named.slice(0, SHOWN_WINDOWS).map((name) => harmless(name, 100));
  const rest = windows > shown.length ? [`and ${amount(windows - shown.length)} more`] : [];
  return [
    `  ${"not whole".padEnd(10)} ${records(windows, "window")} not written: of windows that begin before ${before} the source has lost records`,
    ...[...shown, ...rest].map((line) => `             ${line}`),
    ...(windows > 0 ? [paint.dim("             --partial-windows=write writes them all the same")] : []),
  ];
}

/** How a job stands. */
export function statusText(status: JobStatus): string {
  const time = (at: number | null) => (at === null ? "none yet" : new Date(at).toISOString());
  const lag = status.lag.map(({ source, records: behind }) => `${harmless(source)} ${records(behind, "record")}`);
  const lines: [string, string][] = [
    [
      "last batch",
      status.lastBatch === 0 ? "none yet" : `${amount(status.lastBatch)}, of ${time(status.lastBatchTime)}`,
    ],
    ["watermark", status.state === "ended" ? "behind all windows" : time(status.watermark)],
    ["open", records(status.openWindows, "window")],
    ["newest", time(status.newest)],
    [
      "read",
      `${records(status.read, "record")}${status.recordsPerSecond === null ? "" : `, ${amount(status.recordsPerSecond)}/s in the last batches`}`,
    ],
    ["dead", records(status.deadLetters, "record")],
    ["behind", status.lagError === null ? lag.join(", ") || "no source" : `not known: ${harmless(status.lagError)}`],
  ];
  if (status.rejected > 0) lines.push(["rejected", records(status.rejected, "row")]);
  for (const [output, rows] of Object.entries(status.waiting))
    lines.push(["waiting", `${records(rows, "row")} of ${output}`]);
  if (status.lost > 0) lines.push(["lost", records(status.lost, "record")]);
  if (status.lastError !== null) lines.push(["last error", harmless(status.lastError)]);
  return [
    `${paintOnStdout.bold(status.job)}: ${status.state}`,
    ...lines.map(([label, text]) => `  ${label.padEnd(10)} ${text}`),
  ].join("\n");
}

/** What a replay would try again. */
export function lettersText({ chosen, ...staying }: SortedLetters): string {
  const lines = [...chosen]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `  ${amount(count).padStart(8)} × ${harmless(reason)}`);
  const all = [...chosen.values()].reduce((sum, count) => sum + count, 0);
  return [`${records(all, "dead letter")} would be tried again`, ...lines, ...stayingLines(staying)].join("\n");
}

/** What came of a replay. */
export function replayedText({ letters, ok, dead, dropped, by, ...staying }: Replayed & { by: string }): string {
  const counts = [
    `${amount(ok)} good now`,
    ...(dropped > 0 ? [`${amount(dropped)} dropped`] : []),
    `${amount(dead)} dead again`,
  ];
  const where = by === "job" ? " by the job that is running" : "";
  const summary =
    letters === 0
      ? "No dead letter was tried again"
      : `${records(letters, "dead letter")} tried again${where}: ${counts.join(", ")}`;
  return [summary, ...stayingLines(staying)].join("\n");
}

const SIGNS = {
  fine: paintOnStdout.green("✓"),
  missing: paintOnStdout.yellow("missing"),
  wrong: paintOnStdout.red("✗"),
};

/** What doctor found out, a line each. */
export function examinedText(pipeline: string, found: readonly Examined[]): string {
  const width = Math.max(...found.map(({ about }) => about.length));
  const lines = found.map(({ state, about, text }) => `  ${SIGNS[state]} ${about.padEnd(width)}  ${harmless(text)}`);
  return [paintOnStdout.bold(pipeline), ...lines].join("\n");
}

/** What came of rows that waited. */
export function deliveredText(
  delivered: Readonly<Record<string, number>>,
  waiting: Readonly<Record<string, number>>,
): string {
  const lines = (rows: Readonly<Record<string, number>>, what: string) =>
    Object.entries(rows).map(([output, count]) => `${records(count, "row")} of ${output} ${what}`);
  const all = [...lines(delivered, "delivered"), ...lines(waiting, "go on waiting")];
  return all.length === 0 ? "No rows wait" : all.join("\n");
}

const stayingLines = ({ closed, foreign, rows }: Omit<SortedLetters, "chosen">): string[] => [
  ...(closed > 0
    ? [
        `  ${amount(closed).padStart(8)} stay: their windows are no longer kept. A run over their time counts them: --since … --until …`,
      ]
    : []),
  ...(foreign > 0 ? [`  ${amount(foreign).padStart(8)} stay: the job does not read where they come from`] : []),
  ...(rows > 0
    ? [
        `  ${amount(rows).padStart(8)} stay: they are rows that an output has refused, and are written when their window changes or their input is read again`,
      ]
    : []),
];

/** Some terminals do not tell how wide they are, and say 0. */
const screenWidth = (): number => (onTerminal && process.stderr.columns) || Number.POSITIVE_INFINITY;

/** Rows as a table that is no wider than `widest`: what does not fit is cut off. */
export function tableText(table: Table, rows: readonly Row[], widest = screenWidth()): string {
  const cells = rows.map((row) => table.columns.map((column) => cellText(cellOf(table, column, row))));
  const columns = table.columns.map(({ name }, at) => {
    const width = Math.max(name.length, ...cells.map((row) => row[at]?.length ?? 0));
    return { name, width };
  });
  const line = (texts: readonly string[]) => {
    const whole = `  ${texts.map((text, at) => text.padEnd(columns[at]?.width ?? 0)).join("  ")}`.trimEnd();
    return whole.length > widest ? `${whole.slice(0, widest - 1)}…` : whole;
  };
  return [paint.dim(line(columns.map(({ name }) => name))), ...cells.map(line)].join("\n");
}

function cellText(cell: Cell): string {
  if (cell === null) return "";
  return harmless(
    cell instanceof Uint8Array ? inspect(Buffer.from(cell)) : String(cell).replace(/:(\d\d)\.000Z$/, ":$1Z"),
    24,
  );
}

export { paint };
