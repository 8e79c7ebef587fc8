// A lock between processes that the system lets go of when its holder ends, however it ends: that of an open SQLite file.
import { existsSync } from "node:fs";
import { openDatabase, type Database } from "../../io/sqlite/database";

/** Takes the lock, for as long as the database is open; null when another process has it. */
export function takeLock(file: string): Database | null {
  const database = openDatabase(file);
  try {
    database.exec("PRAGMA busy_timeout = 300; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;");
    return database;
  } catch {
    database.close();
    return null;
  }
}

/** Whether a process has the lock. Looking takes a shared lock for a moment, for which a start waits. */
export function isLocked(file: string): boolean {
  if (!existsSync(file)) return false;
  const database = openDatabase(file);
  try {
    database.exec("PRAGMA busy_timeout = 0");
    database.prepare("SELECT * FROM sqlite_master").all([]);
    return false;
  } catch {
    return true;
  } finally {
    database.close();
  }
}
