// How a job on a cluster stands, out of what Flink's REST interface tells: what it has counted, how far its time is, when it was
// last kept, what holds it back.
import { z } from "zod";

/** Asks a cluster for a path, and takes the answer by its shape. */
export type Ask = <Shape extends z.ZodType>(path: string, shape: Shape) => Promise<z.infer<Shape>>;

export interface JobView {
  /** The sums of what the pipeline's code has counted, by name, and of what the runner has: records read, rows late. */
  readonly counters: Readonly<Record<string, number>>;
  /** Rows given to each output: of a window that changed, one for each time. */
  readonly written: Readonly<Record<string, number>>;
  /** Up to here windows are over; null while nobody knows. */
  readonly watermark: number | null;
  readonly restarts: number;
  readonly checkpoints: {
    readonly done: number;
    readonly failed: number;
    /** The last one. */
    readonly last: {
      readonly at: number;
      readonly milliseconds: number;
      readonly bytes: number;
      readonly path: string;
    } | null;
  };
  /** The step that waits most for what comes behind it, when that is much. */
  readonly heldBack: { readonly step: string; readonly share: number } | null;
}

/** Above this share of its time a step is told to be held back. */
const MUCH = 0.5;

const Vertices = z.object({
  vertices: z.array(z.object({ id: z.string(), name: z.string() })),
  plan: z.object({ type: z.string().nullish() }),
});
const Names = z.array(z.object({ id: z.string() }));
const Sums = z.array(z.object({ id: z.string(), sum: z.number(), max: z.number() }));
const Watermarks = z.array(z.object({ value: z.string() }));
const OfJob = z.array(z.object({ id: z.string(), value: z.string() }));
const Checkpoints = z.object({
  counts: z.object({ completed: z.int(), failed: z.int() }),
  latest: z.object({
    completed: z
      .object({
        latest_ack_timestamp: z.number(),
        end_to_end_duration: z.number(),
        state_size: z.number(),
        external_path: z.string(),
      })
      .nullish(),
  }),
});

const NO_CHECKPOINTS: z.infer<typeof Checkpoints> = { counts: { completed: 0, failed: 0 }, latest: {} };

/** Ours, and what the runner counts of rows that came for a window that was over. */
const WANTED = /\.beamline_|^Source__.*\.numRecordsOut$|droppedDueToLateness|^backPressuredTimeMsPerSecond$/i;

export async function viewOf(ask: Ask, id: string): Promise<JobView> {
  const { vertices, plan } = await ask(`/jobs/${id}`, Vertices);
  // What has an end has no checkpoints.
  const goesOn = plan.type === "STREAMING";
  const [ofJob, { counts, latest }] = await Promise.all([
    ask(`/jobs/${id}/metrics?get=numRestarts`, OfJob),
    goesOn ? ask(`/jobs/${id}/checkpoints`, Checkpoints) : NO_CHECKPOINTS,
  ]);
  const looked = await Promise.all(
    vertices.map((vertex) => lookAt(ask, `/jobs/${id}/vertices/${vertex.id}`, vertex.name)),
  );
  const counters: Record<string, number> = {};
  const written: Record<string, number> = {};
  for (const { sums } of looked) {
    for (const [name, sum] of sums) {
      const into = name.startsWith(WRITTEN) ? written : counters;
      const key = name.startsWith(WRITTEN) ? name.slice(WRITTEN.length) : name;
      into[key] = (into[key] ?? 0) + sum;
    }
  }
  const watermarks = looked.flatMap(({ watermark }) => (watermark === null ? [] : [watermark]));
  const [worst] = looked.map(({ step, share }) => ({ step, share })).sort((a, b) => b.share - a.share);
  const { completed } = latest;
  return {
    counters,
    written,
    watermark: watermarks.length === 0 ? null : Math.min(...watermarks),
    restarts: Number(ofJob[0]?.value ?? 0),
    checkpoints: {
      done: counts.completed,
      failed: counts.failed,
      last:
        completed == null
          ? null
          : {
              at: completed.latest_ack_timestamp,
              milliseconds: completed.end_to_end_duration,
              bytes: completed.state_size,
              path: completed.external_path,
            },
    },
    heldBack: worst !== undefined && worst.share > MUCH ? worst : null,
  };
}

const WRITTEN = "written ";

interface Looked {
  readonly step: string;
  readonly sums: readonly (readonly [name: string, sum: number])[];
  readonly watermark: number | null;
  readonly share: number;
}

/** One vertex: steps that Flink runs as one. */
async function lookAt(ask: Ask, vertex: string, step: string): Promise<Looked> {
  const [known, marks] = await Promise.all([
    ask(`${vertex}/subtasks/metrics`, Names),
    ask(`${vertex}/watermarks`, Watermarks),
  ]);
  const wanted = known.map(({ id }) => id).filter((id) => WANTED.test(id));
  const query = encodeURIComponent(wanted.join(","));
  const found = wanted.length === 0 ? [] : await ask(`${vertex}/subtasks/metrics?get=${query}`, Sums);
  const share = found.find(({ id }) => id === "backPressuredTimeMsPerSecond")?.max ?? 0;
  const times = marks.map(({ value }) => Number(value)).filter((time) => Number.isSafeInteger(time));
  return {
    step: stepText(step),
    sums: found.flatMap(({ id, sum }) => {
      const name = nameOf(id);
      return name === null ? [] : [[name, sum] as const];
    }),
    // Those that know nothing yet say a time before all others.
    watermark: times.length > 0 && times.length === marks.length ? Math.min(...times) : null,
    share: share / 1000,
  };
}

/** An output's name as Flink's metrics have it. */
export const nameInMetrics = (name: string): string => name.replaceAll(/\W/g, "_");

/** A counter's name, out of that of a metric, in which letters and digits alone are left as they were. */
function nameOf(metric: string): string | null {
  if (/droppedDueToLateness/i.test(metric)) return "late";
  if (/^Source__.*\.numRecordsOut$/.test(metric)) return "read";
  const ours = /\.beamline_(.*)$/.exec(metric)?.[1];
  if (ours === undefined || ours === "late") return null;
  return ours.startsWith("written_") ? `${WRITTEN}${ours.slice("written_".length)}` : ours.replaceAll("_", " ");
}

/** Of the steps that run as one, those that people know. */
const stepText = (name: string): string => /\[\d+\]\{([^}]*)\}/.exec(name)?.[1] ?? name;
