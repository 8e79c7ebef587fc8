// What the tests of the command share: the command called in this process, in a directory of its own, and what it printed.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fromSource } from "../infra/systems/systems";
import { openDatabase } from "../io/sqlite/database";
import { scratchDirectory } from "./scratch";
import { command } from "../cli/command";

const root = path.resolve(__dirname, "..");

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Scene {
  /** A path in the test's directory, which is the working directory. */
  readonly at: (...parts: string[]) => string;
  /** The command in this process. */
  readonly beamline: (...args: string[]) => Promise<Outcome>;
  /** Writes a file in the test's directory, and the directories it lies in. */
  readonly write: (file: string, content: string | Uint8Array) => void;
  /** The rows of a database's tables, sorted, as one text: equal tables give equal texts. */
  readonly dump: (file?: string) => string;
  readonly query: (sql: string, file?: string) => Record<string, unknown>[];
  /** All files in the test's directory, hidden ones too. */
  readonly files: () => string[];
}

/** Sets up the tests of a file; call it once at its top. */
export function scene(): Scene {
  const at = scratchDirectory();
  const home = process.cwd();
  const environment = { ...process.env };
  beforeEach(() => {
    for (const name of Object.keys(process.env))
      if (name.startsWith("BEAMLINE_") || name === "npm_lifecycle_event") delete process.env[name];
    process.chdir(at());
  });
  afterEach(() => {
    jest.restoreAllMocks();
    process.chdir(home);
    Object.assign(process.env, environment);
    for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  });
  const query = (sql: string, file = "data/app.db") => {
    const database = openDatabase(at(file));
    try {
      return database.prepare(sql).all([]);
    } finally {
      database.close();
    }
  };
  return {
    at,
    beamline: (...args) => inProcess(args),
    write(file, content) {
      fs.mkdirSync(path.dirname(at(file)), { recursive: true });
      fs.writeFileSync(at(file), content);
    },
    query,
    dump: (file) =>
      query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", file)
        .map(({ name }) => {
          const rows = query(`SELECT * FROM "${String(name)}"`, file).map((row) =>
            JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)),
          );
          return [String(name), ...rows.sort()].join("\n");
        })
        .join("\n\n"),
    files: () =>
      fs
        .readdirSync(at(), { recursive: true, withFileTypes: true })
        // SQLite's helper files go away when the process ends.
        .filter((entry) => entry.isFile() && !/-(wal|shm)$/.test(entry.name))
        .map((entry) => path.relative(at(), path.join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
        .sort(),
  };
}

async function inProcess(args: readonly string[]): Promise<Outcome> {
  const printed = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    jest.spyOn(process[name], "write").mockImplementation((text, encoding, done) => {
      printed[name] += String(text);
      const written = typeof encoding === "function" ? encoding : done;
      written?.();
      return true;
    }),
  );
  try {
    return { code: await command(args), ...printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** The words that start the command as a process of its own, from source. */
const fromHere = fromSource("cli/main.ts");
export const asProcess: readonly string[] = [fromHere.program, ...fromHere.args];

/** Runs the command as a process of its own to its end. */
export function beamlineProcess(cwd: string, ...args: string[]): Outcome & { readonly signal: string | null } {
  const [node = "", ...words] = asProcess;
  const { status, stdout, stderr, signal } = spawnSync(node, [...words, ...args], { cwd, encoding: "utf8" });
  return { code: status ?? -1, stdout, stderr, signal };
}

/** A module of the user's: this package's own source stands where "beamline" would. */
export const importOfBeamline = JSON.stringify(path.join(root, "index"));
export const importOfZod = JSON.stringify(path.join(root, "node_modules/zod"));

/** A trade as the sample has them, a second apart by id. */
export function trade(id: number, more: Readonly<Record<string, unknown>> = {}): string {
  const T = Date.UTC(2026, 0, 5, 9, 30) + id * 1000;
  return JSON.stringify({ e: "trade", E: T, s: "BTCUSDT", t: id, p: "100.5", q: "2", T, m: false, ...more });
}

/** Trades one after the other. */
export function trades(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => trade(from + index));
}

export const lines = (...texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");
