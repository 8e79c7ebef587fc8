import { z } from "zod";
import { tableOf, timestamp, raw } from "../schema/table";
import { type Report, type Sample } from "../runners/report";
import { harmless, printReport, Progress, tableText } from "./screen";

const rows = tableOf("rows", z.object({ name: z.string(), at: timestamp(), bytes: raw().nullable() }), {
  key: ["name"],
});

function printed(action: () => void): string {
  let text = "";
  const spy = jest.spyOn(process.stderr, "write").mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  try {
    action();
  } finally {
    spy.mockRestore();
  }
  return text;
}

test("what a terminal would obey is shown as dots", () => {
  expect(harmless("a\u001b[2Jb\u0007\r\n\u009b31m\u0000\u007f")).toBe("a·[2Jb····31m··");
  expect(harmless("right\u202eto left\u2066\u200b\u2028\u2029\ufeff")).toBe("right·to left·····");
  expect(harmless("ünï 漢字 😀")).toBe("ünï 漢字 😀");
});

test("a long text is cut, and not through the middle of a character", () => {
  expect(harmless("abcdef", 3)).toBe("abc…");
  expect(harmless("ab😀", 3)).toBe("ab·…");
  expect(harmless("abc", 3)).toBe("abc");
});

test("a table has columns as wide as what is in them", () => {
  const text = tableText(rows, [
    { name: "a", at: Date.UTC(2026, 0, 5), bytes: new Uint8Array([27, 1]) },
    { name: "a name that is much too long for a column", at: 0, bytes: null },
  ]);
  expect(text.split("\n")).toEqual([
    "  name                       at                    bytes",
    "  a                          2026-01-05T00:00:00Z  <Buffer 1b 01>",
    "  a name that is much too …  1970-01-01T00:00:00Z",
  ]);
});

test("a table is cut where the terminal ends", () => {
  const text = tableText(rows, [{ name: "a", at: 0, bytes: null }], 12);
  expect(text.split("\n")).toEqual(["  name  at …", "  a     197…"]);
  for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(12);
});

test("without a terminal there is no progress line", () => {
  const text = printed(() => {
    const progress = new Progress();
    progress.update({ read: 5 });
    progress.clear();
  });
  expect(text).toBe("");
});

test("the summary tells all counts that are not nothing, and shows hostile records harmless", () => {
  const report: Report & { sample: Sample } = {
    pipeline: "p",
    runner: "direct",
    state: "done",
    read: 1234,
    ok: 1230,
    dead: 2,
    dropped: 1,
    duplicate: 1,
    late: 3,
    outside: 4,
    written: { rows: 1, letters: 2 },
    rejected: 0,
    seconds: 75.4,
    recordsPerSecond: 16,
    job: "p",
    batch: "b",
    notWhole: {
      before: "2026-01-05T09:30:00Z",
      windows: 7,
      named: [1, 2, 3, 4, 5, 6].map((n) => `candles ${n}, \u001b[31mred`),
    },
    sample: {
      firstRows: [{ output: "rows", table: rows, rows: [{ name: "\u001b[31mred", at: 0, bytes: null }] }],
      deadReasons: [
        {
          reason: "not JSON",
          count: 2,
          example: {
            job: "p",
            source: "evil\u001b]0;title\u0007.ndjson",
            position: 1000,
            step: "decode",
            reason: "not JSON",
            error: "Unexpected token '\u001b'",
            value: "\u001b[2J\u001b[H\nline",
            key: null,
            timestamp: null,
            headers: null,
            fields: null,
            pipeline: "p",
            version: "1",
            batch: "b",
            attempt: 1,
          },
        },
      ],
    },
  };
  const text = printed(() => printReport(report, { rows: "sqlite:a\u001b.db", letters: "file:l" }));
  expect(text).toBe(
    [
      "✓ p done in 1m15s, 16 records/s",
      "",
      "  read       1,234 records",
      "  dropped    1 record",
      "  duplicate  1 record, counted once",
      "  late       3 records",
      "  outside    4 records, of windows that --since and --until leave out",
      "  dead       2 records",
      "         2 × not JSON — evil·]0;title·.ndjson, 1,000: Unexpected token '·'",
      "             ·[2J·[H·line",
      "  written    1 row of rows to sqlite:a·.db",
      "  written    2 rows of letters to file:l",
      "  not whole  7 windows not written: of windows that begin before 2026-01-05T09:30:00Z the source has lost records",
      ...[1, 2, 3, 4, 5].map((n) => `             candles ${n}, ·[31mred`),
      "             and 2 more",
      "             --partial-windows=write writes them all the same",
      "",
      "  rows, the first row:",
      "  name      at                    bytes",
      "  ·[31mred  1970-01-01T00:00:00Z",
      "",
    ].join("\n"),
  );
});
