// Rows as they come in a job that a cluster keeps going. Its runner knows only the times that records have at their source, so
// those of rows must be near them. And it counts as late what comes for a window that is over, part by part: a row that may
// be late makes a part of its own, so that its parts are rows.
import { type Unbounded } from "../beam";
import { formatDuration } from "../schema/duration";
import { RunError } from "../schema/errors";
import { timeText } from "../schema/time-text";

/** The source of the record that the row at hand was made of; empty where a row has come another way. */
let sourceAtHand = "";

/** Has what is done with a row know where it comes from, which the row itself does not say. */
export function from(source: string, work: () => void): void {
  sourceAtHand = source;
  try {
    work();
  } finally {
    sourceAtHand = "";
  }
}

/** A partition that gives nothing for so long may be at its end, where its watermark follows the clock. */
const CALM_MS = 500;

/** What has come to this process of each source, whichever of its bundles it was in. */
interface Came {
  /** No watermark is nearer to now than the delay behind this, by what has come of the source. */
  newest: number;
  seenAt: number;
}
const sources = new Map<string, Came>();
const ofAll: Came = { newest: Number.NEGATIVE_INFINITY, seenAt: 0 };

export class Arrivals {
  /** Of the source of the row that was seen last. */
  private newest = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly at: string,
    private readonly unbounded: Unbounded,
  ) {}

  /** Takes note of a row, by its event time and by the time of its record. */
  see(time: number, recordTime: number, now = Date.now()): void {
    const { disorder } = this.unbounded;
    if (Math.abs(time - recordTime) > disorder)
      throw new RunError(
        `${this.at} is ${timeText(time)}, and Kafka has ${timeText(recordTime)} for the record: they are ` +
          `${formatDuration(Math.abs(Math.round(time - recordTime)))} apart, more than --disorder (${formatDuration(disorder)}). ` +
          "On a cluster windows end by Kafka's time: have the producer give records their own time, or raise --disorder",
      );
    let source = sources.get(sourceAtHand);
    if (source === undefined) {
      sources.set(sourceAtHand, (source = { newest: recordTime, seenAt: now }));
    } else if (now - source.seenAt >= CALM_MS) {
      // It has been at its end, or others were read. Where nothing at all has come, all were at their ends.
      const isAllCalm = now - ofAll.seenAt >= CALM_MS;
      source.newest = Math.max(source.newest, isAllCalm ? now - CALM_MS : ofAll.newest);
    }
    if (recordTime > source.newest) source.newest = recordTime;
    if (recordTime > ofAll.newest) ofAll.newest = recordTime;
    source.seenAt = ofAll.seenAt = now;
    this.newest = source.newest;
  }

  /**
   * Whether the window that ends there may be over for the row that was seen last. No watermark is further than any partition
   * is, so by its own one: beside a calm partition, which is ahead, the rows of a busy one are not late. A partition that has
   * been at its end for a moment is as far as the clock, which is that moment ahead of its records.
   */
  mayBeOver(end: number): boolean {
    return end <= this.newest + CALM_MS - this.unbounded.delay;
  }
}
