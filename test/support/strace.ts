/**
 * Whether system calls can be looked at here.
 */
import { spawnSync } from "node:child_process";

/** Whether strace works; installs it where that can be done without asking anyone, and says so where it is not to be had. */
export function straceWorks(): boolean {
  const works = (): boolean => spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
  if (process.platform === "linux" && (works() || (installed() && works()))) return true;
  console.warn("SKIPPED: strace is not to be had here, so no system call was looked at.");
  return false;
}

function installed(): boolean {
  if (process.getuid?.() !== 0) return false;
  spawnSync("apt-get", ["update", "-qq"], { timeout: 120_000 });
  return spawnSync("apt-get", ["install", "-y", "-qq", "strace"], { timeout: 120_000 }).status === 0;
}
