// The jest transformer of the preset: TypeScript by esbuild, which tsx brings anyway. It does not hoist jest.mock calls.
import { transformSync, type Loader } from "esbuild";
import path from "node:path";

const loaders: Record<string, Loader> = { ".ts": "ts", ".mts": "ts", ".cts": "ts", ".tsx": "tsx" };

export function process(source: string, file: string): { code: string } {
  const loader = loaders[path.extname(file)] ?? "js";
  return {
    code: transformSync(source, { loader, format: "cjs", target: "node20", sourcefile: file, sourcemap: "inline" })
      .code,
  };
}
