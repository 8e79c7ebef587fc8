// `preset: "beamline"` in a jest configuration: TypeScript without a build step, and the two settings without which
// apache-beam does not work under jest.
import path from "node:path";

const extension = path.extname(__filename);

export const testEnvironment = "node";
export const testMatch = ["**/*.test.ts"];
export const transform = { "\\.[cm]?ts$": path.join(__dirname, `jest-transform${extension}`) };
// fast-deep-equal compares constructors, which differ between jest's realms: equal windowing strategies look different.
export const moduleNameMapper = { "^fast-deep-equal$": path.join(__dirname, `deep-equal${extension}`) };
