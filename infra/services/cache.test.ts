import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { cacheDirectory, fillDirectory, shortHash } from "./cache";

const scratch = scratchDirectory();

function write(directory: string, text: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/a`, text);
}

test("where it is", () => {
  expect(cacheDirectory({ XDG_CACHE_HOME: "/c" })).toBe("/c/beamline");
  expect(cacheDirectory({}, "linux")).toMatch(/\/\.cache\/beamline$/);
  expect(cacheDirectory({}, "darwin")).toMatch(/\/Library\/Caches\/beamline$/);
});

test("a directory appears whole", async () => {
  await fillDirectory(scratch("cache/x"), async (incoming) => {
    write(incoming, "1");
    expect(existsSync(scratch("cache/x"))).toBe(false);
  });
  expect(readFileSync(scratch("cache/x/a"), "utf8")).toBe("1");
  expect(readdirSync(scratch("cache"))).toEqual(["x"]);
});

test("or not at all", async () => {
  const fill = fillDirectory(scratch("cache/x"), async (incoming) => {
    write(incoming, "1");
    throw new Error("no such host");
  });
  await expect(fill).rejects.toThrow("no such host");
  expect(readdirSync(scratch("cache"))).toEqual([]);
});

test("one that another process filled meanwhile stays", async () => {
  await fillDirectory(scratch("cache/x"), async (incoming) => {
    write(incoming, "mine");
    write(scratch("cache/x"), "theirs");
  });
  expect(readFileSync(scratch("cache/x/a"), "utf8")).toBe("theirs");
  expect(readdirSync(scratch("cache"))).toEqual(["x"]);
});

test("another text is another name", () => {
  expect(shortHash("a")).toMatch(/^[0-9a-f]{8}$/);
  expect(shortHash("a")).not.toBe(shortHash("b"));
});
