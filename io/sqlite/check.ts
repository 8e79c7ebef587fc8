// What `doctor` finds out of a database file, which it only reads.
import { existsSync } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../../schema/errors";
import { EVERYTHING, type Address, type Finding, type Output } from "../connector";
import { fine, findingsOf, missing, missingTables } from "../findings";
import { localPath, shownPath } from "../local-path";
import { openDatabase } from "./database";
import { explain } from "./failures";
import { compareTable } from "./shape";
import { planTable } from "./source";
import { checkAddress, checkOutputs } from "./target";

export const checkSource = (address: Address): Promise<readonly Finding[]> =>
  findingsOf(async () => {
    const [range] = await planTable(address, EVERYTHING);
    return [fine(`${range?.source} in ${shownPath(localPath(address.path))} can be read`)];
  });

export const checkSink = (address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> =>
  findingsOf(async () => {
    checkAddress(address);
    checkOutputs(outputs);
    const file = localPath(address.path);
    const shown = shownPath(file);
    if ((await stat(file).catch(() => null))?.isDirectory() === true)
      throw new UsageError(`${shown} is a directory: name a file in it, such as sqlite:${shown}/app.db`);
    await mayWrite(file, shown);
    if (!existsSync(file)) return [missing(`${shown} is not there yet: the first run makes it`)];
    const there = tablesIn(file, shown, outputs);
    const names = outputs.map(({ table }) => table.name);
    return [
      fine(`${shown} may be written`),
      ...missingTables(
        names.filter((name) => !there.has(name)),
        shown,
      ),
    ];
  });

/** The file, or where it would be made. */
async function mayWrite(file: string, shown: string): Promise<void> {
  try {
    const directory = path.dirname(file);
    let above = directory;
    while (!existsSync(above)) above = path.dirname(above);
    if (!(await stat(above)).isDirectory()) throw new Error("a part of the path is a file");
    // SQLite makes files beside it.
    await access(above, constants.W_OK);
    if (existsSync(file)) await access(file, constants.W_OK);
  } catch {
    throw new UsageError(`${shown} cannot be written: its directory cannot be made or may not be written`);
  }
}

/** Those of the tables that are there; fails when one has another shape. */
function tablesIn(file: string, shown: string, outputs: readonly Output[]): Set<string> {
  const there = new Set<string>();
  const database = openDatabase(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA query_only = 1");
    for (const { table } of outputs) if (compareTable(database, table, shown)) there.add(table.name);
    return there;
  } catch (error) {
    throw explain(error, shown);
  } finally {
    database.close();
  }
}
