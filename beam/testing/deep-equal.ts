// Stands in for the fast-deep-equal package under jest; see jest-preset.ts.
import { isDeepStrictEqual } from "node:util";

export = isDeepStrictEqual;
