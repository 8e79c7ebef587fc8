// Pieces of a JSON text as they were written: a decimal that goes through JSON.parse and back is another one.

/** Where the elements of an array lie, or the array itself when it is the whole text: names with dots between; “.” is the whole. */
export type JsonPath = readonly string[];

export const pathOf = (text: string): JsonPath => (text === "." ? [] : text.split("."));

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The source text at the path of a valid JSON text; null when nothing is there. */
export function textAt(json: string, path: JsonPath): string | null {
  let from = afterSpace(json, 0);
  for (const name of path) {
    const next = memberAt(json, from, name);
    if (next === null) return null;
    from = next;
  }
  return json.slice(from, endOf(json, from));
}

/** The source texts of the elements of the array at the path; null when no array is there. */
export function elementsAt(json: string, path: JsonPath): string[] | null {
  const array = textAt(json, path);
  if (array === null || array[0] !== "[") return null;
  const elements: string[] = [];
  for (let at = afterSpace(array, 1); array[at] !== "]";) {
    const end = endOf(array, at);
    elements.push(array.slice(at, end));
    at = afterSpace(array, end);
    if (array[at] === ",") at = afterSpace(array, at + 1);
  }
  return elements;
}

/** Where the value of a member begins; of two of one name the last, as JSON.parse has it. */
function memberAt(json: string, from: number, wanted: string): number | null {
  if (json[from] !== "{") return null;
  let found: number | null = null;
  for (let at = afterSpace(json, from + 1); json[at] !== "}";) {
    const nameEnd = endOf(json, at);
    const name = json.slice(at, nameEnd);
    const value = afterSpace(json, afterSpace(json, nameEnd) + 1);
    // An escape in a name is rare, and worth a parse only then.
    if ((name.includes("\\") ? (JSON.parse(name) as string) : name.slice(1, -1)) === wanted) found = value;
    at = afterSpace(json, endOf(json, value));
    if (json[at] === ",") at = afterSpace(json, at + 1);
  }
  return found;
}

/** Behind the value that begins here. Values that lie in each other are counted, not called: a text may nest without end. */
function endOf(json: string, from: number): number {
  let depth = 0;
  for (let at = from; at < json.length; at += 1) {
    switch (json[at]) {
      case '"':
        at = endOfString(json, at);
        if (depth === 0) return at + 1;
        break;
      case "{":
      case "[":
        depth += 1;
        break;
      case "}":
      case "]":
        depth -= 1;
        if (depth === 0) return at + 1;
        if (depth < 0) return at;
        break;
      case ",":
      case " ":
      case "\n":
      case "\r":
      case "\t":
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return json.length;
}

function endOfString(json: string, from: number): number {
  for (let at = json.indexOf('"', from + 1); at >= 0; at = json.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (json[at - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
  return json.length;
}

function afterSpace(json: string, from: number): number {
  let at = from;
  while (json[at] === " " || json[at] === "\n" || json[at] === "\r" || json[at] === "\t") at += 1;
  return at;
}
