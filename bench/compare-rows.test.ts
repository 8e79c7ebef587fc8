import { compareRows, type Row } from "./compare-rows";

const row = (symbol: string, volume: unknown): Row => ({ window_start: "2026-01-01T00:00:00.000Z", symbol, volume });
const differences = (left: Row[], right: Row[], equality: "text" | "number"): number =>
  compareRows(left, right, ["volume"], equality).differences;

describe("compareRows", () => {
  it("does not care about the order of rows", () => {
    expect(differences([row("A", "1"), row("B", "2")], [row("B", "2"), row("A", "1")], "text")).toBe(0);
  });

  it("tells notations apart as text and not as numbers", () => {
    expect(differences([row("A", "1.5")], [row("A", "1.500")], "text")).toBe(1);
    expect(differences([row("A", "1.5")], [row("A", "1.500")], "number")).toBe(0);
    expect(differences([row("A", "10")], [row("A", "010.000")], "number")).toBe(0);
    expect(differences([row("A", "0.5")], [row("A", "0.05")], "number")).toBe(1);
    expect(differences([row("A", 1500)], [row("A", "1500")], "number")).toBe(0);
    expect(differences([row("A", "100")], [row("A", "1")], "number")).toBe(1);
  });

  it("sees a difference in the sixteenth decimal, where a double is blind", () => {
    const [left, right] = [row("A", "123456789.0000000000000001"), row("A", "123456789.0000000000000002")];
    expect(differences([left], [right], "number")).toBe(1);
  });

  it("names missing, unexpected, repeated and unequal rows", () => {
    const { differences: count, examples } = compareRows(
      [row("A", "1"), row("B", "2"), row("C", "3")],
      [row("A", "1"), row("A", "1"), row("C", "4"), row("D", "5")],
      ["volume"],
      "text",
    );
    expect(count).toBe(4);
    expect(examples.map((example) => example.replace("2026-01-01T00:00:00.000Z ", ""))).toEqual([
      "A: more than one row",
      "B: missing",
      "C: volume is 4, not 3",
      "D: not expected",
    ]);
  });

  it("treats an absent column as a difference", () => {
    const { window_start, symbol } = row("A", "");
    expect(differences([row("A", "1")], [{ window_start, symbol }], "text")).toBe(1);
  });
});
