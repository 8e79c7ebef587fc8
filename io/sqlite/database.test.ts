import { spawnSync } from "node:child_process";
import path from "node:path";
import { UsageError } from "../../schema/errors";
import { scratchDirectory } from "../../test/scratch";
import { openDatabase, SqliteFailure, type Driver } from "./database";

const scratch = scratchDirectory();
const hasOwn = process.getBuiltinModule?.("node:sqlite") !== undefined;
const drivers: Driver[] = hasOwn ? ["node", "libsql"] : ["libsql"];

function failure(action: () => unknown): SqliteFailure {
  try {
    action();
  } catch (error) {
    if (error instanceof SqliteFailure) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe.each(drivers)("SQLite over %s", (driver) => {
  it("takes and gives values", () => {
    const database = openDatabase(scratch("a.db"), driver);
    const [row] = database
      .prepare("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e")
      .all(["ü", 1.5, 7n, null, new Uint8Array([0, 255])]);
    expect({ ...row, e: [...(row?.["e"] as Uint8Array)] }).toEqual({ a: "ü", b: 1.5, c: 7, d: null, e: [0, 255] });
    database.close();
  });

  it("says what went wrong by SQLite's own code", () => {
    const database = openDatabase(scratch("a.db"), driver);
    database.exec("CREATE TABLE t (a TEXT PRIMARY KEY)");
    const insert = database.prepare("INSERT INTO t VALUES (?)");
    insert.run(["x"]);
    expect(failure(() => insert.run(["x"])).resultCode).toBe(19);
    expect(failure(() => database.prepare("SELECT nothing FROM t")).resultCode).toBe(1);
    expect(failure(() => database.exec("no SQL")).resultCode).toBe(1);
    expect(failure(() => openDatabase(scratch("no", "a.db"), driver)).resultCode).toBe(14);
    database.exec("BEGIN IMMEDIATE");
    const other = openDatabase(scratch("a.db"), driver);
    expect(failure(() => other.exec("BEGIN IMMEDIATE")).resultCode).toBe(5);
    other.close();
    database.close();
  });
});

describe("the choice of a driver", () => {
  it("asks for one package in one sentence when Node has none of its own and that is missing", () => {
    jest.isolateModules(() => {
      jest.doMock("libsql", () => {
        throw new Error("Cannot find module 'libsql'\nRequire stack:\n- somewhere");
      });
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- after the mock
      const fresh = require("./database") as { openDatabase: typeof openDatabase };
      expect(() => fresh.openDatabase(scratch("a.db"), "libsql")).toThrow(
        "SQLite needs Node 22.13 or later, or one package more: npm install libsql (Cannot find module 'libsql')",
      );
      jest.dontMock("libsql");
    });
    if (!hasOwn) expect(() => openDatabase(scratch("a.db"), "node")).toThrow(UsageError);
  });

  it("keeps back Node's warning about SQLite and no other", () => {
    const script = `
      const { openDatabase } = require(${JSON.stringify(path.join(__dirname, "database.ts"))});
      openDatabase(":memory:").close();
      process.emitWarning("another warning", "ExperimentalWarning");`;
    const result = spawnSync(process.execPath, ["-r", "tsx/cjs", "-e", script], {
      cwd: path.resolve(__dirname, "../.."),
      encoding: "utf8",
    });
    expect(result.status).toBe(0);
    expect(result.stderr).toContain("another warning");
    expect(result.stderr).not.toContain("SQLite is an experimental");
  });
});
