/**
 * The agent's desk: what it is doing, how its tests stand, and its files, as they are at the version that the inspector looks at.
 * All of it is read from the store; the desk keeps nothing but which file is looked at.
 */
import type { LogEvent, Value } from "holdfast";
import { el, keyed, say } from "../inspector/dom";
import type { Source } from "../inspector/questions";
import { page } from "./page";

const FILES_MAX = 200;
const FILE = "file:";
const RESULT = "result:";

type Fields = { readonly [name: string]: Value };

/** What an event says that the agent has done, for people. */
const TOLD: { readonly [type: string]: (fields: Fields) => string } = {
  "checked-out": ({ files }) => `A small shop, ${files} files. Some of its tests fail.`,
  read: ({ path }) => `Read ${path}`,
  linked: ({ imports }) => `Linked ${imports} imports`,
  tested: ({ passed, failed }) => `Ran the tests: ${passed} passed, ${failed} failed`,
  suspected: ({ failure }) => `“${failure}”`,
  edited: ({ path, line, to }) => `Tried line ${line} of ${path}: ${to}`,
  "put-back": ({ path, failing }) => `Put ${path} back: ${failing} still fail`,
  cleared: ({ path }) => `It is not in ${path}`,
  kept: ({ path, failing }) => `Mended ${path}: ${failing === 0 ? "nothing fails" : `${failing} left`}`,
  finished: () => "Every test passes",
  "gave-up": ({ test }) => `Found no edit that mends ${test}`,
};

function fieldsOf(value: Value | undefined): Fields {
  const isFields =
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  return isFields ? (value as Fields) : {};
}

export class Desk {
  #pinned: string | undefined;
  #shown: string | undefined;
  #again: () => void = () => {};

  constructor() {
    page.files.addEventListener("click", ({ target }) => {
      const path = target instanceof Element ? target.closest("button")?.dataset["path"] : undefined;
      if (path !== undefined) this.#pin(path);
    });
    page.follow.addEventListener("click", () => this.#pin(this.#pinned === undefined ? this.#shown : undefined));
  }

  #pin(path: string | undefined): void {
    this.#pinned = path;
    page.follow.setAttribute("aria-pressed", String(path === undefined));
    this.#again();
  }

  async show(source: Source, at: number | undefined, again: () => void): Promise<void> {
    this.#again = again;
    const [{ found: files }, { found: results }, { events }] = await Promise.all([
      source.ask("entries", { at, prefix: FILE, limit: FILES_MAX }),
      source.ask("entries", { at, prefix: RESULT, limit: FILES_MAX }),
      source.ask("events", { at, limit: 12 }),
    ]);
    const newest = events[0];
    const told = newest === undefined ? "\u00a0" : (TOLD[newest.type]?.(fieldsOf(newest.payload)) ?? newest.type);
    say(page.doing, at === undefined ? told : `At version ${at}: ${told}`);
    const failedIn = this.#showTests(results.map(({ key, value }) => [key.slice(RESULT.length), fieldsOf(value)]));
    const touched = events.find((event) => "path" in fieldsOf(event.payload));
    const path = this.#pinned ?? String(fieldsOf(touched?.payload)["path"] ?? files[0]?.key.slice(FILE.length) ?? "");
    this.#shown = path;
    this.#showFiles(
      files.map(({ key }) => key.slice(FILE.length)),
      path,
      failedIn,
    );
    this.#showFile(path, String(files.find(({ key }) => key === FILE + path)?.value ?? ""), newest);
  }

  #showTests(results: readonly (readonly [string, Fields])[]): ReadonlyMap<string, boolean> {
    const sum = (field: string) => results.reduce((total, [, fields]) => total + Number(fields[field] ?? 0), 0);
    const [passed, failed] = [sum("passed"), sum("failed")];
    page.tests.max = Math.max(1, passed + failed);
    page.tests.value = passed;
    say(page.testsText, passed + failed === 0 ? "not run yet" : `${passed} of ${passed + failed} pass`);
    return new Map(results.map(([path, fields]) => [path, Number(fields["failed"] ?? 0) > 0]));
  }

  #showFiles(paths: readonly string[], selected: string, failedIn: ReadonlyMap<string, boolean>): void {
    keyed(
      page.files,
      paths,
      (path) => path,
      (path) => {
        const [, folder = "", name = ""] = /^(.*\/)?([^/]*)$/.exec(path) ?? [];
        const label = el("span", {}, el("span", { class: "unseen" }, folder), name);
        const button = el("button", { type: "button", "data-path": path }, label, el("span", { class: "verdict" }));
        return el("li", { class: folder === "test/" ? "of-tests" : "" }, button);
      },
      (item, path) => {
        const button = item.firstElementChild;
        const verdict = item.querySelector(".verdict");
        const failed = failedIn.get(path);
        if (path === selected) button?.setAttribute("aria-current", "true");
        else button?.removeAttribute("aria-current");
        if (verdict === null) return;
        verdict.className = `verdict ${failed === undefined ? "" : failed ? "fails" : "passes"}`;
        say(verdict, failed === undefined ? "" : failed ? "fails" : "passes");
      },
    );
  }

  #showFile(path: string, text: string, newest: LogEvent | undefined): void {
    const { path: edited, line } = fieldsOf(newest?.payload);
    const isEdited = newest?.type === "edited" && edited === path;
    say(page.fileName, path);
    const lines = text.replace(/\n$/, "").split("\n");
    keyed(
      page.file,
      lines.map((content, index) => ({ content, number: index + 1 })),
      ({ content, number }) => `${path} ${number} ${content}`,
      ({ content, number }) =>
        el(
          "span",
          { class: "line" },
          el("span", { class: "no", "aria-hidden": "true" }, String(number)),
          `${content}\n`,
        ),
      (element, { number }) => element.classList.toggle("edited", isEdited && number === line),
    );
  }
}
