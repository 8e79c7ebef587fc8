// What `doctor` finds out of a place, in the words that all connectors share.
import { messageOf } from "../schema/errors";
import { type Finding } from "./connector";

export const fine = (text: string): Finding => ({ state: "fine", text });
export const missing = (text: string): Finding => ({ state: "missing", text });
export const wrong = (text: string): Finding => ({ state: "wrong", text });

/** What is thrown on the way says what is wrong. */
export async function findingsOf(look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [wrong(messageOf(error))];
  }
}

/** Of tables that are not there yet. */
export function missingTables(names: readonly string[], where: string): readonly Finding[] {
  if (names.length === 0) return [];
  const are = names.length === 1 ? `table ${names[0]} is` : `tables ${names.join(", ")} are`;
  return [missing(`The ${are} not in ${where} yet: the first run makes ${names.length === 1 ? "it" : "them"}`)];
}
