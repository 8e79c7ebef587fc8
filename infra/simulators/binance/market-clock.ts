// The market's time: it begins at a moment of its own, runs at a speed of its own, and stands still while there is no trading.
export class MarketClock {
  /** Where it stops for good. */
  readonly end: number;
  readonly #speed: number;
  /** The market's time when it last went on, and the machine's then; null while it stands still. */
  #from: number;
  #since: number | null;

  constructor({ start, speed, end }: { readonly start: number; readonly speed: number; readonly end: number }) {
    this.#speed = speed;
    this.end = end;
    this.#from = start;
    this.#since = performance.now();
  }

  get now(): number {
    const passed = this.#since === null ? 0 : (performance.now() - this.#since) * this.#speed;
    return Math.min(Math.floor(this.#from + passed), this.end);
  }

  /** Whether time stands still, for now or for good. */
  get stands(): boolean {
    return this.#since === null || this.now >= this.end;
  }

  /** The machine's milliseconds until then; less than nothing when it was. */
  until(time: number): number {
    return (time - this.now) / this.#speed;
  }

  stop(): void {
    this.#from = this.now;
    this.#since = null;
  }

  goOn(): void {
    this.#since ??= performance.now();
  }
}
