// What the README shows is what a new user sees: the quickstart's output, line by line, but for times and rates.
import fs from "node:fs";
import path from "node:path";
import { command } from "../cli/command";
import { scratchDirectory } from "./scratch";

const readme = fs.readFileSync(path.resolve(__dirname, "../README.md"), "utf8");
const scratch = scratchDirectory();
const home = process.cwd();

afterEach(() => {
  process.chdir(home);
  jest.restoreAllMocks();
});

test("the quickstart prints what the README shows", async () => {
  const shown = /^```text\n(✓[^]*?)^```$/m.exec(readme)?.[1] ?? "";
  const lines = shown.split("\n").filter((line) => line.trim() !== "" && line.trim() !== "…");
  expect(lines.length).toBeGreaterThan(12);

  process.chdir(scratch());
  let printed = "";
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  expect(await command(["--runner=direct"])).toBe(0);

  const withoutTimes = (line: string) => line.replace(/in [\d.]+ s, [\d,]+ records\/s/, "in … s");
  const actual = printed.split("\n").map(withoutTimes);
  for (const line of lines) {
    // What JSON.parse says of a broken line differs between versions of Node.
    const expected = line.includes("not JSON") ? line.slice(0, line.indexOf(": Unterminated")) : withoutTimes(line);
    expect(actual.some((other) => other === expected || other.startsWith(expected))).toBe(true);
  }
});

test("every file that the README links is there", () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !link.includes("://"));
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter((link) => !fs.existsSync(path.resolve(__dirname, "..", link)))).toEqual([]);
});
