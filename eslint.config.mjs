import js from "@eslint/js";
import tseslint from "typescript-eslint";

/** Rooms from the top down: a room may import the rooms below it, never one above. */
const above = {
  beam: ["transforms", "io", "pipelines", "runners", "cli"],
  transforms: ["io", "pipelines", "runners", "cli"],
  io: ["transforms", "pipelines", "runners", "cli"],
  pipelines: ["runners", "cli"],
  runners: ["cli"],
};

const room = (name, patterns) => ({
  files: [`${name}/**/*.ts`],
  ignores: ["**/*.test.ts"],
  rules: { "@typescript-eslint/no-restricted-imports": ["error", { patterns }] },
});

const sdkIsBehindTheFacade = {
  regex: "^apache-beam(/|$)",
  message: "Only beam/ talks to apache-beam: import from beam instead.",
};

const noRoomAbove = (name) => ({
  regex: `^(\\.\\./)+(${above[name].join("|")})(/|$)`,
  message: `Arrows go down only: ${name}/ may not import ${above[name].join(", ")}.`,
});

export default tseslint.config(
  {
    ignores: [
      "dist/",
      "data/",
      "output/",
      "coverage/",
      "node_modules/",
      ".services/",
      "bench/data/",
      "bench/results/",
      ".ci/",
    ],
  },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/unbound-method": "off",
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "No default exports: a name is found by searching for it." },
      ],
      eqeqeq: ["error", "always", { null: "ignore" }],
    },
  },
  {
    files: ["**/*.js"],
    languageOptions: { globals: { require: "readonly", module: "writable", __dirname: "readonly" } },
    rules: { "@typescript-eslint/no-require-imports": "off" },
  },
  room("beam", [noRoomAbove("beam")]),
  ...["transforms", "io", "pipelines", "runners"].map((name) => room(name, [noRoomAbove(name), sdkIsBehindTheFacade])),
  room("cli", [sdkIsBehindTheFacade]),
  {
    // One pipeline never imports another: what they share lives in transforms/ or pipelines/ itself.
    files: ["pipelines/*/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            noRoomAbove("pipelines"),
            sdkIsBehindTheFacade,
            { regex: "^\\.\\./[^./][^/]*/", message: "A pipeline never imports another pipeline." },
          ],
        },
      ],
    },
  },
  {
    files: ["io/*/**/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            noRoomAbove("io"),
            sdkIsBehindTheFacade,
            { regex: "^\\.\\./(?!lake/)[^./][^/]*/", message: "A connector never imports another connector." },
          ],
        },
      ],
    },
  },
);
