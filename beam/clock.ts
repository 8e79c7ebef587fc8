// Event time in a run that has some: a TestStream moves the watermark forward, and whoever holds back elements until a
// window closes listens. A bounded run has no clock: nothing in it is ever late.
import { AsyncLocalStorage } from "node:async_hooks";

type Listener = (watermark: number) => void | Promise<void>;

export class Clock {
  watermark = Number.NEGATIVE_INFINITY;
  private readonly listeners: Listener[] = [];

  /** Listeners are told in reverse order of listening: the SDK starts consumers before what feeds them. */
  listen(listener: Listener): void {
    this.listeners.unshift(listener);
  }

  /**
   * Tells every listener, one after the other. What one of them sends reaches the next before that one is told, so each
   * must go by the watermark that it was told last.
   */
  async advanceTo(watermark: number): Promise<void> {
    if (!(watermark >= this.watermark)) {
      throw new Error(`The watermark cannot move back from ${timeText(this.watermark)} to ${timeText(watermark)}`);
    }
    this.watermark = watermark;
    for (const listener of this.listeners) await listener(watermark);
  }
}

function timeText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString();
}

const clocks = new AsyncLocalStorage<Clock | null>();

/** The clock of the run in progress, if it has one. */
export const currentClock = (): Clock | null => clocks.getStore() ?? null;

/** Runs `body` by this clock, or by none; other runs in this process keep their own. */
export function withClock<T>(clock: Clock | null, body: () => Promise<T>): Promise<T> {
  return clocks.run(clock, body);
}
