/**
 * The elements of index.html that the page moves, found once; one that is missing is a mistake in that file.
 */
function find<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}.`);
  return element;
}

export const page = {
  facts: find("facts", HTMLUListElement),
  notice: find("notice", HTMLElement),
  state: find("state", HTMLElement),
  doing: find("doing", HTMLElement),
  tests: find("tests", HTMLProgressElement),
  testsText: find("tests-text", HTMLElement),
  go: find("go", HTMLButtonElement),
  kill: find("kill", HTMLButtonElement),
  reload: find("reload", HTMLButtonElement),
  mode: find("mode", HTMLSelectElement),
  modeAbout: find("mode-about", HTMLElement),
  pace: find("pace", HTMLSelectElement),
  follow: find("follow", HTMLButtonElement),
  files: find("files", HTMLUListElement),
  fileName: find("file-name", HTMLElement),
  file: find("file", HTMLPreElement),
  export: find("export", HTMLButtonElement),
  import: find("import", HTMLButtonElement),
  importFile: find("import-file", HTMLInputElement),
  startOver: find("start-over", HTMLButtonElement),
  inspector: find("inspector", HTMLElement),
};
