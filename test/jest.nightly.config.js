// Tests on real servers that take too long for every change.
const base = require("./jest.integration.config.js");

/** @type {import("jest").Config} */
module.exports = { ...base, testMatch: ["**/*.nightly.ts"], maxWorkers: 1 };
