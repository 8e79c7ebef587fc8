// SQLite as this connector needs it, over Node's own module where there is one, else over the package libsql.
import { types } from "node:util";
import { codeOf, messageOf, UsageError } from "../../schema/errors";

/** Never a boolean or undefined: one of the two drivers ends the process on them. */
export type SqlValue = string | number | bigint | Uint8Array | null;

export interface Statement {
  /** As many values as the statement has places: a driver may remember those of the call before. */
  run(values: readonly SqlValue[]): void;
  all(values: readonly SqlValue[]): Record<string, unknown>[];
}

export interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

export type Driver = "node" | "libsql";

/** What SQLite says went wrong, with its primary result code; 0 when there is none. */
export class SqliteFailure extends Error {
  override readonly name = "SqliteFailure";
  constructor(
    message: string,
    readonly resultCode: number,
  ) {
    super(message);
  }
}

/** Opens the file, or makes it. Whatever fails later fails with a SqliteFailure. */
export function openDatabase(file: string, driver?: Driver): Database {
  const open = driver === "libsql" ? libsql() : (nodeSqlite() ?? (driver === "node" ? null : libsql()));
  if (open === null) throw new UsageError("This Node has no node:sqlite");
  return guard(() => open(file));
}

/** The part that both drivers have in common. */
interface Native {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
}
type OpenNative = (file: string) => Native;

interface NodeSqlite {
  DatabaseSync: new (file: string) => {
    exec(sql: string): void;
    prepare(sql: string): {
      run(...values: readonly SqlValue[]): unknown;
      all(...values: readonly SqlValue[]): Record<string, unknown>[];
    };
    close(): void;
  };
}

/** node:sqlite, where this Node has it without a flag: 22.13 and later. */
function nodeSqlite(): OpenNative | null {
  const module = withoutSqliteWarning(() => process.getBuiltinModule?.("node:sqlite") as NodeSqlite | undefined);
  if (module === undefined) return null;
  return (file) => {
    const database = new module.DatabaseSync(file);
    return {
      exec: (sql) => database.exec(sql),
      prepare(sql) {
        const statement = database.prepare(sql);
        return { run: (values) => void statement.run(...values), all: (values) => statement.all(...values) };
      },
      close: () => database.close(),
    };
  };
}

/** Node says on first use that the module is experimental. That is known here; every other warning comes through. */
function withoutSqliteWarning<T>(action: () => T): T {
  const original = process.emitWarning;
  const filtered = (...args: Parameters<typeof original>): void => {
    if (!messageOf(args[0]).startsWith("SQLite is an experimental feature")) original.apply(process, args);
  };
  process.emitWarning = filtered as typeof original;
  try {
    return action();
  } finally {
    process.emitWarning = original;
  }
}

function libsql(): OpenNative {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- optional, and not needed where Node has its own
    const Constructor = require("libsql") as new (file: string) => Native;
    return (file) => {
      const database = new Constructor(file);
      return {
        exec: (sql) => database.exec(sql),
        prepare(sql) {
          const statement = database.prepare(sql);
          return { run: (values) => statement.run(values), all: (values) => statement.all(values).map(withBytes) };
        },
        close: () => database.close(),
      };
    };
  } catch (error) {
    throw new UsageError(
      `SQLite needs Node 22.13 or later, or one package more: npm install libsql (${messageOf(error).split("\n")[0]})`,
    );
  }
}

/** Gives blobs as Uint8Array, as Node's own module does; libsql gives the ArrayBuffer beneath. */
function withBytes(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, types.isArrayBuffer(value) ? new Uint8Array(value) : value]),
  );
}

function guard(open: () => Native): Database {
  const database = caught(open);
  return {
    exec: (sql) => caught(() => void database.exec(sql)),
    prepare(sql) {
      const statement = caught(() => database.prepare(sql));
      return {
        run: (values) => caught(() => void statement.run(values)),
        all: (values) => caught(() => statement.all(values)),
      };
    },
    close: () => caught(() => void database.close()),
  };
}

function caught<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new SqliteFailure(messageOf(error), resultCodeOf(error));
  }
}

const CODES_BY_NAME: Record<string, number> = {
  ERROR: 1,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  CONSTRAINT: 19,
  NOTADB: 26,
};

function resultCodeOf(error: unknown): number {
  const { errcode, rawCode } = error as { errcode?: unknown; rawCode?: unknown };
  for (const code of [errcode, rawCode]) if (typeof code === "number" && code > 0) return code & 0xff;
  const name = /^SQLITE_([A-Z]+)/.exec(codeOf(error) ?? "")?.[1];
  if (name !== undefined) return CODES_BY_NAME[name] ?? 0;
  // libsql opens with an error that carries its code in words only.
  return Number(/: (\d+)"?\)$/.exec(messageOf(error))?.[1] ?? 0) & 0xff;
}
