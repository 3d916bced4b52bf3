/**
 * Where workerd starts: a request with settings runs the suites that they ask for, and is answered with one line of JSON per event;
 * one without says which suites there are.
 */
import { type Line, runSuites, type Settings } from "./runner.js";
// @ts-expect-error: a module of WebAssembly, which workerd gives and no type knows
import core from "./single.wasm";
import { suites } from "./suites.js";

const worker = {
  async fetch(request: Request): Promise<Response> {
    if (request.method !== "POST") return Response.json(suites.map(({ name }) => name));
    const settings = (await request.json()) as Settings;
    const lines: string[] = [];
    const note = (line: Line): void => void lines.push(JSON.stringify(line));
    await runSuites({ ...settings, wasm: core as WebAssembly.Module }, note);
    return new Response(`${lines.join("\n")}\n`);
  },
};

// biome-ignore lint/style/noDefaultExport: what workerd starts a module by
export default worker;
