import fc from "fast-check";
import { CopyChunks } from "./copy-chunks";

const lines = fc.array(
  fc.oneof(
    fc.string({ unit: "binary" }),
    fc.integer({ min: 0, max: 1 << 21 }).map((length) => "ü".repeat(length)),
    fc.constantFrom("", "\n", "😀".repeat(100_000)),
  ),
  { maxLength: 30 },
);

test("all lines come out, in order, in pieces that are not much larger than a megabyte or one line", () => {
  fc.assert(
    fc.property(lines, (all) => {
      const chunks = new CopyChunks();
      const given = [...all.flatMap((line) => chunks.add(line)), ...chunks.take()];
      expect(Buffer.concat(given).equals(Buffer.from(all.join("")))).toBe(true);
      const longest = Math.max(0, ...all.map((line) => Buffer.byteLength(line)));
      for (const piece of given) expect(piece.length).toBeLessThanOrEqual(Math.max(1 << 20, longest));
      expect(chunks.take()).toEqual([]);
    }),
    { numRuns: 30 },
  );
});

test("what was given is not written into any more", () => {
  const chunks = new CopyChunks();
  chunks.add("a".repeat(300_000));
  const [first] = chunks.take();
  chunks.add("b".repeat(300_000));
  expect(Buffer.from(first ?? []).includes("b")).toBe(false);
});
