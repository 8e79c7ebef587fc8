// After tsc: copies what is not TypeScript into dist, so that compiled pipelines find their samples, and runners what they fetch.
import fs from "node:fs";
import path from "node:path";
import { globSync } from "tinyglobby";

const root = path.resolve(__dirname, "../..");
for (const file of globSync(
  [
    "pipelines/*/sample/*.ndjson",
    "cli/template/**/*",
    "infra/services/flink/pom.xml",
    "runners/flink/*.java",
    "runners/worker/*.sh",
  ],
  { cwd: root },
)) {
  const target = path.join(root, "dist", file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(path.join(root, file), target);
}
for (const program of ["cli/main.js", "runners/worker/worker.sh"])
  fs.chmodSync(path.join(root, "dist", program), 0o755);
