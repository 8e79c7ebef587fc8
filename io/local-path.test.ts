import os from "node:os";
import path from "node:path";
import { localPath, shownPath } from "./local-path";

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
