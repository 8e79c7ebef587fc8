// The pipelines of the user's own package: its package.json says where they are, {"beamline": {"pipelines": "…"}}.
import fs from "node:fs";
import path from "node:path";
import { globSync } from "tinyglobby";
import { z } from "zod";
import { isPipeline, type Pipeline } from "../pipelines/definition";
import { shownPath } from "../io/local-path";
import { messageOf, RunError, UsageError } from "../schema/errors";

const Settings = z.object({
  beamline: z.object({ pipelines: z.union([z.string(), z.array(z.string())]) }).optional(),
});

/** The pipelines of the package that `directory` lies in; none when it says nothing of beamline. */
export function ownPipelines(directory: string): Pipeline[] {
  const file = packageFile(directory);
  if (file === null) return [];
  const shown = shownPath(file);
  let settings: z.infer<typeof Settings>;
  try {
    settings = Settings.parse(JSON.parse(fs.readFileSync(file, "utf8")));
  } catch (error) {
    if (error instanceof z.ZodError) {
      throw new UsageError(`${shown}: “beamline” must be like {"pipelines": "pipelines/*.ts"}`);
    }
    throw new UsageError(`${shown} could not be read as JSON: ${firstLine(messageOf(error))}`);
  }
  if (settings.beamline === undefined) return [];
  const patterns = [settings.beamline.pipelines].flat();
  const found = globSync(patterns, { cwd: path.dirname(file), absolute: true, ignore: ["**/*.test.*", "**/*.d.ts"] });
  const where = `${shown}: “beamline.pipelines” is ${patterns.join(", ")}, but`;
  if (found.length === 0) throw new UsageError(`${where} no file matches that`);
  // A module may export again what another one defines.
  const pipelines = [...new Set(found.sort().flatMap(pipelinesIn))];
  if (pipelines.length === 0) throw new UsageError(`${where} no file there exports a pipeline of definePipeline()`);
  const twice = pipelines.find(({ name }, at) => pipelines.findIndex((other) => other.name === name) < at);
  if (twice !== undefined)
    throw new UsageError(`Two of the pipelines in ${patterns.join(", ")} are named ${twice.name}`);
  return pipelines;
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
    throw Object.assign(new RunError(`${shownPath(file)} could not be loaded: ${firstLine(messageOf(error))}`), {
      cause: error,
    });
  }
}

/** What loaders say goes over many lines. When the first one only announces what is wrong, the second one says it. */
function firstLine(message: string): string {
  const [first = "", second = ""] = message.split(/\r?\n/);
  return first.endsWith(":") ? `${first} ${second.trim()}` : first;
}
