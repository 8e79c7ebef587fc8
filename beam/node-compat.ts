// Node 24 removed util.isPrimitive, which a dependency of apache-beam 2.49 calls while it loads. Import this first.
import util from "node:util";

type WithIsPrimitive = { isPrimitive?: (value: unknown) => boolean };
const target = util as WithIsPrimitive;

target.isPrimitive ??= (value) => value === null || (typeof value !== "object" && typeof value !== "function");
