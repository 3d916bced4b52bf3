/**
 * The cases: which storage, from where, written how, and what becomes of it.
 *
 * Each has a database of its own. What was acknowledged stands in the ledger outside of the browser; when the database is
 * opened again there must be all of that, a prefix of the commits, and nothing in part.
 *
 * In IndexedDB a database that is none of Holdfast's stands beside it. A browser that has lost that one as well has lost what it
 * promised to keep, whoever wrote it; such a case says `browserLost`.
 */

const ACKNOWLEDGED_MIN = 3;
const ACKNOWLEDGED_SPREAD = 40;
const DELAY_MS_MAX = 30;
/** How soon a database whose owner has died is to be had, and how soon one whose owner lives is refused. */
const TAKEOVER_MS_MAX = 2_000;
const REFUSAL_MS_MAX = 1_000;
/** A browser that was killed has to look after its own files first. */
const REOPEN_MS_MAX = 15_000;
const QUOTA_BYTES = 3_000_000;
/** So often is a page killed while checkpoints are made: each meets another step of one. */
const CHECKPOINT_KILLS = 6;
const CHECKPOINT_SPREAD = 8;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const OPFS_SYNC = { storage: "opfs", where: "worker", how: "sync" };
const OPFS_ASYNC = { storage: "opfs", where: "worker", how: "async" };
const OPFS_PAGE = { storage: "opfs", where: "page", how: "async" };
const IDB_PAGE = { storage: "indexeddb", where: "page", how: "async" };
const IDB_WORKER = { storage: "indexeddb", where: "worker", how: "async" };
const EVERY = [OPFS_SYNC, OPFS_ASYNC, OPFS_PAGE, IDB_PAGE, IDB_WORKER];
/** A commit that was handed to the system outlives the browser, though not a power cut. */
const OPFS_BUFFERED = { ...OPFS_SYNC, durability: "buffered" };

const times = (count, items) => Array.from({ length: count }, () => items).flat();

/** All cases of a browser. */
export function casesOf(browser) {
  return [
    ...times(2, EVERY).map((place) => ({ what: "killed page", place, run: killedPage })),
    { what: "killed page", place: OPFS_BUFFERED, run: killedPage },
    ...EVERY.map((place) => ({ what: "killed browser", place, run: killedBrowser })),
    { what: "killed browser", place: OPFS_SYNC, run: killedBrowser },
    { what: "killed browser", place: OPFS_BUFFERED, run: killedBrowser },
    { what: "killed browser, then killed while it is opened again", place: OPFS_SYNC, run: killedTwice },
    ...[OPFS_SYNC, OPFS_PAGE, IDB_PAGE].map((place) => ({ what: "closed tab", place, run: closedTab })),
    ...[OPFS_SYNC, IDB_PAGE].map((place) => ({ what: "reloaded page", place, run: reloadedPage })),
    ...[OPFS_SYNC, OPFS_PAGE, IDB_PAGE].map((place) => ({ what: "two tabs", place, run: twoTabs })),
    ...(browser === "chromium"
      ? [OPFS_SYNC, OPFS_PAGE, IDB_PAGE].map((place) => ({ what: "no room", place, run: noRoom }))
      : []),
    ...(browser === "chromium" ? [IDB_PAGE, IDB_WORKER] : []).map((place) => ({
      what: "cleared",
      place,
      run: cleared,
    })),
    ...(browser === "chromium" ? EVERY : []).map((place) => ({ what: "private window", place, run: privateWindow })),
    { what: "deleted from another tab", place: IDB_PAGE, run: (it) => versionChange(it, "delete") },
    { what: "upgraded from another tab", place: IDB_PAGE, run: (it) => versionChange(it, "upgrade") },
    { what: "failed request", place: IDB_PAGE, run: failedRequest },
    { what: "no room for a request", place: IDB_PAGE, run: noRoomForRequest },
    { what: "no room for a request of a checkpoint", place: IDB_PAGE, run: noRoomForCheckpoint },
    { what: "files taken away", place: OPFS_SYNC, run: vanished },
    // Last, since Chromium miscounts afterwards how much room the origin takes, which "no room" goes by.
    ...[OPFS_SYNC, OPFS_ASYNC, IDB_PAGE].map((place) => ({
      what: "killed while checkpoints are made",
      place,
      run: killedInCheckpoints,
    })),
  ];
}

/** Opens and begins to write; returns when enough was acknowledged to go on. */
async function writing({ browser, ledger, settings, place, random, spread = ACKNOWLEDGED_SPREAD }) {
  const page = await browser.page();
  if (place.storage === "indexeddb") await page.call("page", "plantBeside", settings);
  const opened = await page.call(place.where, "open", settings);
  if (opened.code !== undefined) throw new Error(`the first open: ${opened.code}`);
  ledger.events.length = 0;
  const enough = ledger.acknowledged + ACKNOWLEDGED_MIN + Math.floor(random() * spread);
  await page.begin(place.where, "writeOn", settings);
  await ledger.until(() => ledger.acknowledged >= enough || ledger.events.length > 0, `${enough} commits`);
  await pause(random() * DELAY_MS_MAX);
  return page;
}

/** Opens until it is let in; how long that may take is counted. */
async function openAgain({ settings, place }, page, msMax) {
  const start = performance.now();
  for (;;) {
    const { code } = await page.call(place.where, "open", settings);
    if (code === undefined) break;
    if (code !== "LOCKED" || performance.now() - start > msMax) {
      throw new Error(`opening again: ${code} after ${Math.round(performance.now() - start)} ms`);
    }
    await pause(20);
  }
  const ms = performance.now() - start;
  if (ms > msMax) throw new Error(`opening again took ${Math.round(ms)} ms`);
}

/** Compares what is there with the ledger, and writes on. */
async function compare(it, page) {
  const { ledger, place, settings, findings } = it;
  const found = await page.call(place.where, "look");
  findings.acknowledged += ledger.acknowledged;
  if (found.faults.length > 0) {
    findings.partial += 1;
    throw new Error(`in part or out of order: ${found.faults.join("; ")}`);
  }
  if (found.commits < ledger.acknowledged) {
    const browserLost = place.storage === "indexeddb" && !(await page.call("page", "isBeside", settings));
    if (!browserLost) findings.lost += ledger.acknowledged - found.commits;
    const what = `${ledger.acknowledged} commits were acknowledged, ${found.commits} are there`;
    const why = browserLost ? "; the browser has lost the database beside it, too" : "";
    throw Object.assign(new Error(`${what}${why}: ${JSON.stringify(found.info)}`), { browserLost });
  }
  const before = ledger.acknowledged;
  ledger.events.length = 0;
  await page.begin(place.where, "writeOn", { ...settings, count: 3 });
  await ledger.until(() => ledger.events.length > 0, "three more commits");
  const [{ event, message }] = ledger.events;
  if (event !== "over" || ledger.acknowledged < before + 3) throw new Error(`writing on: ${message ?? event}`);
  await page.call(place.where, "close");
  return found;
}

async function lookAgain(it, msMax) {
  const page = await it.browser.page();
  await openAgain(it, page, msMax);
  const found = await compare(it, page);
  await page.close();
  return found;
}

async function killedPage(it) {
  const page = await writing(it);
  if ((await it.browser.killPages()) === 0) throw new Error("no process of a page was found");
  await pause(50);
  const closing = page.close();
  await lookAgain(it, TAKEOVER_MS_MAX);
  await closing;
}

/** Each commit is followed by a checkpoint; of one that was cut short there may be parts, or all and what it stands for as well. */
async function killedInCheckpoints(it) {
  const settings = { ...it.settings, checkpoints: true };
  for (let i = 0; i < CHECKPOINT_KILLS; i += 1) {
    await killedPage({ ...it, settings, spread: CHECKPOINT_SPREAD });
  }
}

async function killedBrowser(it) {
  await writing(it);
  await it.browser.kill();
  await lookAgain(it, REOPEN_MS_MAX);
}

async function killedTwice(it) {
  await writing(it);
  await it.browser.kill();
  const page = await it.browser.page();
  await page.begin(it.place.where, "open", it.settings);
  await pause(it.random() * DELAY_MS_MAX);
  await it.browser.kill();
  await lookAgain(it, REOPEN_MS_MAX);
}

async function closedTab(it) {
  const page = await writing(it);
  await page.close();
  await lookAgain(it, TAKEOVER_MS_MAX);
}

async function reloadedPage(it) {
  const page = await writing(it);
  await page.reload();
  await openAgain(it, page, TAKEOVER_MS_MAX);
  await compare(it, page);
  await page.close();
}

/** The second tab is refused at once while the first one lives, which goes on; it is let in when that is gone. */
async function twoTabs(it) {
  const { browser, ledger, place, settings } = it;
  const first = await writing(it);
  const second = await browser.page();
  const refused = await second.call(place.where, "open", settings);
  if (refused.code !== "LOCKED") throw new Error(`the second tab: ${refused.code ?? "was let in"}`);
  if (refused.ms > REFUSAL_MS_MAX) throw new Error(`the second tab was refused after ${Math.round(refused.ms)} ms`);
  const then = ledger.acknowledged;
  await ledger.until(() => ledger.acknowledged > then + 2, "the first tab to go on");
  await first.close();
  await openAgain(it, second, TAKEOVER_MS_MAX);
  await compare(it, second);
  await second.close();
}

/** A commit that does not fit says so and leaves no trace; what was written is there; there is room again, and it goes on. */
async function noRoom(it) {
  const { browser, ledger, place, settings, url } = it;
  // A browser that has asked for the room once goes by that answer for a while.
  await browser.close();
  const page = await browser.page();
  const devtools = await page.devtools();
  const origin = new URL(url).origin;
  const { usage } = await devtools.send("Storage.getUsageAndQuota", { origin });
  await devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: Math.ceil(usage) + QUOTA_BYTES });
  try {
    const opened = await page.call(place.where, "open", settings);
    if (opened.code !== undefined) throw new Error(`the first open: ${opened.code}`);
    await page.begin(place.where, "writeOn", { ...settings, bulk: 100_000 });
    await ledger.until(() => ledger.events.length > 0, "no room", 60_000);
    const [{ event, code, message }] = ledger.events;
    if (event !== "ended" || code !== "STORAGE_FULL") throw new Error(`without room: ${code ?? event}: ${message}`);
  } finally {
    await devtools.send("Storage.overrideQuotaForOrigin", { origin });
  }
  await pause(100);
  const found = await compare(it, page);
  it.detail = `${found.commits} commits fitted`;
  await page.close();
  await lookAgain(it, TAKEOVER_MS_MAX);
}

/** Commits some, and then one in whose transaction a request fails; what that ended with. */
async function committingInVain(it, page, what) {
  const { ledger, place, settings } = it;
  const opened = await page.call(place.where, "open", settings);
  if (opened.code !== undefined) throw new Error(`the first open: ${opened.code}`);
  const committing = async (count) => {
    ledger.events.length = 0;
    await page.begin(place.where, "writeOn", { ...settings, count });
    await ledger.until(() => ledger.events.length > 0, `the end of ${count} commits`);
    return ledger.events[0];
  };
  const { event, message } = await committing(ACKNOWLEDGED_MIN);
  if (event !== "over") throw new Error(`before any request fails: ${message}`);
  await page.call(place.where, "meddle", { what });
  const failed = await committing(1);
  if (failed.event !== "ended") throw new Error("a commit whose request failed was acknowledged");
  return failed;
}

/** A browser may tell of a failure by its request alone: the commit says why, and the store has all that was acknowledged. */
async function failedRequest(it) {
  const page = await it.browser.page();
  const { code, message, names } = await committingInVain(it, page, "fail a request");
  if (!names.includes("ConstraintError")) throw new Error(`no cause is told: ${code}: ${message}, ${names}`);
  await page.close();
  await lookAgain(it, TAKEOVER_MS_MAX);
}

/** The same for want of room, after which the store goes on. */
async function noRoomForRequest(it) {
  const page = await it.browser.page();
  const { code, message } = await committingInVain(it, page, "no room for a request");
  if (code !== "STORAGE_FULL") throw new Error(`without room: ${code}: ${message}`);
  await compare(it, page);
  await page.close();
  await lookAgain(it, TAKEOVER_MS_MAX);
}

/** A checkpoint that is given up leaves nothing behind: it would be in the way of the room that is wanted. */
async function noRoomForCheckpoint({ browser, place, settings }) {
  const page = await browser.page();
  const { outcome, left } = await page.call(place.where, "meddle", {
    what: "abandon a checkpoint",
    name: settings.name,
  });
  if (outcome !== "STORAGE_FULL") throw new Error(`without room: ${outcome}`);
  if (left.length > 0) throw new Error(`left behind: ${JSON.stringify(left)}`);
  await page.close();
}

/** The owner gives way at once, is told, and refuses work; the other tab is not held up. */
async function versionChange(it, what) {
  const { browser, ledger, place, settings } = it;
  const page = await writing(it);
  const other = await browser.page();
  const outcome = await other.call("page", "meddle", { what, name: settings.name });
  if (outcome !== "done") throw new Error(`the other tab: ${outcome}`);
  for (const wanted of ["ended", "locked-out"]) {
    await ledger.until(() => ledger.events.some(({ event }) => event === wanted), `the owner to be told: ${wanted}`);
  }
  const { code } = ledger.events.find(({ event }) => event === "ended");
  if (!["CLOSED", "COMMIT_INDETERMINATE", "STORE_FAILED"].includes(code)) throw new Error(`the owner: ${code}`);
  const again = await other.call(place.where, "open", settings);
  const expected = what === "delete" ? undefined : "STORE_FAILED";
  if (again.code !== expected) throw new Error(`opening afterwards: ${again.code ?? "was let in"}`);
  await other.call(place.where, "close");
  await Promise.all([page.close(), other.close()]);
}

/** Whoever has the database open when its user clears it is told, and finds an empty one afterwards. */
async function cleared(it) {
  const { ledger, place, settings, url } = it;
  const page = await writing(it);
  const devtools = await page.devtools();
  await devtools.send("Storage.clearDataForOrigin", { origin: new URL(url).origin, storageTypes: "indexeddb" });
  for (const wanted of ["ended", "locked-out"]) {
    await ledger.until(() => ledger.events.some(({ event }) => event === wanted), `the owner to be told: ${wanted}`);
  }
  ledger.acknowledged = 0;
  await openAgain(it, page, TAKEOVER_MS_MAX);
  const { commits, info } = await page.call(place.where, "look", settings);
  if (commits !== 0 || !info.fresh) throw new Error(`${commits} commits are there, fresh ${info.fresh}`);
  await page.call(place.where, "close");
  await page.close();
}

/** What is kept for as long as the private window is open is whole there, and goes with it. */
async function privateWindow(it) {
  const { browser, place, settings } = it;
  await browser.enterPrivate();
  try {
    const page = await writing(it);
    const other = await browser.page();
    await page.close();
    await openAgain(it, other, TAKEOVER_MS_MAX);
    await compare(it, other);
  } finally {
    await browser.leavePrivate();
  }
  const page = await browser.page();
  const opened = await page.call(place.where, "open", settings);
  const { commits, info } = await page.call(place.where, "look");
  if (opened.code !== undefined || commits !== 0 || !info.fresh) throw new Error(`${commits} commits came out of it`);
  await page.call(place.where, "close");
  await page.close();
}

/** A database that was there and is gone is fresh, and says that it was there, with an epoch above what it had. */
async function vanished(it) {
  const { place, settings } = it;
  const page = await writing(it);
  await page.reload();
  await pause(300);
  await page.call("page", "meddle", { what: "remove files", name: settings.name });
  const found = await page.call(place.where, "meddle", { what: "vanished", name: settings.name });
  const ok = found.fresh === true && found.vanished?.epoch >= 1 && found.epoch > found.vanished.epoch;
  if (!ok) throw new Error(`not noticed: ${JSON.stringify(found)}`);
  await page.close();
}
