import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { openDatabase } from "../../io/sqlite/database";
import { endLittleRooms, littleRoom } from "./little-room";
import { conforms } from "./suite";

const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
const file = (name: string) => path.join(directory, `${name}.db`);

conforms({
  sink: "sqlite",
  against: "SQLite itself",
  records: true,
  without: { server: "there is none" },
  async stop() {
    await endLittleRooms();
    rmSync(directory, { recursive: true, force: true });
  },
  start: async () => ({
    address: async (name) => `sqlite:${file(name)}`,
    async rows(address, table) {
      const database = openDatabase(address.slice("sqlite:".length));
      try {
        const isThere = database.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").all([table.name]).length > 0;
        if (!isThere) return [];
        const columns = table.columns.map(({ name, type }) =>
          // More digits than a JavaScript number holds would be lost on the way out.
          type.kind === "integer"
            ? `CAST("${name}" AS TEXT) AS "${name}"`
            : type.kind === "bytes"
              ? `lower(hex("${name}")) AS "${name}", "${name}" IS NULL AS "${name} is null"`
              : `"${name}"`,
        );
        return database
          .prepare(`SELECT ${columns.join(", ")} FROM "${table.name}"`)
          .all([])
          .map((cells) => {
            const row: Record<string, unknown> = {};
            for (const { name, type } of table.columns) {
              const cell = cells[name] ?? null;
              if (type.kind === "bytes") row[name] = cells[`${name} is null`] === 1 ? null : cell;
              else if (cell === null) row[name] = null;
              else if (type.kind === "boolean") row[name] = cell === 1;
              else if (type.kind === "json") row[name] = JSON.parse(cell as string);
              else row[name] = cell;
            }
            return row;
          });
      } finally {
        database.close();
      }
    },
    wrong: [
      { what: "path", address: async () => `sqlite:${directory}`, says: /is a directory/ },
      {
        what: "schema",
        address: async (name) => {
          const database = openDatabase(file(name));
          database.exec("CREATE TABLE events (id INTEGER PRIMARY KEY, other TEXT)");
          database.close();
          return `sqlite:${file(name)}`;
        },
        says: /events/,
      },
      {
        what: "content",
        address: async (name) => {
          writeFileSync(file(name), "no database at all, but long enough to be looked at".repeat(20));
          return `sqlite:${file(name)}`;
        },
        says: /not a .*database|no .*database/i,
      },
    ],
    refuses: null,
    async full() {
      const room = await littleRoom();
      return { address: `sqlite:${path.join(room.directory, "full.db")}`, says: /disk is full/, free: room.free };
    },
  }),
});
