/**
 * Faults of the log and of its storage, planted by changing the text of the sources as they are loaded, to see that the
 * simulation finds each of them.
 *
 * What it keeps true: nothing of this is in `src/`; a text that is to be changed stands in its file exactly once, or the
 * plant's test fails: so that a plant cannot rot.
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import type { Plugin } from "vitest/config";

const SOURCES = resolve(import.meta.dirname, "../../src");

/** One change of one file below `src/`. */
export interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * What brings a plant to light: crashes, crashes of databases that are opened and closed often, disks that are full at times
 * whoever crashes, calls that fail, or damage.
 */
export type Trial = "crash" | "openings" | "fullDisks" | "errors" | "damage";

export interface Plant {
  readonly name: string;
  readonly trial: Trial;
  readonly changes: readonly Change[];
}

function plant(name: string, trial: Trial, ...changes: readonly (readonly [string, string, string])[]): Plant {
  return { name, trial, changes: changes.map(([file, find, replace]) => ({ file, find, replace })) };
}

const WRITER = "host/log-writer.ts";
const RECOVERY = "host/recovery.ts";
const SESSION = "adapters/node-fs-session.ts";

/** Makes every checksum of the staged records right, so that none is a reason to refuse. */
const MENDED = `
    bytes = bytes.slice();
    const planted = new DataView(bytes.buffer);
    for (let at = 0; at + 52 <= bytes.length; ) {
      const length = planted.getUint32(at + 4, true);
      if (length < 52 || at + length > bytes.length) break;
      planted.setUint32(at, this.#crc32c(bytes.subarray(at + 4, at + 48)), true);
      planted.setUint32(at + length - 4, this.#crc32c(bytes.subarray(at, at + length - 4)), true);
      at += length;
    }`;

export const PLANTS: readonly Plant[] = [
  plant("acknowledges a synchronous commit before its sync", "crash", [
    WRITER,
    "      this.#session.flushSync();\n",
    "",
  ]),
  plant("acknowledges an asynchronous commit before its sync", "crash", [
    WRITER,
    "      await this.#session.flush();\n",
    "",
  ]),
  plant("publishes a synchronous commit before its sync", "errors", [
    WRITER,
    "      this.#session.flushSync();\n",
    "      this.#core.synced(position);\n      this.#session.flushSync();\n",
  ]),
  plant("publishes an asynchronous commit before its sync", "crash", [
    WRITER,
    "      await this.#session.flush();\n",
    "      this.#core.synced(position);\n      await this.#session.flush();\n",
  ]),
  plant("does not sync the directory after a rename", "crash", [
    SESSION,
    "      if (this.#directoryFd !== undefined) fs.fsyncSync(this.#directoryFd);\n",
    "",
  ]),
  plant("gives a segment its name before it is synced", "crash", [
    SESSION,
    "      fs.fsyncSync(fd);\n      rename(this.#node, temporary, path);\n",
    "      rename(this.#node, temporary, path);\n      fs.fsyncSync(fd);\n",
  ]),
  plant("does not check the checksums of records", "crash", [
    RECOVERY,
    "    const core = this.#core;\n    core.stage(bytes);\n    const before = core.commits;\n",
    `    const core = this.#core;${MENDED}\n    core.stage(bytes);\n    const before = core.commits;\n`,
  ]),
  plant("judges the tail without the watermark", "damage", [
    RECOVERY,
    "    if (watermark > position) throw this.tailDamage(header, position);\n",
    "",
  ]),
  plant("uses an epoch again", "crash", [
    RECOVERY,
    "  return Math.max(session.epoch, last.epoch + 1);\n",
    "  return last.epoch;\n",
  ]),
  plant("does not write the tail again after an unclean end", "crash", [
    RECOVERY,
    "  return rewriteTail(session, core, reader, last, end, recovered);\n",
    "  return stateAfter(session, last, end, core.logChain, recovered);\n",
  ]),
  plant("does not raise versions after an unclean end", "crash", [
    RECOVERY,
    "  raiseVersions(core, last, epochAfter(session, last) - last.epoch);\n",
    "",
  ]),
  plant("makes a sync again that has failed", "errors", [
    SESSION,
    '      syncDataSync(this.#node, current.fd);\n    } catch (error) {\n      throw this.#fail("flush", error);\n',
    "      syncDataSync(this.#node, current.fd);\n    } catch {\n      syncDataSync(this.#node, current.fd);\n",
  ]),
  plant("goes on after a sync that failed", "errors", [
    WRITER,
    "      this.#session.flushSync();\n    } catch (cause) {\n      throw this.fail(cause);\n",
    "      this.#session.flushSync();\n    } catch {\n",
  ]),
  plant("does not cut off an append that failed", "fullDisks", [
    WRITER,
    "        this.#session.truncateSync(this.#place.segmentEnd);\n",
    "        this.#place.segmentEnd.toString();\n",
  ]),
  plant(
    "begins a segment before its predecessor is synced",
    "crash",
    [WRITER, "    if (place.segment !== 0) this.#syncWritten();\n", ""],
    [
      SESSION,
      "    this.#syncCurrent();\n    const created = this.#writeSegment(number, content);\n",
      "    const created = this.#writeSegment(number, content);\n",
    ],
  ),
  plant("trusts a note of closing that was not synced", "openings", [
    RECOVERY,
    "    const synced = core.logWatermark;\n",
    "    const synced = end;\n",
  ]),
  plant("removes segments before the checkpoint is durable", "crash", [
    "host/durability.ts",
    "    await checkpointBefore(this.#core, start, files);\n",
    "    await removeBefore(files.session, start.number);\n    await checkpointBefore(this.#core, start, files);\n",
  ]),
  plant("does not sync the bytes of a checkpoint", "crash", [
    "adapters/node-fs-checkpoint.ts",
    "      await syncFile(this.#node, fd);\n",
    "",
  ]),
  plant("does not sync the name of a checkpoint", "crash", [
    "adapters/node-fs-checkpoint.ts",
    "      if (this.#directoryFd !== undefined) await syncFile(this.#node, this.#directoryFd);\n",
    "",
  ]),
  plant("replays what the checkpoint holds already", "crash", [
    "host/log-files.ts",
    "segments.filter(({ number }) => number >= (checkpoint?.number ?? 0))",
    "[...segments]",
  ]),
  plant("trusts a directory that somebody made who was killed", "openings", [
    "adapters/node-fs-storage.ts",
    "    syncIfEmpty(node, outermost === undefined ? directory : node.path.dirname(outermost));\n",
    "",
  ]),
  plant("records a trace that is not found by what it is", "crash", [
    "host/primitives/trace-store.ts",
    "  for (const group of groupsOf(trace)) writer.putOwn(INDEX, group + member, null);\n",
    "  for (const group of groupsOf(trace).slice(1)) writer.putOwn(INDEX, group + member, null);\n",
  ]),
  plant("takes a short write for a whole one", "errors", [
    "adapters/node-fs-platform.ts",
    "    done += count;\n    interruptions = 0;\n",
    "    done = bytes.byteLength;\n",
  ]),
];

/** The text of a source with the changes made. */
function changed(file: string, source: string, changes: readonly Change[]): string {
  let text = source;
  for (const { find, replace } of changes.filter((change) => change.file === file)) {
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(`a plant wants to change what stands ${parts.length - 1} times in ${file}:\n${find}`);
    }
    text = parts.join(replace);
  }
  return text;
}

/** Throws unless every change of a plant can be made. */
export function expectPlantable({ changes }: Plant): void {
  for (const file of new Set(changes.map((change) => change.file))) {
    changed(file, readFileSync(join(SOURCES, file), "utf8"), changes);
  }
}

const TYPE_IMPORT = /^import type [^;]*;$/gm;
const IMPORT = /\b(?:from|import)\s*\(?\s*"(\.[^"]*)\.js"/g;
const importsKnown = new Map<string, readonly string[]>();

/** The files below `src/` that one of them imports, at once or later. */
function importsOf(file: string): readonly string[] {
  const known = importsKnown.get(file);
  if (known !== undefined) return known;
  const path = join(SOURCES, file);
  const text = readFileSync(path, "utf8").replace(TYPE_IMPORT, "");
  const found = [...text.matchAll(IMPORT)].map(([, source]) =>
    relative(SOURCES, resolve(dirname(path), `${source}.ts`)),
  );
  importsKnown.set(file, found);
  return found;
}

/** Whether anything of a plant is in a file or in what it leads to. */
function isPlanted(file: string, plant: Plant, seen = new Set<string>()): boolean {
  if (seen.has(file)) return false;
  seen.add(file);
  if (plant.changes.some((change) => change.file === file)) return true;
  return importsOf(file).some((next) => isPlanted(next, plant, seen));
}

/**
 * The module that is loaded with a plant; −1 for none, loaded apart all the same. What the plant is not in is that of −1: it is the
 * same for all of them, and is compiled and made fast once.
 */
export function modulePath(file: string, index: number): string {
  const plant = PLANTS[index];
  return `${join(SOURCES, file)}?plant=${plant !== undefined && isPlanted(file, plant) ? index : -1}`;
}

const PLANTED = /^(.*\.ts)\?plant=(-?\d+)$/;

/** Loads what a planted module imports planted too, and makes the changes. */
export function plantedSources(): Plugin {
  return {
    name: "planted-sources",
    enforce: "pre",
    resolveId(source, importer) {
      const found = importer === undefined ? null : PLANTED.exec(importer);
      if (found === null || !source.startsWith(".")) return undefined;
      const path = resolve(dirname(found[1] as string), source).replace(/\.js$/, ".ts");
      return modulePath(relative(SOURCES, path), Number(found[2]));
    },
    transform(code, id) {
      const found = PLANTED.exec(id);
      if (found === null) return undefined;
      const file = (found[1] as string).slice(SOURCES.length + 1);
      return changed(file, code, PLANTS[Number(found[2])]?.changes ?? []);
    },
  };
}
