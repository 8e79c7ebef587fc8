// A target whose place may not answer: what is written there also goes to this machine's disk, and waits there when the place
// does not take it. To whoever writes it looks like any other target.
import { type OpenTarget, type WriteResult } from "../../io/connector";
import { messageOf, UnavailableError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { type Spool } from "./fallback";
import { ROWS_TOGETHER } from "./rows-together";

export class SpooledTarget implements OpenTarget {
  private constructor(
    private target: OpenTarget | null,
    private readonly spool: Spool,
    private reason: string,
  ) {}

  /** `open` is null when rows wait already, which must not be overtaken. */
  static async open(spool: Spool, open: (() => Promise<OpenTarget>) | null): Promise<SpooledTarget> {
    if (open === null) return new SpooledTarget(null, spool, "rows wait already");
    try {
      return new SpooledTarget(await open(), spool, "");
    } catch (error) {
      if (error instanceof UnavailableError) return new SpooledTarget(null, spool, messageOf(error));
      await spool.discard();
      throw error;
    }
  }

  /** Whether all that was written waits, or will; and why. */
  get waits(): string | null {
    return this.target === null ? this.reason : null;
  }

  /** The rows of an output that wait. */
  rowsOf(output: string): number {
    return this.spool.rowsOf(output);
  }

  async write(output: string, rows: readonly Row[]): Promise<WriteResult> {
    const result = await this.tryToWrite(output, rows);
    const rejected = result?.rejected ?? [];
    const refused = new Set(rejected.map(({ row }) => row));
    const taken = rejected.length === 0 ? rows : rows.filter((row) => !refused.has(row));
    await this.spool.add(output, taken);
    return { written: result?.written ?? rows.length, rejected };
  }

  /** Null when the place does not answer, or did not before. */
  private async tryToWrite(output: string, rows: readonly Row[]): Promise<WriteResult | null> {
    const { target } = this;
    if (target === null) return null;
    try {
      return await target.write(output, rows);
    } catch (error) {
      // What another output of the place has found out in the meantime may end this call in another way.
      if (this.target !== null) await this.giveUp(error);
      return null;
    }
  }

  private async giveUp(error: unknown): Promise<void> {
    if (!(error instanceof UnavailableError)) throw error;
    const { target } = this;
    this.target = null;
    this.reason = messageOf(error);
    await target?.abort();
  }

  async commit(): Promise<void> {
    try {
      await this.target?.commit();
    } catch (error) {
      await this.giveUp(error);
    }
    if (this.waits === null) await this.spool.discard();
    else await this.spool.keep(this.reason);
  }

  get rowsTogether(): number {
    return this.target?.rowsTogether ?? ROWS_TOGETHER;
  }

  beside(): readonly string[] {
    return this.target?.beside?.() ?? [];
  }

  async abort(): Promise<void> {
    await this.target?.abort();
    await this.spool.discard();
  }
}
