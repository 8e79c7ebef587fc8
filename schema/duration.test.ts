import fc from "fast-check";
import { duration, formatDuration, parseDuration, positiveDuration } from "./duration";

describe("a duration", () => {
  it.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["30d", 2_592_000_000],
    ["2w", 1_209_600_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [" 5m ", 300_000],
    ["0", 0],
    ["0s", 0],
    ["1d2h3m4s5ms", 93_784_005],
  ])("%s is %i milliseconds", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each([
    "",
    " ",
    "5",
    "m",
    "5 m",
    "5min",
    "-5m",
    "+5m",
    "1h-5m",
    "5M",
    "1e3s",
    "0.0001s",
    "5m!",
    ".5s",
    "5.s",
    "999999999999999w",
    "NaN",
  ])("%j is none", (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  it("is written so that it is read back", () => {
    expect(formatDuration(5_400_000)).toBe("1h30m");
    expect(formatDuration(0)).toBe("0s");
    fc.assert(
      fc.property(fc.maxSafeNat(), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
      }),
    );
  });

  it("is a parameter: text or milliseconds in, milliseconds out", () => {
    expect(duration().parse("5m")).toBe(300_000);
    expect(duration().parse(250)).toBe(250);
    expect(duration().safeParse("soon").error?.issues[0]?.message).toBe(
      "not a duration: write 250ms, 90s, 5m, 1h30m or 7d",
    );
    for (const wrong of [-1, 1.5, null, {}, Number.NaN]) expect(duration().safeParse(wrong).success).toBe(false);
    expect(positiveDuration().safeParse("0").error?.issues[0]?.message).toBe("must be longer than 0");
    expect(positiveDuration().parse("1ms")).toBe(1);
    expect(positiveDuration().meta()).toEqual({ kind: "duration" });
  });
});
