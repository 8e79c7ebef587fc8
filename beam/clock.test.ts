import { Clock, currentClock, withClock } from "./clock";

describe("a clock", () => {
  test("tells its listeners in reverse order of listening, each after the one before is done", async () => {
    const told: string[] = [];
    const clock = new Clock();
    clock.listen((watermark) => void told.push(`last ${watermark}`));
    clock.listen(async (watermark) => {
      await Promise.resolve();
      told.push(`middle ${watermark}`);
    });
    clock.listen(async (watermark) => {
      await new Promise((resolve) => setImmediate(resolve));
      told.push(`first ${watermark}`);
    });
    await clock.advanceTo(5);
    await clock.advanceTo(5);
    expect(told).toEqual(["first 5", "middle 5", "last 5", "first 5", "middle 5", "last 5"]);
    expect(clock.watermark).toBe(5);
  });

  test("never moves back", async () => {
    const clock = new Clock();
    await clock.advanceTo(Date.UTC(2026, 0, 2));
    const told = jest.fn();
    clock.listen(told);
    await expect(clock.advanceTo(Date.UTC(2026, 0, 1))).rejects.toThrow(
      "The watermark cannot move back from 2026-01-02T00:00:00.000Z to 2026-01-01T00:00:00.000Z",
    );
    await expect(clock.advanceTo(NaN)).rejects.toThrow("to NaN");
    expect(told).not.toHaveBeenCalled();
    expect(clock.watermark).toBe(Date.UTC(2026, 0, 2));
  });

  test("passes on what a listener throws, and tells no further one", async () => {
    const clock = new Clock();
    const told = jest.fn();
    clock.listen(told);
    clock.listen(() => Promise.reject(new Error("no space left")));
    await expect(clock.advanceTo(1)).rejects.toThrow("no space left");
    expect(told).not.toHaveBeenCalled();
  });
});

describe("the clock of a run", () => {
  test("is there while the run lasts, also after waiting, and when it fails", async () => {
    const clock = new Clock();
    expect(currentClock()).toBeNull();
    await withClock(clock, async () => {
      expect(currentClock()).toBe(clock);
      await new Promise((resolve) => setImmediate(resolve));
      expect(currentClock()).toBe(clock);
    });
    await expect(withClock(clock, () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(currentClock()).toBeNull();
  });

  test("is its own where runs overlap, and a run without one has none", async () => {
    const clocks = [new Clock(), null, new Clock()];
    const seen = await Promise.all(
      clocks.map((clock) =>
        withClock(clock, async () => {
          await new Promise((resolve) => setImmediate(resolve));
          return currentClock();
        }),
      ),
    );
    expect(seen.map((clock, at) => clock === clocks[at])).toEqual([true, true, true]);
  });
});
