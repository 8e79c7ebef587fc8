import { dayFrom, timeText } from "./time-text";

test.each([
  [Date.UTC(2026, 0, 5, 9, 30), "2026-01-05T09:30:00Z"],
  [Date.UTC(2026, 0, 5, 9, 30, 0, 7), "2026-01-05T09:30:00.007Z"],
  [-1, "1969-12-31T23:59:59.999Z"],
  [8.64e15 + 1, "8640000000000001"],
  [-1e20, "-100000000000000000000"],
])("%p is %p", (time, text) => {
  expect(timeText(time)).toBe(text);
});

test.each([
  [Date.UTC(2026, 0, 5), "2026-01-05"],
  [Date.UTC(2026, 0, 5) + 1, "2026-01-06"],
  [Date.UTC(2026, 0, 5) - 1, "2026-01-05"],
])("the first day from %p is %p", (time, day) => {
  expect(dayFrom(time)).toBe(day);
});
