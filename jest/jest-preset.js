// `preset: "beamline"` in a jest configuration: TypeScript without a build step, and the setting without which
// apache-beam does not work under jest. Plain JavaScript, since jest loads it before anything can compile.
const path = require("node:path");

module.exports = {
  testEnvironment: "node",
  testMatch: ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/"],
  transform: { "\\.[cm]?ts$": path.join(__dirname, "transform.js") },
  moduleNameMapper: { "^fast-deep-equal$": path.join(__dirname, "deep-equal.js") },
};
