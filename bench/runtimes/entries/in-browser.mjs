// How a page or a worker tells what it has measured: each report is posted to the server that it came from.
import { measure } from "../program.mjs";

export async function measureInBrowser(groups, { size }) {
  const report = async (line) => {
    await fetch("/report", { method: "POST", body: JSON.stringify(line) });
  };
  await measure(groups, { size, report });
}
