// The preset is the one that users of the package get; see beam/testing/jest-preset.ts.
require("tsx/cjs");
const preset = require("./beam/testing/jest-preset.ts");

/** @type {import("jest").Config} */
module.exports = {
  ...preset,
  rootDir: __dirname,
  testPathIgnorePatterns: ["/node_modules/", "/dist/", "/\\.ci/"],
  modulePathIgnorePatterns: ["<rootDir>/dist/"],
};
