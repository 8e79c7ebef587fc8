// What has come and was not taken yet. It holds so much; then whoever sends is to pause, until half of it is taken.
export interface Bounds {
  readonly items: number;
  readonly bytes: number;
}

export class Backlog<Item> {
  private items: { readonly item: Item; readonly bytes: number }[] = [];
  private bytes = 0;
  private isFull = false;
  private readonly waitingForRoom = new Set<() => void>();
  private wakeTaker = (): void => undefined;

  constructor(
    private readonly bounds: Bounds,
    private readonly onFull: () => void,
    private readonly onRoom: () => void,
  ) {}

  /** Also when it is full: what a socket has read cannot be put back. */
  add(item: Item, bytes: number): void {
    this.items.push({ item, bytes });
    this.bytes += bytes;
    if (!this.isFull && (this.items.length >= this.bounds.items || this.bytes >= this.bounds.bytes)) {
      this.isFull = true;
      this.onFull();
    }
    this.wake();
  }

  take(most: number): Item[] {
    const taken = this.items.splice(0, most);
    for (const { bytes } of taken) this.bytes -= bytes;
    if (this.isFull && this.items.length * 2 <= this.bounds.items && this.bytes * 2 <= this.bounds.bytes) {
      this.isFull = false;
      this.onRoom();
      for (const goOn of [...this.waitingForRoom]) goOn();
    }
    return taken.map(({ item }) => item);
  }

  /** Fulfilled when something is there, or somebody calls `wake`. */
  async filled(): Promise<void> {
    if (this.items.length > 0) return;
    await new Promise<void>((resolve) => (this.wakeTaker = resolve));
  }

  wake(): void {
    this.wakeTaker();
  }

  /** For those who can wait: fulfilled when it is not full, or when the signal says so. */
  async room(signal: AbortSignal): Promise<void> {
    if (!this.isFull || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const goOn = () => {
        signal.removeEventListener("abort", goOn);
        this.waitingForRoom.delete(goOn);
        resolve();
      };
      this.waitingForRoom.add(goOn);
      signal.addEventListener("abort", goOn);
    });
  }
}
