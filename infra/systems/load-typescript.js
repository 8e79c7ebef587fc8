// `node --require` this: TypeScript runs without a build step, as with tsx, but a process has started in less than half the
// time, which tests that start hundreds of them feel. What was compiled once is kept, by its content.
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { pid } = require("node:process");

const { version } = require("esbuild/package.json");
const kept = path.resolve(require.resolve("esbuild/package.json"), "../../.cache/beamline-typescript");
fs.mkdirSync(kept, { recursive: true });

require.extensions[".ts"] = (module, file) => module._compile(compiled(fs.readFileSync(file, "utf8"), file), file);

function compiled(source, file) {
  const place = path.join(kept, createHash("sha256").update(`${version}\n${file}\n${source}`).digest("hex"));
  try {
    return fs.readFileSync(place, "utf8");
  } catch {
    const { transformSync } = require("esbuild");
    const lines = { sourcefile: file, sourcemap: "inline", sourcesContent: false };
    const { code } = transformSync(source, { loader: "ts", format: "cjs", target: "node20", ...lines });
    // Whole at once, since others may look for it at this moment.
    fs.writeFileSync(`${place}.${pid}`, code);
    fs.renameSync(`${place}.${pid}`, place);
    return code;
  }
}
