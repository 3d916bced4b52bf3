/**
 * The acts that scripts are made of, on a core: each is what the host does for one call of a user, and says what it returned.
 *
 * A value is a number that names its writer, in a text that repeats it; so a value that is torn, or somebody else's, can be
 * told: it is reported as what it is.
 */
const STATUS = { stale: 10, limit: 64, large: 19, poisoned: 21, missing: 0, conflict: 2, busy: 5, nothing: 12 };
const RUN_STALE_SLOT = 0xfffffffe;
const BEGIN_STEP = 2;
const RETRIES_MAX = 50;

/** The text that stands for a value: of `bytes` bytes or a little more. */
export function textOf(value, bytes) {
  const one = `${value}.`;
  return one.repeat(Math.max(1, Math.ceil((bytes ?? 1) / one.length)));
}

function valueIn(read) {
  if (typeof read !== "string") return `not a text: ${String(read)}`;
  const value = read.slice(0, read.indexOf("."));
  return textOf(value, read.length) === read ? Number(value) : `torn: ${read.slice(0, 64)}`;
}

/** A core with the handles that whoever plays on it has. */
export class Player {
  /** @param scans what is asked of it for listings: `core-scan.ts` */
  constructor(core, codec, scans) {
    this.core = core;
    this.codec = codec;
    this.scans = scans;
    this.runs = new Map();
    this.snapshots = new Map();
    this.transactions = new Map();
  }

  key(key) {
    this.core.renew();
    return this.codec.encodeKey(key, this.core);
  }

  /** The handle of a run, made with `make`; undefined if it is not there. */
  run(name, make) {
    const known = this.runs.get(name);
    if (known !== undefined) return known;
    const run = make ? this.core.createRun(this.key(name)) : this.core.resolveRun(this.key(name));
    if (run.pointer === 0) return undefined;
    this.runs.set(name, run);
    return run;
  }

  /** Does something with a run until its handle is not stale. */
  with(name, make, action) {
    for (let i = 0; i < RETRIES_MAX; i++) {
      const run = this.run(name, make);
      if (run === undefined) return undefined;
      const result = action(run);
      if (result !== "stale") return result;
      this.runs.delete(name);
    }
    return "always stale";
  }

  cell(record) {
    return { value: valueIn(this.core.value(record)), version: this.core.versionOf(record) };
  }

  readAt(run, table, key, version) {
    const record = this.core.getAt(run.pointer, run.generation, table, this.key(key), version);
    if (record === STATUS.stale) return "stale";
    return record < STATUS.limit ? (record === 0 ? null : `status ${record}`) : this.cell(record);
  }

  /** What a listing has found, its first `limit` keys. */
  scanned(status) {
    if (status === STATUS.stale) return "stale";
    if (status !== 0) return `status ${status}`;
    const found = [];
    this.scans.eachScanned(this.core, this.scans.scanSort(this.core), (key, record) =>
      found.push([key, this.cell(record)]),
    );
    return found;
  }

  request(prefix) {
    const { core } = this;
    core.renew();
    const text = new TextEncoder().encode(prefix);
    core.bytes.set(text, core.boundsOffset);
    return { prefixBytes: text.length, startBytes: 0, endBytes: 0, reverse: false, limit: 1000 };
  }
}

function committed(result) {
  if (result > 0) return result;
  if (-result === STATUS.stale) return "stale";
  return -result === STATUS.nothing ? "nothing" : `status ${-result}`;
}

function held(player, run, read) {
  const { core } = player;
  const slot = core.takeSnapshot(run.pointer, run.generation, true);
  if (slot === RUN_STALE_SLOT) return "stale";
  const version = core.resultVersion();
  const result = read(version);
  core.dropSnapshot(slot, run.pointer, run.generation);
  return result;
}

const ACTS = {
  put(player, { run: name, table = 0, key, value, bytes }) {
    return player.with(name, true, (run) => {
      player.core.renew();
      const valueBytes = player.codec.encodeValue(textOf(value, bytes), player.core);
      return committed(player.core.put(run.pointer, run.generation, table, player.key(key), valueBytes, 0, -1));
    });
  },
  delete(player, { run: name, table = 0, key }) {
    return (
      player.with(name, false, (run) => {
        return committed(player.core.remove(run, table, player.key(key), 0, -1));
      }) ?? "nothing"
    );
  },
  get(player, { run: name, table = 0, key }) {
    return (
      player.with(name, false, (run) => {
        const record = player.core.get(run.pointer, run.generation, table, player.key(key));
        if (record === STATUS.stale) return "stale";
        if (record === STATUS.large) return held(player, run, (version) => player.readAt(run, table, key, version));
        if (record >= STATUS.limit) return player.cell(record);
        return record === 0 ? { value: null } : `status ${record}`;
      }) ?? { value: null }
    );
  },
  list(player, { run: name, table = 0, prefix = "" }, event) {
    return (
      player.with(name, false, (run) =>
        held(player, run, (version) => {
          event.at = version;
          return player.scanned(player.scans.scan(player.core, run, table, version, player.request(prefix), true));
        }),
      ) ?? []
    );
  },
  /** The listing without a snapshot: only how many there are. */
  count(player, { run: name, table = 0, prefix = "" }) {
    return (
      player.with(name, false, (run) => {
        const status = player.scans.scan(player.core, run, table, -1, player.request(prefix), false);
        return status === STATUS.stale
          ? "stale"
          : status === 0
            ? player.scans.scanCount(player.core)
            : `status ${status}`;
      }) ?? 0
    );
  },
  snapshot(player, { run: name, as }, event) {
    return (
      player.with(name, true, (run) => {
        const slot = player.core.takeSnapshot(run.pointer, run.generation, false);
        if (slot === RUN_STALE_SLOT) return "stale";
        const version = player.core.resultVersion();
        event.at = version;
        player.snapshots.set(as, { slot, run, version });
        return "taken";
      }) ?? "missing"
    );
  },
  snapshotAll(player, { as }, event) {
    const slot = player.core.takeSnapshot(0, 0, false);
    const version = player.core.resultVersion();
    event.at = version;
    player.snapshots.set(as, { slot, version });
    return "taken";
  },
  snapshotGet(player, { as, run: name, table = 0, key }, event) {
    const { run: own, version } = player.snapshots.get(as);
    event.at = version;
    const run = own ?? player.core.resolveRunAt(player.key(name), version);
    if (run.pointer === 0) return { value: null };
    const read = player.readAt(run, table, key, version);
    // Whose run was not written to by then, and is not there any more.
    return read === "stale" ? { value: null } : (read ?? { value: null });
  },
  snapshotList(player, { as, run: name, table = 0, prefix = "" }, event) {
    const { run: own, version } = player.snapshots.get(as);
    event.at = version;
    const run = own ?? player.core.resolveRunAt(player.key(name), version);
    if (run.pointer === 0) return [];
    const found = player.scanned(player.scans.scan(player.core, run, table, version, player.request(prefix), true));
    return found === "stale" ? [] : found;
  },
  snapshotRuns(player, { as }, event) {
    const { version } = player.snapshots.get(as);
    event.at = version;
    return player.core.runIds(version).sort().join();
  },
  snapshotDrop(player, { as }) {
    const { slot, run } = player.snapshots.get(as);
    player.snapshots.delete(as);
    player.core.dropSnapshot(slot, run?.pointer ?? 0, run?.generation ?? 0);
    return "dropped";
  },
  begin(player, { run: name, as, step = false }, event) {
    return player.with(name, true, (run) => {
      const context = player.core.begin(run.pointer, run.generation, step ? BEGIN_STEP : 0);
      if (context === STATUS.stale) return "stale";
      const start = player.core.resultVersion();
      event.at = start;
      player.transactions.set(as, { context, generation: player.core.begunGeneration(), start });
      return "begun";
    });
  },
  transactionGet(player, { as, table = 0, key }, event) {
    const { context, generation, start } = player.transactions.get(as);
    event.at = start;
    const record = player.core.transactionGet(context, generation, table, player.key(key));
    if (record >= STATUS.limit) return player.cell(record);
    return record === 0 ? { value: null } : `status ${record}`;
  },
  transactionList(player, { as, table = 0, prefix = "" }, event) {
    const { context, generation, start } = player.transactions.get(as);
    event.at = start;
    const { core } = player;
    const request = player.request(prefix);
    const found = player.scanned(player.scans.transactionScan(core, context, generation, table, request, true));
    if (!Array.isArray(found)) return found;
    const status = player.scans.noteScanned(core, context, generation, table, found.length);
    return status === 0 ? found : `status ${status}`;
  },
  transactionPut(player, { as, table = 0, key, value, bytes }) {
    const { context, generation } = player.transactions.get(as);
    player.core.renew();
    const valueBytes = player.codec.encodeValue(textOf(value, bytes), player.core);
    return player.core.transactionPut(context, generation, table, player.key(key), valueBytes);
  },
  transactionDelete(player, { as, table = 0, key }) {
    const { context, generation } = player.transactions.get(as);
    return player.core.transactionRemove(context, generation, table, player.key(key));
  },
  commit(player, { as }, event) {
    const { context, generation, start } = player.transactions.get(as);
    event.at = start;
    player.transactions.delete(as);
    const result = player.core.commit(context, generation, 0);
    if (result > 0) return result;
    return -result === STATUS.conflict ? "conflict" : result === 0 ? 0 : `status ${-result}`;
  },
  end(player, { as }) {
    const { context, generation } = player.transactions.get(as);
    player.transactions.delete(as);
    return player.core.end(context, generation);
  },
  /** Makes a run and takes it away again, as a handle does that is never used. */
  open(player, { run: name }) {
    const run = player.core.createRun(player.key(name));
    player.runs.set(name, run);
    return "open";
  },
  discard(player, { run: name }) {
    const run = player.runs.get(name);
    player.runs.delete(name);
    if (run !== undefined) player.core.discardRun(run);
    return "discarded";
  },
  deleteRun(player, { run: name }) {
    return (
      player.with(name, false, (run) => {
        const result = committed(player.core.deleteRun(run, 0));
        if (typeof result === "number") player.runs.delete(name);
        return result;
      }) ?? "nothing"
    );
  },
  reserve(player, { bytes }) {
    player.core.reserveValue(bytes);
    return "reserved";
  },
  leave(player) {
    player.core.leave();
    return "left";
  },
};

/** Does one act; what came of it, errors of the host included, stands in the event then. */
export function perform(player, act, event) {
  const isOfSnapshot = /^snapshot(Get|List|Runs|Drop)$/.test(act.do);
  const isOfTransaction = /^(transaction.*|commit|end)$/.test(act.do);
  if ((isOfSnapshot && !player.snapshots.has(act.as)) || (isOfTransaction && !player.transactions.has(act.as))) {
    // What it belongs to was refused.
    event.result = "skipped";
    return;
  }
  try {
    event.result = ACTS[act.do](player, act, event);
  } catch (error) {
    if (error?.code === undefined || error.code === "STORE_FAILED") throw error;
    event.result = error.code;
  }
}
