// What the figures were measured on. Without it a figure cannot be compared with another.
//
// Keeps true: names hardware and versions only, never a host, a user or a path.

import os from "node:os";

export function machineFacts() {
  const cpus = os.cpus();
  return {
    date: new Date().toISOString(),
    cpu: cpus[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    node: process.version,
    v8: process.versions.v8,
    loadAverage: os.loadavg().map((load) => Math.round(load * 100) / 100),
  };
}
