// Tests against real servers, which they start themselves. One file at a time: they share the machine's two servers.
const base = require("../jest.config.js");

/** @type {import("jest").Config} */
module.exports = { ...base, testMatch: ["**/*.integration.ts"], testTimeout: 300_000, maxWorkers: 1 };
