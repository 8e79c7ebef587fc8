// The SDK reads its constant "one and only firing" from the byte 0x09, which is a first and late pane with others to
// follow; Beam's byte for it is 0x07: first, last and on time. The fix corrects the constant. The coder itself agrees
// with Beam.
import "../node-compat";
import "apache-beam";
import { PaneInfoCoder } from "apache-beam/coders/required_coders";
import { Timing } from "apache-beam/values";

export function firePanesOnTime(): void {
  // In place: others may have taken hold of the object.
  Object.assign(PaneInfoCoder.ONE_AND_ONLY_FIRING, {
    isFirst: true,
    isLast: true,
    timing: Timing.ON_TIME,
    index: 0,
    onTimeIndex: 0,
  });
}
