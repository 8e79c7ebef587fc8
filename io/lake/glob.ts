// Patterns of names in a bucket, as those of files: `*` and `?` within a folder, `**` over folders, `{a,b}` and `[a-z]`.

const SPECIAL = /[*?{}[\]]/;

/** What all names that match begin with, so that only those are listed. */
export function fixedPart(pattern: string): string {
  const at = pattern.search(SPECIAL);
  return at < 0 ? pattern : pattern.slice(0, at);
}

export const isPattern = (text: string): boolean => SPECIAL.test(text);

/** Names of which a part begins with “_” or “.” are a program's own, and match only where the pattern says so. */
export function matcherOf(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^${expressionOf(pattern)}$`, "su");
  return (name) => expression.test(name);
}

function expressionOf(pattern: string): string {
  let expression = "";
  let depth = 0;
  for (let at = 0; at < pattern.length; at += 1) {
    const isStart = at === 0 || pattern[at - 1] === "/";
    const own = isStart ? "(?![._])" : "";
    if (isStart && pattern.startsWith("**/", at)) {
      expression += "(?:(?![._])[^/]+/)*";
      at += 2;
    } else if (isStart && pattern.slice(at) === "**") {
      expression += "(?:(?![._])[^/]+/)*(?![._])[^/]+";
      at += 1;
    } else {
      const one = pattern[at] ?? "";
      const set = one === "[" ? /^\[(!|\^)?([^\]/]+)\]/.exec(pattern.slice(at)) : null;
      if (one === "*") expression += `${own}[^/]*`;
      else if (one === "?") expression += `${own}[^/]`;
      else if (set !== null) {
        expression += `${own}[${set[1] === undefined ? "" : "^/"}${(set[2] ?? "").replaceAll(/[\\[\]^]/g, "\\$&")}]`;
        at += set[0].length - 1;
      } else if (one === "{" && pattern.includes("}", at)) {
        depth += 1;
        expression += "(?:";
      } else if (one === "}" && depth > 0) {
        depth -= 1;
        expression += ")";
      } else if (one === "," && depth > 0) expression += "|";
      else expression += one.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
    }
  }
  return expression;
}
