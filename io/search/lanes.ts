// Work that goes on side by side, a bounded number of pieces at a time. The first that fails is told when it is next asked,
// and only when nothing is under way any more: what came after it could meet what is.
export class Lanes<Result> {
  private readonly underWay = new Set<Promise<void>>();
  private results: Result[] = [];
  private failure: { readonly error: unknown } | null = null;

  constructor(private readonly most: number) {}

  /** Comes back when another piece may be started. */
  async free(): Promise<void> {
    while (this.underWay.size >= this.most) await Promise.race(this.underWay);
    if (this.failure !== null) await this.empty();
  }

  start(work: () => Promise<Result>): void {
    const mine: Promise<void> = work()
      .then(
        (result) => void this.results.push(result),
        (error: unknown) => void (this.failure ??= { error }),
      )
      .finally(() => this.underWay.delete(mine));
    this.underWay.add(mine);
  }

  /** Comes back when nothing is under way any more, with what all pieces since the beginning have given. */
  async empty(): Promise<readonly Result[]> {
    await Promise.all(this.underWay);
    if (this.failure !== null) throw this.failure.error;
    return this.results;
  }
}
