import os from "node:os";
import path from "node:path";
import fs from "node:fs";
import { scratchDirectory } from "../test/scratch";
import { localPath, makeDirectory, shownPath } from "./local-path";

describe("a path behind a scheme", () => {
  it.each([
    ["data/a.ndjson", path.resolve("data/a.ndjson")],
    ["./data//a.ndjson", path.resolve("data/a.ndjson")],
    ["~/a.ndjson", path.join(os.homedir(), "a.ndjson")],
    ["~", os.homedir()],
    ["~other/a", path.resolve("~other/a")],
  ])("%s is resolved", (written, absolute) => {
    expect(localPath(written)).toBe(absolute);
  });

  it("may have the slashes of a URL", () => {
    const absolute = path.resolve("/data/a.ndjson");
    expect(localPath("///data/a.ndjson")).toBe(absolute);
    expect(localPath("/data/a.ndjson")).toBe(absolute);
  });

  it("is shown relative inside the working directory, absolute outside, with forward slashes", () => {
    expect(shownPath(path.resolve("data", "a b", "ü.ndjson"))).toBe("data/a b/ü.ndjson");
    expect(shownPath(path.resolve("..data"))).toBe("..data");
    const outside = path.resolve("..", "a.ndjson");
    expect(shownPath(outside)).toBe(outside.replaceAll("\\", "/"));
    expect(shownPath(path.resolve("."))).toBe(path.resolve(".").replaceAll("\\", "/"));
  });
});

describe("a directory that is made", () => {
  const scratch = scratchDirectory();

  it("comes with those above it, by several at once", async () => {
    await Promise.all([1, 2, 3].map(() => makeDirectory(scratch("a", "b", "c"))));
    expect(fs.statSync(scratch("a", "b", "c")).isDirectory()).toBe(true);
  });

  it("is refused where a file stands in the way", async () => {
    fs.writeFileSync(scratch("a"), "");
    await expect(makeDirectory(scratch("a", "b"))).rejects.toThrow(/EEXIST|ENOTDIR/);
  });

  // mkdir's own recursive way never ends there, which hung a run for good.
  const onLinux = process.platform === "linux" ? "/proc/beamline/data" : null;
  it("is refused at once under /proc", async () => {
    if (onLinux === null) return;
    await expect(makeDirectory(onLinux)).rejects.toMatchObject({ code: "ENOENT" });
  });
});
