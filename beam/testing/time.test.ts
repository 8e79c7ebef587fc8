import { millisOf } from "./time";

test("milliseconds, or ISO 8601 text", () => {
  expect(millisOf(5)).toBe(5);
  expect(millisOf("2026-01-01T00:00:00Z")).toBe(Date.UTC(2026, 0, 1));
});

test.each(["noon", "", NaN, Infinity])("%p is no time", (text) => {
  expect(() => millisOf(text)).toThrow(`“${text}” is not a time: give milliseconds or ISO 8601 text`);
});
