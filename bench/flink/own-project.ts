// A project beside the repository's own, with the pipeline of this folder in it: to beamline it is a user's package.
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";

const ROOT = path.join(__dirname, "..", "..");
const DIRECTORY = path.join(__dirname, "..", "data", "flink-project");

/** Makes it anew, and says where it is. */
export async function makeOwnProject(): Promise<string> {
  fs.rmSync(DIRECTORY, { recursive: true, force: true });
  fs.mkdirSync(path.join(DIRECTORY, "node_modules"), { recursive: true });
  fs.symlinkSync(ROOT, path.join(DIRECTORY, "node_modules", "beamline"));
  fs.writeFileSync(
    path.join(DIRECTORY, "package.json"),
    JSON.stringify({ name: "bench-flink", private: true, beamline: { pipelines: "*.js" } }),
  );
  await build({
    entryPoints: [path.join(__dirname, "trades-counted.ts")],
    outfile: path.join(DIRECTORY, "trades-counted.js"),
    bundle: true,
    platform: "node",
    target: "node20",
    logLevel: "error",
    plugins: [
      {
        name: "what is beamline's comes from the package",
        setup({ onResolve }) {
          onResolve({ filter: /^\.\.\/\.\.\// }, ({ path: file }) => ({
            path: file.replace(/^\.\.\/\.\.\/(index$)?/, "beamline/").replace(/\/$/, ""),
            external: true,
          }));
          onResolve({ filter: /^[a-z]/ }, ({ path: name }) => ({ path: name, external: true }));
        },
      },
    ],
  });
  return DIRECTORY;
}
