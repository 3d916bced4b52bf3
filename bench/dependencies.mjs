// The peers' packages, and what draws the plots, as development dependencies: present in the versions that package.json pins,
// or installed now.
//
// Keeps true: nothing is installed silently, and only what the lock file names; the project's own dependencies are untouched.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("./", import.meta.url));

/** The peers' versions by package name, of those that a folder pins. Installs what is missing; throws where npm fails. */
export function ensurePeers(say, folder = FOLDER) {
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
  const { dependencies: peers, devDependencies: tools } = manifest;
  const pins = { ...peers, ...tools };
  const missing = Object.keys(pins).filter((name) => installedVersion(folder, name) !== pins[name]);
  if (missing.length > 0) {
    say(
      `installing ${missing.join(", ")} into ${path.relative(process.cwd(), folder)}/node_modules (once; a native add-on may be compiled, which takes minutes)`,
    );
    const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
      cwd: folder,
      // Standard output is the table's.
      stdio: ["ignore", process.stderr, process.stderr],
      shell: process.platform === "win32",
    });
    if (npm.error !== undefined) throw new Error("npm could not be started", { cause: npm.error });
    if (npm.status !== 0) throw new Error(`npm ci in ${folder} ended with status ${npm.status}`);
  }
  return peers;
}

function installedVersion(folder, name) {
  try {
    const manifest = path.join(folder, "node_modules", name, "package.json");
    return JSON.parse(fs.readFileSync(manifest, "utf8")).version;
  } catch {
    return undefined;
  }
}
