// The public face of the package: what its entry points export, with types. A change here is a change for users, so it
// is seen in the snapshot: `npx jest test/api -u` takes it over, and CHANGELOG.md says it.
import path from "node:path";
import ts from "typescript";
import packageJson from "../package.json";

const root = path.resolve(__dirname, "..");
const entries = { beamline: "index.ts", "beamline/testing": "beam/testing/index.ts" };

test("package.json names the entry points", () => {
  expect(packageJson.exports).toMatchInlineSnapshot(`
    {
      ".": "./dist/index.js",
      "./*": "./dist/*.js",
      "./jest-preset": "./jest/jest-preset.js",
      "./package.json": "./package.json",
      "./testing": "./dist/beam/testing/index.js",
    }
  `);
});

test.each(Object.entries(entries))("%s", (_name, entry) => {
  const config = ts.readConfigFile(path.join(root, "tsconfig.json"), (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram([path.join(root, entry)], { ...options, types: ["node"] });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(path.join(root, entry));
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${entry} exports nothing`);
  const lines = checker
    .getExportsOfModule(module)
    .map((symbol) => line(checker, symbol))
    .sort();
  expect(lines.join("\n")).toMatchSnapshot();
});

function line(checker: ts.TypeChecker, exported: ts.Symbol): string {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
  const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope;
  if (symbol.flags & ts.SymbolFlags.Value) {
    const kind =
      symbol.flags & ts.SymbolFlags.Class ? "class" : symbol.flags & ts.SymbolFlags.Function ? "function" : "const";
    if (kind === "class") return `class ${exported.name}: ${members(checker, checker.getDeclaredTypeOfSymbol(symbol))}`;
    return `${kind} ${exported.name}: ${checker.typeToString(checker.getTypeOfSymbol(symbol), undefined, flags)}`;
  }
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  const isInterface = (symbol.flags & ts.SymbolFlags.Interface) !== 0;
  return isInterface ? `interface ${exported.name}: ${members(checker, type)}` : `type ${exported.name}`;
}

function members(checker: ts.TypeChecker, type: ts.Type): string {
  const isOpen = (property: ts.Symbol) =>
    !property.declarations?.some((declaration) => ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private);
  return checker
    .getPropertiesOfType(type)
    .filter(isOpen)
    .map((property) => property.name)
    .sort()
    .join(", ");
}
