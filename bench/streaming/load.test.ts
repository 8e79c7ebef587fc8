import { tradeLines } from "../generate-trades";
import { recordsOf } from "./load";

test("every record has the time of its trade, and is keyed by its symbol where it can be found", () => {
  const toRecord = recordsOf();
  const records = [...tradeLines(20_000, 7)].map((line) => toRecord(line));
  const [least, most] = [Date.UTC(2026, 0, 5, 9, 30), Date.UTC(2026, 0, 5, 9, 31)];
  expect(records.every(({ time }) => time >= least && time < most)).toBe(true);
  const wrong = records.filter(({ value, key, time }) => {
    try {
      const { s, T } = JSON.parse(value) as { s: unknown; T: unknown };
      return typeof s === "string" && typeof T === "number" && String(T).length === 13 && (s !== key || T !== time);
    } catch {
      return false;
    }
  });
  expect(wrong).toEqual([]);
  const keyless = records.filter(({ key }) => key === null).length;
  expect(keyless).toBeGreaterThan(0);
  expect(keyless).toBeLessThan(100);
});
