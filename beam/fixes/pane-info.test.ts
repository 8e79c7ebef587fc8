import { Reader, Writer } from "protobufjs";
import { firePanesOnTime } from "./pane-info";
import { Context } from "apache-beam/coders/coders";
import { PaneInfoCoder } from "apache-beam/coders/required_coders";
import { type PaneInfo, Timing } from "apache-beam/values";

const coder = PaneInfoCoder.INSTANCE;

function encode(pane: PaneInfo): number[] {
  const writer = new Writer();
  coder.encode(pane, writer, Context.needsDelimiters);
  return [...writer.finish()];
}

const decode = (...bytes: number[]) => coder.decode(new Reader(new Uint8Array(bytes)), Context.needsDelimiters);

test("without the fix the one and only firing is late and not the last", () => {
  expect(PaneInfoCoder.ONE_AND_ONLY_FIRING).toMatchObject({ timing: Timing.LATE, isFirst: true, isLast: false });
});

describe("with the fix", () => {
  beforeAll(() => {
    firePanesOnTime();
    firePanesOnTime();
  });

  test("the one and only firing is first, last and on time", () => {
    const pane = { timing: Timing.ON_TIME, isFirst: true, isLast: true, index: 0, onTimeIndex: 0 };
    expect(PaneInfoCoder.ONE_AND_ONLY_FIRING).toEqual(pane);
    expect(encode(PaneInfoCoder.ONE_AND_ONLY_FIRING)).toEqual([0x07]);
    expect(decode(0x07)).toEqual(pane);
  });
});

// Beam's encoding: the low bits first, last and timing, the high ones how many indices follow.
test.each([
  ["unknown, as before any grouping", [0x0f], Timing.UNKNOWN, true, true, 0, 0],
  ["first early", [0x11, 0], Timing.EARLY, true, false, 0, -1],
  ["third early", [0x10, 2], Timing.EARLY, false, false, 2, -1],
  ["on time after two early", [0x24, 2, 0], Timing.ON_TIME, false, false, 2, 0],
  ["late after an on-time one", [0x18, 1], Timing.LATE, false, false, 1, 1],
  ["last late after early ones", [0x2a, 172, 2, 1], Timing.LATE, false, true, 300, 1],
] as const)("a pane that is %s is coded as Beam does", (_, bytes, timing, isFirst, isLast, index, onTimeIndex) => {
  const pane = { timing, isFirst, isLast, index, onTimeIndex };
  expect(encode(pane)).toEqual([...bytes]);
  expect(decode(...bytes)).toEqual(pane);
});
