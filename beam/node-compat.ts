// A dependency of apache-beam 2.49 calls util.isPrimitive while it loads. Node 22 warns of that on the user's screen, and
// Node 24 has removed it, so it gets one of ours. Import this first.
import util from "node:util";

type WithIsPrimitive = { isPrimitive?: (value: unknown) => boolean };
const target = util as WithIsPrimitive;

target.isPrimitive = (value) => value === null || (typeof value !== "object" && typeof value !== "function");
