// TypeScript by esbuild, which tsx brings anyway. Types are not checked here, and jest.mock calls are not hoisted.
// An import() becomes a require: jest has none for ESM, so that packages that are ESM only are compiled too.
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
      supported: { "dynamic-import": false },
      sourcefile: file,
      sourcemap: "inline",
    }).code,
  }),
};
