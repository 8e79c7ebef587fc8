// A jest reporter that tells of every test file when it begins and when it ends, with its failures at once, and keeps the
// count in the file COUNTS: a run that is cut off has then still said how far it came, and where it was. Failures are kept in
// the file FAILURES too, to be told again at the end, since of a long output often just the end is kept.
const fs = require("node:fs");
const path = require("node:path");

module.exports = class Progress {
  passed = 0;
  failed = 0;

  onRunStart() {
    this.keep();
  }

  onTestFileStart({ path: file }) {
    process.stdout.write(`  … ${path.relative(process.cwd(), file)}\n`);
  }

  onTestFileResult({ path: file }, result) {
    const { numPassingTests, numFailingTests, numPendingTests, numTodoTests, testExecError, failureMessage } = result;
    // A test that is skipped has not shown anything, and a file that cannot be run hides all of its tests.
    const failed = numFailingTests + numPendingTests + numTodoTests + (testExecError ? 1 : 0);
    this.passed += numPassingTests;
    this.failed += failed;
    this.keep();
    const seconds = Math.round((result.perfStats.end - result.perfStats.start) / 1000);
    const name = path.relative(process.cwd(), file);
    process.stdout.write(
      `  ${failed === 0 ? "✓" : "✗"} ${name}: ${numPassingTests} passed, ${failed} failed, ${seconds} s\n`,
    );
    if (failed > 0) {
      const why = failureMessage ?? "Tests were skipped.";
      process.stdout.write(`${why}\n`);
      fs.appendFileSync(process.env.FAILURES, `${name} on Node ${process.version}\n${why.slice(0, 4000)}\n`);
    }
  }

  keep() {
    fs.writeFileSync(process.env.COUNTS, `${this.passed} ${this.failed}\n`);
  }
};
