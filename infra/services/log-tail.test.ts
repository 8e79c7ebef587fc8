import { writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { logTail } from "./log-tail";

const scratch = scratchDirectory();

test("the last lines, of a small file, a large one, an empty one and none", async () => {
  writeFileSync(scratch("small.log"), "one\ntwo\r\nthree\n");
  expect(await logTail(scratch("small.log"), 2)).toBe("two\nthree");
  expect(await logTail(scratch("small.log"))).toBe("one\ntwo\nthree");
  const lines = Array.from({ length: 50_000 }, (_, at) => `line ${at}`);
  writeFileSync(scratch("large.log"), lines.join("\n"));
  expect(await logTail(scratch("large.log"), 3)).toBe("line 49997\nline 49998\nline 49999");
  writeFileSync(scratch("empty.log"), "");
  expect(await logTail(scratch("empty.log"))).toBe("");
  expect(await logTail(scratch("none.log"))).toBe("");
});

test("a line that was cut off at its start is left out", async () => {
  writeFileSync(scratch("long.log"), `${"x".repeat(100_000)}\nlast\n`);
  expect(await logTail(scratch("long.log"))).toBe("last");
});
