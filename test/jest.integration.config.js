// Tests against real servers, each file with its own. Two at a time: most of the time they wait for something.
const base = require("../jest.config.js");

/** @type {import("jest").Config} */
module.exports = { ...base, testMatch: ["**/*.integration.ts"], testTimeout: 300_000, maxWorkers: 2 };
