// Lines on their way to COPY, gathered in pieces of about a megabyte. As bytes: a text that grows by thousands of small ones
// keeps all of these alive until it is sent, which costs the collector more than writing them costs.

const BYTES = 1 << 20;

export class CopyChunks {
  private chunk: Buffer | null = null;
  private used = 0;

  /** Takes a line. What is full is given back, to be sent. */
  add(line: string): readonly Uint8Array[] {
    // In UTF-8 no character takes more than three bytes of a text's length.
    const most = line.length * 3;
    if (most <= BYTES - this.used) {
      this.chunk ??= Buffer.allocUnsafe(BYTES);
      this.used += this.chunk.write(line, this.used);
      return [];
    }
    const full = this.take();
    if (most > BYTES) return [...full, Buffer.from(line)];
    this.add(line);
    return full;
  }

  /** What was gathered since. */
  take(): readonly Uint8Array[] {
    const { chunk, used } = this;
    // Not used again: it is read from while it is being sent.
    this.chunk = null;
    this.used = 0;
    return chunk === null ? [] : [chunk.subarray(0, used)];
  }
}
