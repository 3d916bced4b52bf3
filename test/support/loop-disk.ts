/**
 * A disk in a file, with a file system of its own that can be shut down as a power cut would: what was not synced is lost.
 *
 * Needs Linux, root, loop devices and xfsprogs, whose `shutdown` works on ext4 too. The ioctl behind it stops the file system
 * at once; unmounting then throws away all that it had not written.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const IMAGE_BYTES = { ext4: 128 * 1024 * 1024, xfs: 320 * 1024 * 1024 } as const;
const UNMOUNT_ATTEMPTS_MAX = 50;
const UNMOUNT_RETRY_MS = 50;
const ENDING_SIGNALS = ["SIGTERM", "SIGINT"] as const;
const APT_MS_MAX = 180_000;
const TOOLS = ["mkfs.ext4", "mkfs.xfs", "xfs_io", "mount", "umount"];

export type FileSystemKind = "ext4" | "xfs";

const run = promisify(execFile);

/** What is mounted or about to be, so that a run that is stopped leaves nothing mounted behind. */
const mounted = new Set<string>();

function unmountAll(): void {
  // A mount that is just being made may take a moment to be there.
  spawnSync("sleep", [String(UNMOUNT_RETRY_MS / 1000)]);
  for (const mountPoint of mounted) spawnSync("umount", ["-l", mountPoint]);
  process.exit(1);
}

export class LoopDisk {
  readonly kind: FileSystemKind;
  /** What holds the image and the mount point; named where a case fails. */
  readonly place: string;
  readonly mountPoint: string;
  readonly #image: string;

  private constructor(kind: FileSystemKind) {
    this.kind = kind;
    this.place = mkdtempSync(join(tmpdir(), `hf-disk-${kind}-`));
    this.mountPoint = join(this.place, "mounted");
    this.#image = join(this.place, "image");
  }

  /** Makes a disk and mounts it. Throws what the system said where that cannot be. */
  static async make(kind: FileSystemKind): Promise<LoopDisk> {
    const disk = new LoopDisk(kind);
    try {
      mkdirSync(disk.mountPoint);
      writeFileSync(disk.#image, "");
      truncateSync(disk.#image, IMAGE_BYTES[kind]);
      await run(`mkfs.${kind}`, kind === "ext4" ? ["-q", "-F", disk.#image] : ["-q", "-f", disk.#image]);
      await disk.mount();
      return disk;
    } catch (error) {
      await disk.remove();
      throw error;
    }
  }

  async mount(): Promise<void> {
    if (mounted.size === 0) for (const signal of ENDING_SIGNALS) process.on(signal, unmountAll);
    mounted.add(this.mountPoint);
    try {
      await run("mount", ["-t", this.kind, "-o", "loop", this.#image, this.mountPoint]);
    } catch (error) {
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    mounted.delete(this.mountPoint);
    if (mounted.size === 0) for (const signal of ENDING_SIGNALS) process.off(signal, unmountAll);
  }

  /** Cuts the power. With `flushLog` the file system's own journal is written first, its files' contents are not. */
  async cut(flushLog: boolean): Promise<void> {
    await run("xfs_io", ["-x", "-c", flushLog ? "shutdown -f" : "shutdown", this.mountPoint]);
  }

  /** Whoever had a file open there may take a moment to be gone. */
  async unmount(): Promise<void> {
    if (!mounted.has(this.mountPoint)) return;
    for (let attempt = 1; ; attempt++) {
      try {
        await run("umount", [this.mountPoint]);
        this.#forget();
        return;
      } catch (error) {
        if (attempt === UNMOUNT_ATTEMPTS_MAX) throw error;
        await sleep(UNMOUNT_RETRY_MS);
      }
    }
  }

  async remove(): Promise<void> {
    await this.unmount();
    rmSync(this.place, { recursive: true, force: true });
  }
}

/** The file systems that power can be cut from here, and why others are left out. */
export async function cuttableFileSystems(): Promise<{
  kinds: readonly FileSystemKind[];
  skipped: string | undefined;
}> {
  const why = missingPrerequisite();
  const kinds: FileSystemKind[] = [];
  const reasons: string[] = why === undefined ? [] : [why];
  if (why === undefined) {
    for (const kind of ["ext4", "xfs"] as const) {
      try {
        await cutOnce(kind);
        kinds.push(kind);
      } catch (error) {
        reasons.push(`no ${kind} in a loop device: ${firstLineOf(error)}`);
      }
    }
  }
  const skipped = reasons.length === 0 ? undefined : reasons.join("; ");
  if (skipped !== undefined) console.warn(`SKIPPED: power cuts: ${skipped}.`);
  return { kinds, skipped };
}

function missingPrerequisite(): string | undefined {
  if (process.platform !== "linux") return "they need Linux";
  if (process.getuid?.() !== 0) return "they need root, to mount a disk of their own";
  const isThere = (tool: string): boolean => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0;
  if (!TOOLS.every(isThere)) {
    const options = { timeout: APT_MS_MAX, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
    spawnSync("apt-get", ["update", "-qq"], options);
    spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "xfsprogs", "e2fsprogs"], options);
  }
  const missing = TOOLS.filter((tool) => !isThere(tool));
  return missing.length === 0 ? undefined : `there is no ${missing.join(", no ")}`;
}

/** Whether a cut is one: what was never synced must be gone after it. */
async function cutOnce(kind: FileSystemKind): Promise<void> {
  const disk = await LoopDisk.make(kind);
  try {
    const unsynced = join(disk.mountPoint, "unsynced");
    writeFileSync(unsynced, "never synced");
    await disk.cut(false);
    await disk.unmount();
    await disk.mount();
    let found = "";
    try {
      found = readFileSync(unsynced, "utf8");
    } catch {}
    if (found !== "") throw new Error("what was never synced survives a shutdown");
  } finally {
    await disk.remove();
  }
}

function firstLineOf(error: unknown): string {
  const { stderr, message } = error as { readonly stderr?: string; readonly message?: string };
  return (stderr || message || String(error)).trim().split("\n")[0] ?? "";
}
