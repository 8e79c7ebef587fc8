import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { endLittleRooms, littleRoom } from "./little-room";
import { normalOfJson, type Normal } from "./rows";
import { conforms } from "./suite";

const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
const inside = (name: string) => path.join(directory, name);

conforms({
  sink: "file",
  against: "NDJSON on disk",
  records: false,
  without: { server: "there is none" },
  async stop() {
    await endLittleRooms();
    rmSync(directory, { recursive: true, force: true });
  },
  start: async () => ({
    address: async (name) => `file:${inside(name)}/`,
    async rows(address, table) {
      const at = address.slice("file:".length);
      if (!existsSync(at)) return [];
      return readdirSync(at)
        .filter((name) => name.startsWith(`${table.name}.`))
        .sort()
        .flatMap((name): Normal[] =>
          readFileSync(path.join(at, name), "utf8")
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => normalOfJson(table, JSON.parse(line) as Record<string, unknown>)),
        );
    },
    wrong: [
      {
        what: "path",
        async address(name) {
          writeFileSync(inside(name), "a file");
          return `file:${inside(name)}/below/`;
        },
        says: /not a directory|is a file/,
      },
      { what: "format", address: async (name) => `file:${inside(name)}/?format=xml`, says: /format/ },
    ],
    refuses: null,
    async full() {
      const room = await littleRoom();
      return { address: `file:${room.directory}/`, says: /disk is full/, free: room.free };
    },
  }),
});
