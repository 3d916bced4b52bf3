/**
 * What is checked of the packed package (`scripts/package.mjs`) sees what it is there for: one fault at a time, planted into a package
 * that has none.
 */
import { expect, test } from "vitest";
import { faultsOfPackage, wantedFiles } from "../../scripts/package.mjs";

const MANIFEST = {
  name: "holdfast",
  sideEffects: ["./dist/worker.js"],
  scripts: { build: "node build.mjs" },
  dependencies: { one: "1.2.3", "@two/three": "4.5.6" },
};
const FILES = {
  "package.json": JSON.stringify(MANIFEST),
  "dist/index.js": 'import { a } from "one";\nexport * from "./worker.js";\nexport const text = \'import "none"\';',
  "dist/index.d.ts": 'import type { A } from "one/a";\nexport type Fs = typeof import("node:fs");',
  "dist/worker.js": 'const part = await import("@two/three/part.js");',
};

function faults(change: Record<string, string> = {}, wanted = Object.keys(FILES)): string[] {
  return faultsOfPackage(new Map(Object.entries({ ...FILES, ...change })), wanted);
}

const withManifest = (change: object) => ({ "package.json": JSON.stringify({ ...MANIFEST, ...change }) });

test("a package without a fault has none", () => {
  expect(faults()).toEqual([]);
});

test("a file too many, and one too few", () => {
  expect(faults({ "dist/left.js": "" })).toEqual(["dist/left.js does not belong there."]);
  expect(faults({}, [...Object.keys(FILES), "dist/single.wasm"])).toEqual(["dist/single.wasm is missing."]);
});

test("a script that is run by who installs it", () => {
  for (const name of ["preinstall", "install", "postinstall", "prepare"]) {
    expect(faults(withManifest({ scripts: { [name]: "node x.mjs" } }))).toEqual([
      `The script ${name} would be run by who installs the package.`,
    ]);
  }
});

test("dependencies that are not used, not named, not pinned, or of another kind", () => {
  const dependencies = { ...MANIFEST.dependencies, four: "1.0.0" };
  expect(faults(withManifest({ dependencies }))).toEqual([
    "The dependency four is imported by nothing that is shipped.",
  ]);
  expect(faults({ "dist/worker.js": 'import "@two/three";\nimport "five/b";' })).toEqual([
    "dist/worker.js imports five/b, which is none of the dependencies.",
  ]);
  expect(faults(withManifest({ dependencies: { ...MANIFEST.dependencies, one: "^1.2.3" } }))).toEqual([
    "The dependency one is not pinned: ^1.2.3.",
  ]);
  expect(faults(withManifest({ optionalDependencies: { six: "1.0.0" } }))).toHaveLength(1);
});

test("an import that leads nowhere, and one that browsers do not have", () => {
  expect(faults({ "dist/worker.js": 'import "@two/three";\nimport "./gone.js";' })).toEqual([
    "dist/worker.js imports ./gone.js, which is not in the package.",
  ]);
  expect(faults({ "dist/worker.js": 'import "@two/three";\nimport fs from "node:fs";' })).toEqual([
    "dist/worker.js imports node:fs, which bundlers for browsers do not have.",
  ]);
});

test("a peer is optional, and an integration's alone; the command line alone has what is Node's", () => {
  const peerDependencies = { seven: "^1.0.0" };
  const peerDependenciesMeta = { seven: { optional: true } };
  const peer = 'import { a } from "seven";';
  const asPeer = { ...withManifest({ peerDependencies, peerDependenciesMeta }), "dist/integrations/seven.js": peer };
  const wanted = Object.keys({ ...FILES, ...asPeer });
  expect(faults(asPeer, wanted)).toEqual([]);
  expect(faults({ ...asPeer, ...withManifest({ peerDependencies }) }, wanted)).toHaveLength(1);
  expect(faults({ ...asPeer, "dist/index.js": `${FILES["dist/index.js"]}${peer}` }, wanted)).toHaveLength(1);
  const commandLine = { "dist/cli/main.js": 'import fs from "node:fs";' };
  expect(faults(commandLine, [...Object.keys(FILES), ...Object.keys(commandLine)])).toEqual([]);
});

test("a source map that is named, and side effects that are not", () => {
  expect(faults({ "dist/worker.js": `${FILES["dist/worker.js"]}\n//# sourceMappingURL=worker.js.map` })).toHaveLength(
    1,
  );
  expect(faults(withManifest({ sideEffects: false }))).toHaveLength(1);
  expect(faults(withManifest({ sideEffects: ["./dist/worker.js", "./dist/gone.js"] }))).toHaveLength(1);
});

test("what is wanted is what the sources give, and no test or source is", () => {
  const wanted = wantedFiles();
  expect(wanted).toEqual(expect.arrayContaining(["dist/index.js", "dist/index.d.ts", "dist/single.wasm", "LICENSE"]));
  expect(wanted.filter((path) => !/^dist\/.*(\.js|\.d\.ts|\.wasm)$|^docs\/|^[^/]+$/.test(path))).toEqual([]);
});
