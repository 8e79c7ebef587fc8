// The preset is the one that users of the package get.
const { env } = require("node:process");
const preset = require("./jest/jest-preset.js");

/** @type {import("jest").Config} */
module.exports = {
  ...preset,
  testPathIgnorePatterns: [...preset.testPathIgnorePatterns, "/\\.ci/"],
  modulePathIgnorePatterns: ["<rootDir>/dist/"],
  // Where nothing else is to be done, no core stays idle.
  ...(env.CI ? { maxWorkers: "100%" } : {}),
};
