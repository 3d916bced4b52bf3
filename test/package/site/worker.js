/** A worker of the application's own: it attaches to a database whose memory is shared, and writes. */
import { Database } from "holdfast";

globalThis.onmessage = async ({ data: { handle, run } }) => {
  try {
    const db = await Database.attach(handle);
    const { state } = db.run(run);
    const added = state.transitionOrInit("n", 0, (n) => [n + 1, n + 1]);
    await db.close();
    globalThis.postMessage({ added });
  } catch (error) {
    globalThis.postMessage({ error: `${error?.name}: ${error?.message}` });
  }
};
