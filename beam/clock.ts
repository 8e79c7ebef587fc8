// Event time in a run that has some: a TestStream moves the watermark forward, and whoever holds back elements until a
// window closes listens. A bounded run has no clock: nothing in it is ever late.

type Listener = (watermark: number) => void | Promise<void>;

export class Clock {
  watermark = Number.NEGATIVE_INFINITY;
  private readonly listeners: Listener[] = [];

  /** Listeners are told in reverse order of listening: the SDK starts consumers before what feeds them. */
  listen(listener: Listener): void {
    this.listeners.unshift(listener);
  }

  async advanceTo(watermark: number): Promise<void> {
    if (watermark < this.watermark) {
      throw new Error(`The watermark cannot move back from ${this.watermark} to ${watermark}`);
    }
    this.watermark = watermark;
    for (const listener of this.listeners) await listener(watermark);
  }
}

let current: Clock | null = null;

/** The clock of the run in progress, if it has one. */
export const currentClock = (): Clock | null => current;

/** Runs `body` by this clock. */
export async function withClock<T>(clock: Clock, body: () => Promise<T>): Promise<T> {
  if (current !== null) throw new Error("Two runs with a clock cannot overlap in one process");
  current = clock;
  try {
    return await body();
  } finally {
    current = null;
  }
}
