// Tests against real servers, each file with its own. One at a time: in twos they take three fifths of the time, but some of
// them wait for what a machine that is that busy does too late.
const base = require("../jest.config.js");

/** @type {import("jest").Config} */
module.exports = {
  ...base,
  roots: ["<rootDir>", "<rootDir>/../docs/guide"],
  testMatch: ["**/*.integration.ts"],
  testTimeout: 300_000,
  maxWorkers: 1,
};
