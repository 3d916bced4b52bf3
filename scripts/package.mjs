/**
 * What the packed package is made of, and what it is not.
 *
 * - its files are those that the sources give, the two modules, and what is named here: nothing else, and nothing is missing;
 * - no script of it is run when it is installed;
 * - what its code and its types import is in it, or is one of its dependencies, and no dependency is there for nothing; what an
 *   integration speaks to is an optional peer, which npm does not install by itself;
 * - only the command line imports what is Node's;
 * - there are no source maps: the code is shipped as tsc writes it, comments and names included, so that it reads as it is.
 */
import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix, relative, sep } from "node:path";
import ts from "typescript";
import { RELEASE } from "./build.mjs";
import { ROOT } from "./steps.mjs";

/** What npm packs of itself; documents are named in the manifest's `files`. */
const ALWAYS = ["package.json", "README.md", "LICENSE"];
/** Run by hand, on Node and its like alone. */
const COMMAND_LINE = /^dist\/cli\//;
/** What speaks to other people's packages, which whoever uses it has. */
const INTEGRATION = /^dist\/(integrations|fleet)\/|^dist\/adapters\/nats/;
/** What npm runs where a package is installed, from a registry, a folder or a repository. */
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare", "prepublish"];
/** Of these lists of dependencies there is none. */
const OTHER_DEPENDENCIES = ["optionalDependencies", "bundleDependencies", "bundledDependencies"];

function pathsUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

/** What the package has to be made of. */
export function wantedFiles() {
  const { files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const compiled = pathsUnder(join(ROOT, "src"))
    .filter((path) => !path.endsWith(".d.ts"))
    .flatMap((path) => [".js", ".d.ts"].map((ending) => `dist/${path.replace(/\.ts$/, ending)}`));
  return [...ALWAYS, ...files.filter((name) => name !== "dist"), ...compiled, ...RELEASE.map(({ outFile }) => outFile)];
}

/** The files of an unpacked package: their contents by their paths. */
export function filesOf(folder) {
  return new Map(pathsUnder(folder).map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

const packageOf = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
const isBuiltin = (specifier) => specifier.startsWith("node:") || builtinModules.includes(specifier);

/** What code imports, be it a type. */
function importsOf([path, content]) {
  const isCode = path.endsWith(".js");
  return ts
    .preProcessFile(content, true, isCode)
    .importedFiles.map(({ fileName }) => ({ path, isCode, specifier: fileName }));
}

/** What keeps an import of another package from being one, or nothing. */
function faultOfPackageImport({ path, specifier, isCode }, { dependencies, peers }) {
  const name = packageOf(specifier);
  if (dependencies[name] !== undefined) return [];
  if (isBuiltin(specifier)) {
    const isWrong = isCode && !COMMAND_LINE.test(path);
    return isWrong ? [`${path} imports ${specifier}, which bundlers for browsers do not have.`] : [];
  }
  if (peers[name] !== undefined && INTEGRATION.test(path)) return [];
  return [`${path} imports ${specifier}, which is none of the dependencies.`];
}

/** Types are enough for what speaks to a package that its user has made an object with. */
const isUse = ({ path, isCode }) => isCode || INTEGRATION.test(path);

function faultsOfImports(files, { dependencies = {}, peerDependencies: peers = {} }) {
  const imports = [...files].filter(([path]) => /\.(js|d\.ts)$/.test(path)).flatMap(importsOf);
  const within = imports.filter(({ specifier }) => specifier.startsWith("."));
  const foreign = imports.filter(({ specifier }) => !specifier.startsWith("."));
  const lost = within.filter(({ path, specifier }) => !files.has(posix.join(posix.dirname(path), specifier)));
  const used = new Set(foreign.filter(isUse).map(({ specifier }) => packageOf(specifier)));
  const unused = Object.keys({ ...dependencies, ...peers }).filter((name) => !used.has(name));
  return [
    ...lost.map(({ path, specifier }) => `${path} imports ${specifier}, which is not in the package.`),
    ...foreign.flatMap((found) => faultOfPackageImport(found, { dependencies, peers })),
    ...unused.map((name) => `The dependency ${name} is imported by nothing that is shipped.`),
  ];
}

function faultsOfManifest({ scripts = {}, dependencies = {}, ...manifest }, files) {
  const run = INSTALL_SCRIPTS.filter((name) => scripts[name] !== undefined);
  const other = OTHER_DEPENDENCIES.filter((name) => manifest[name] !== undefined);
  const { peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const asked = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  const loose = Object.entries(dependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  const effects = Array.isArray(manifest.sideEffects) ? manifest.sideEffects : [];
  const missing = effects.filter((path) => !files.has(posix.normalize(path)));
  return [
    ...run.map((name) => `The script ${name} would be run by who installs the package.`),
    ...other.map((name) => `There are ${name}, which nothing here looks after.`),
    ...asked.map((name) => `The peer ${name} would be installed with the package: make it optional.`),
    ...loose.map(([name, version]) => `The dependency ${name} is not pinned: ${version}.`),
    ...(effects.length === 0 ? ["sideEffects does not name the workers' entries: bundlers would drop them."] : []),
    ...missing.map((path) => `sideEffects names ${path}, which is not in the package.`),
  ];
}

/** What is wrong with the files of a package, as sentences; nothing if all is right. */
export function faultsOfPackage(files, wanted = wantedFiles()) {
  const manifest = JSON.parse(files.get("package.json") ?? "{}");
  const mapped = [...files].filter(([path, content]) => /\.js$/.test(path) && content.includes("sourceMappingURL="));
  return [
    ...wanted.filter((path) => !files.has(path)).map((path) => `${path} is missing.`),
    ...[...files.keys()].filter((path) => !wanted.includes(path)).map((path) => `${path} does not belong there.`),
    ...mapped.map(([path]) => `${path} names a source map, which is not shipped.`),
    ...faultsOfManifest(manifest, files),
    ...faultsOfImports(files, manifest),
  ];
}
