// `preset: "beamline"` in a jest configuration: TypeScript without a build step, and the setting without which
// apache-beam does not work under jest. Plain JavaScript, since jest loads it before anything can compile.
const path = require("node:path");

const transform = path.join(__dirname, "transform.js");

/** Packages that are ESM only, and the one file of beamline that imports them: jest loads neither as they are. */
const esm = "(?:hyparquet|hyparquet-compressors|hysnappy)[\\\\/].+\\.js$";
const itsDoor = "dist[\\\\/]io[\\\\/]lake[\\\\/]parquet-library\\.js$";

module.exports = {
  testEnvironment: "node",
  testMatch: ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/"],
  transform: {
    "\\.[cm]?ts$": transform,
    [`[\\\\/]node_modules[\\\\/]${esm}`]: transform,
    [`[\\\\/]${itsDoor}`]: transform,
  },
  transformIgnorePatterns: [
    `[\\\\/]node_modules[\\\\/](?!(?:.*[\\\\/]node_modules[\\\\/])?${esm})(?!.*[\\\\/]${itsDoor})`,
  ],
  moduleNameMapper: { "^fast-deep-equal$": path.join(__dirname, "deep-equal.js") },
};
