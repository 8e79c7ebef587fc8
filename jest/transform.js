// TypeScript by esbuild, which tsx brings anyway. Types are not checked here, and jest.mock calls are not hoisted.
const path = require("node:path");
const { transformSync, version } = require("esbuild");

const loaders = { ".ts": "ts", ".mts": "ts", ".cts": "ts", ".tsx": "tsx" };

module.exports = {
  getCacheKey: (source, file) => `${version}\n${file}\n${source}`,
  process: (source, file) => ({
    code: transformSync(source, {
      loader: loaders[path.extname(file)] ?? "js",
      format: "cjs",
      target: "node20",
      sourcefile: file,
      sourcemap: "inline",
    }).code,
  }),
};
