/**
 * Is the owner that a lock file names alive? What an owner leaves as evidence, and how others read it.
 *
 *     lock.7                {"pid":…,"startTime":…,"bootId":…,"pidNamespace":…,"nonce":…,"socket":"9f86d081.sock",…}
 *     9f86d081.sock         answers while the owner lives, also while its event loop is blocked; refuses once it is dead
 *
 * The evidence, strongest first: the owner's own word that it released; an answer on its socket; another boot of this machine;
 * a socket that refuses; where that is not to be had, its pid with its start time, in the same pid namespace.
 *
 * What it keeps true:
 *  - nobody is called dead on a guess: what cannot be told is `undecidable`, and that is for a person to settle;
 *  - no evidence is written or removed here, but for one's own socket.
 */

import { codeOf, ignoreErrors, openFile, type Platform, refusalOf } from "./node-fs-platform.js";

const SOCKET_SUFFIX = ".sock";
const SOCKET_PATTERN = /^[0-9a-f]{8}\.sock$/;
/** The address of a unix socket holds 104 bytes on some systems and 108 on others, its terminator included. */
const SOCKET_PATH_BYTES_MAX = 100;
const PIPE_PREFIX = "\\\\.\\pipe\\";
const PROBE_MS_MAX = 2_000;
const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id";
/** Marks a boot id that is a container's, in the place of the kernel's: containers that share a kernel have different ones. */
const CONTAINER_BOOT = "container:";
/** Where a socket refuses only if nobody listens on it. Elsewhere it does so as well while too many wait to be let in. */
const SOCKETS_REFUSE_FOR_THE_DEAD = new Set(["linux", "android", "win32"]);
const NONCE_BYTES = 8;
/** How many digits of the nonce name a socket: few, because its address must be short. */
const SOCKET_NONCE_DIGITS = 8;

/** Magic numbers of file systems that only one running kernel can have mounted for writing. */
const LOCAL_FILE_SYSTEMS = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x01021994, // tmpfs
  0x794c7630, // overlay
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
]);

/** What stands in a `lock.N`. Fields that the platform cannot tell are empty. */
export interface OwnerRecord {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly pidNamespace: string;
  readonly nonce: string;
  readonly host: string;
  readonly since: string;
  /** The socket's name in the directory, or the whole name of a Windows pipe. */
  readonly socket: string;
  readonly released: boolean;
}

/** What can be said about an owner. Only an answer on its socket is proof of life that nothing overrides. */
export interface Verdict {
  readonly state: "answers" | "alive" | "dead" | "undecidable";
  readonly why: string;
}

/** A socket that this owner listens on. */
export interface OwnerSocket {
  readonly name: string;
  close(): Promise<void>;
}

/** The record of this process, under a new nonce, as yet without a socket. */
export function ownRecord(node: Platform): OwnerRecord {
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return {
    pid: node.pid,
    startTime: processStart(node, "self")?.startTime ?? "",
    bootId: bootId(node),
    pidNamespace: pidNamespace(node),
    nonce,
    host: node.os.hostname(),
    since: new Date().toISOString(),
    socket: "",
    released: false,
  };
}

/** The record in a lock file, `undefined` if what it holds is none; throws the system's error if it cannot be read. */
export function readRecord(node: Platform, path: string): OwnerRecord | undefined {
  const fd = openFile(node, path, "read");
  try {
    return parseRecord(node.fs.readFileSync(fd, "utf8"));
  } finally {
    node.fs.closeSync(fd);
  }
}

function parseRecord(text: string): OwnerRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const string = (name: string): string => (typeof fields[name] === "string" ? fields[name] : "");
  const pid = fields["pid"];
  if (typeof pid !== "number" || string("nonce") === "") return undefined;
  return {
    pid,
    startTime: string("startTime"),
    bootId: string("bootId"),
    pidNamespace: string("pidNamespace"),
    nonce: string("nonce"),
    host: string("host"),
    since: string("since"),
    socket: string("socket"),
    released: fields["released"] === true,
  };
}

/** Listens so that others can tell that this owner lives. Where that is not to be had, pid and start time must do. */
export function listen(node: Platform, directory: string, nonce: string): Promise<OwnerSocket | undefined> {
  const pipe = node.name === "win32";
  const name = pipe ? `${PIPE_PREFIX}holdfast-${nonce}` : `${nonce.slice(0, SOCKET_NONCE_DIGITS)}${SOCKET_SUFFIX}`;
  const address = socketAddress(node, directory, name);
  if (!fitsSocket(node, address)) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    try {
      const server = node.net.createServer((connection) => {
        connection.on("error", () => {});
        connection.destroy();
      });
      server.on("error", () => resolve(undefined));
      // In a worker of a cluster the primary would listen for it, and whether that one lives is not what others ask.
      server.listen({ path: address, exclusive: true }, () => {
        server.unref();
        const close = async (): Promise<void> => {
          await new Promise<void>((closed) => server.close(() => closed()));
          if (!pipe) ignoreErrors(() => node.fs.rmSync(address, { force: true }));
        };
        resolve({ name, close });
      });
    } catch {
      resolve(undefined);
    }
  });
}

/** Whether a file in the directory is a socket by its name, and nobody listens on it. */
export async function isDeadSocket(node: Platform, directory: string, name: string): Promise<boolean> {
  return SOCKET_PATTERN.test(name) && (await probe(node, socketAddress(node, directory, name))) === "refused";
}

function fitsSocket(node: Platform, address: string): boolean {
  return node.name === "win32" || new TextEncoder().encode(address).byteLength <= SOCKET_PATH_BYTES_MAX;
}

function socketAddress(node: Platform, directory: string, name: string): string {
  return name.startsWith(PIPE_PREFIX) ? name : node.path.join(directory, name);
}

type ProbeResult = "answers" | "refused" | "silent";

/** Connecting works while the owner's loop is blocked, because the kernel accepts; it is refused once the owner is dead. */
async function probe(node: Platform, address: string): Promise<ProbeResult> {
  // A runtime may cut off what is too long, and then it is something else that refuses.
  if (!fitsSocket(node, address)) return "silent";
  let code = await connect(node, address);
  if (code === "ECONNREFUSED") code = await refusalOf(address, PROBE_MS_MAX);
  // A full backlog is an owner that is there and has been too busy to look.
  if (code === undefined || code === "EAGAIN") return "answers";
  return code === "ECONNREFUSED" || (node.name === "win32" && code === "ENOENT") ? "refused" : "silent";
}

/** The system's code for why there is no connection, `undefined` if there is one. */
function connect(node: Platform, address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    try {
      const socket = node.net.connect({ path: address });
      const finish = (code: string | undefined): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(code);
      };
      const timer = setTimeout(() => finish("ETIMEDOUT"), PROBE_MS_MAX);
      socket.once("connect", () => finish(undefined));
      socket.on("error", (error) => finish(codeOf(error)));
    } catch (error) {
      resolve(codeOf(error));
    }
  });
}

/** Whether the owner of a directory is alive, as far as `own`, a record of this process, can tell. */
export async function judge(node: Platform, directory: string, owner: OwnerRecord, own: OwnerRecord): Promise<Verdict> {
  if (owner.released) return { state: "dead", why: "it has closed the database" };
  const result = owner.socket === "" ? "silent" : await probe(node, socketAddress(node, directory, owner.socket));
  // Whoever answers lives, whichever boot and machine its record names.
  if (result === "answers") return { state: "answers", why: "it answers on its socket" };
  const bootsKnown = owner.bootId !== "" && own.bootId !== "";
  if (bootsKnown && owner.bootId !== own.bootId) return judgeOtherBoot(node, directory, owner, own, result);
  if (!bootsKnown && owner.host !== own.host) {
    return { state: "undecidable", why: `it is on another machine (${owner.host})` };
  }
  if (result === "refused") return judgeRefusal(node, owner);
  if (owner.socket !== "" && isOwnProcess(owner, own)) return judgeThread(node, owner);
  return judgeProcess(node, owner, own);
}

/**
 * Another boot id: this machine has been started again, or it is another machine, or a container beside this process that has
 * a boot id of its own. A file system that cannot be shared between two machines leaves the first and the last:
 *  - both ids are kernels': the owner's kernel is gone, whatever has become of its socket;
 *  - the socket refuses: a restart has left it without a listener, or its owner on this kernel has ended;
 *  - the socket is gone or never was, in the same pid namespace: on this kernel the process tells, and of an earlier one there
 *    is no process with that number and that start;
 *  - likewise in another pid namespace, or where that is not known: the owner may live where this process cannot see it.
 */
function judgeOtherBoot(
  node: Platform,
  directory: string,
  owner: OwnerRecord,
  own: OwnerRecord,
  result: ProbeResult,
): Verdict {
  if (!isLocal(node, directory)) {
    return { state: "undecidable", why: `it is on another machine or from before a restart (${owner.host})` };
  }
  if (![owner, own].some((record) => record.bootId.startsWith(CONTAINER_BOOT))) {
    return { state: "dead", why: "this machine has been started again since" };
  }
  if (result === "refused") return judgeRefusal(node, owner);
  if (owner.pidNamespace !== "") return judgeProcess(node, owner, own);
  return { state: "undecidable", why: `it is in a container or from before a restart (${owner.host})` };
}

/** Whether only one running kernel can have the directory; without the kind of file system there is no telling. */
function isLocal(node: Platform, directory: string): boolean {
  try {
    return LOCAL_FILE_SYSTEMS.has(node.fs.statfsSync(directory).type);
  } catch {
    return false;
  }
}

function judgeRefusal(node: Platform, { pid }: OwnerRecord): Verdict {
  if (SOCKETS_REFUSE_FOR_THE_DEAD.has(node.name) || hasNoProcess(node, pid)) {
    return { state: "dead", why: "its socket refuses" };
  }
  return { state: "undecidable", why: `its socket refuses, as a busy one does too, and there is a process ${pid}` };
}

function isOwnProcess(owner: OwnerRecord, own: OwnerRecord): boolean {
  const { pid, startTime, bootId, pidNamespace } = owner;
  const same = pid === own.pid && startTime === own.startTime && bootId === own.bootId;
  return same && startTime !== "" && pidNamespace === own.pidNamespace;
}

/**
 * A thread of this process, whose socket has no name any more: terminating a worker removes it, and so may whoever tidies
 * temporary directories. The kernel still lists a socket that somebody listens on.
 */
function judgeThread(node: Platform, owner: OwnerRecord): Verdict {
  const sockets = readText(node, "/proc/net/unix");
  if (sockets === "") return { state: "alive", why: "it is a thread of this process" };
  const listed = sockets.split("\n").some((line) => line.endsWith(`/${owner.socket}`));
  return listed
    ? { state: "alive", why: "it is a thread of this process that listens on its socket" }
    : { state: "dead", why: "its thread has ended" };
}

function judgeProcess(node: Platform, owner: OwnerRecord, own: OwnerRecord): Verdict {
  if (own.pidNamespace !== owner.pidNamespace) {
    return { state: "undecidable", why: "it is in another container, and its socket does not answer" };
  }
  if (own.startTime !== "" && owner.startTime !== "") {
    const found = processStart(node, owner.pid);
    const alive = found !== undefined && found.startTime === owner.startTime && !"ZX".includes(found.state);
    return alive
      ? { state: "alive", why: `process ${owner.pid} is running` }
      : { state: "dead", why: `process ${owner.pid} has ended` };
  }
  if (hasNoProcess(node, owner.pid)) return { state: "dead", why: `process ${owner.pid} has ended` };
  return { state: "undecidable", why: `there is a process ${owner.pid}, and no telling whether it is the owner` };
}

function hasNoProcess(node: Platform, pid: number): boolean {
  try {
    node.kill(pid);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}

function readText(node: Platform, path: string): string {
  try {
    return node.fs.readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** The start time of a process in clock ticks since boot, with its state; `undefined` if there is none or no telling. */
function processStart(node: Platform, pid: number | "self"): { state: string; startTime: string } | undefined {
  const stat = readText(node, `/proc/${pid}/stat`);
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]];
  return stat !== "" && state !== undefined && startTime !== undefined ? { state, startTime } : undefined;
}

function pidNamespace(node: Platform): string {
  try {
    return node.fs.readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** What tells one boot from another. A container's own is mounted over the kernel's, so it is a file of another file system. */
function bootId(node: Platform): string {
  const id = readText(node, BOOT_ID_PATH);
  if (id === "") return "";
  try {
    if (node.fs.statSync(BOOT_ID_PATH).dev === node.fs.statSync("/proc/self").dev) return id;
  } catch {
    // Whose it is cannot be told, so it is not called the kernel's.
  }
  return `${CONTAINER_BOOT}${id}`;
}
