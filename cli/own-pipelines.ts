// The pipelines of the user's own package: its package.json says where they are, {"beamline": {"pipelines": "…"}}.
import fs from "node:fs";
import path from "node:path";
import { globSync } from "tinyglobby";
import { z } from "zod";
import { isPipeline, type Pipeline } from "../pipelines/definition";
import { messageOf, RunError, UsageError } from "../schema/errors";

const Settings = z.object({
  beamline: z.object({ pipelines: z.union([z.string(), z.array(z.string())]) }).optional(),
});

/** The pipelines of the package that `directory` lies in; none when it says nothing of beamline. */
export function ownPipelines(directory: string): Pipeline[] {
  const file = packageFile(directory);
  if (file === null) return [];
  let settings: z.infer<typeof Settings>;
  try {
    settings = Settings.parse(JSON.parse(fs.readFileSync(file, "utf8")));
  } catch (error) {
    if (error instanceof z.ZodError) {
      throw new UsageError(`${file}: “beamline” must be like {"pipelines": "pipelines/*.ts"}`);
    }
    throw new UsageError(`${file} is not valid JSON: ${messageOf(error)}`);
  }
  if (settings.beamline === undefined) return [];
  const patterns = [settings.beamline.pipelines].flat();
  const found = globSync(patterns, { cwd: path.dirname(file), absolute: true, ignore: ["**/*.test.*", "**/*.d.ts"] });
  if (found.length === 0)
    throw new UsageError(`${file}: no file matches ${patterns.join(", ")} for “beamline.pipelines”`);
  return found.sort().flatMap(pipelinesIn);
}

function packageFile(directory: string): string | null {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const file = path.join(at, "package.json");
    if (fs.existsSync(file)) return file;
    if (path.dirname(at) === at) return null;
  }
}

function pipelinesIn(file: string): Pipeline[] {
  try {
    /* eslint-disable @typescript-eslint/no-require-imports -- modules of the user's are known only now, and may be TypeScript */
    if (/\.[cm]?ts$/.test(file)) require("tsx/cjs");
    return Object.values(require(file) as Record<string, unknown>).filter(isPipeline);
    /* eslint-enable @typescript-eslint/no-require-imports */
  } catch (error) {
    throw Object.assign(
      new RunError(`${path.relative(process.cwd(), file)} could not be loaded: ${messageOf(error)}`),
      { cause: error },
    );
  }
}
