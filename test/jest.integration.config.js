// Tests against real servers, each file with its own. Two at a time: most of them wait more than they compute.
const base = require("../jest.config.js");

/** @type {import("jest").Config} */
module.exports = {
  ...base,
  roots: ["<rootDir>", "<rootDir>/../docs/guide"],
  testMatch: ["**/*.integration.ts"],
  testTimeout: 300_000,
  maxWorkers: 2,
};
