/**
 * The arrows of the tree: who may know whom. Every rule names the reason that it exists for.
 *
 * Both trees are layered; an arrow points down or sideways, never up, and there is no cycle, type-only imports included.
 * A new file belongs to a layer: a file of `assembly/` that is in none is an error, a file of `src/host/` counts as one of
 * the middle, beside `run.ts` and `transaction.ts`, until it is named below.
 */

const names = (list) => `(${list.join("|")})`;

/** Top to bottom, as in the sequence index → store → … → constants. */
const ASSEMBLY_LAYERS = [
  ["shared"],
  ["index"],
  ["store", "restore", "burial", "healing", "listing", "traverse"],
  ["publish", "recovery", "scratch", "checkpoint", "reads"],
  ["transaction", "acquire", "scan", "queue", "prune"],
  ["run-tables"],
  ["run", "record"],
  ["versions", "table", "snapshots"],
  ["entry"],
  ["arena", "lock", "read-lock", "group", "hash", "checksum", "optimistic", "horizon", "counts"],
  ["workers"],
  ["superblock"],
  ["atomics"],
  ["constants", "rules", "step"],
];
/** They look at everything, and only the entry looks at them. */
const ASSEMBLY_WATCHERS = ["verify", "debug", "shared-debug", "planted"];

const assembly = (list) => `^assembly/${names(list)}\\.ts$`;
const assemblyLayered = assembly([...ASSEMBLY_LAYERS.flat(), ...ASSEMBLY_WATCHERS]);

const assemblyRules = ASSEMBLY_LAYERS.slice(1).map((layer, index) => ({
  name: `assembly-${layer[0]}-layer-looks-down`,
  comment: "The core is read from the bottom up: what a layer rests on must not rest on it.",
  severity: "error",
  from: { path: assembly(layer) },
  // The first two are the ABI, which is what the watchers are asked through.
  to: { path: assembly([...ASSEMBLY_LAYERS.slice(0, index + 1).flat(), ...(index === 0 ? [] : ASSEMBLY_WATCHERS)]) },
}));

const CORE =
  "^src/(core-files|host/core(-loader|-instance|-scan|-graph|-reading|-checkpoint|-shared-log|-workers)?)\\.ts$";
const ABI = "^src/host/abi\\.ts$";
const INTERFACE = "^src/host/(reader-writer|codec|value-bytes|scan|durability-mode)\\.ts$";
const GROUND = "^src/(errors|host/(arguments|environment|names|sha256|utf8))\\.ts$";
const PRIMITIVE = "^src/host/primitives/";
const BESIDE_PRIMITIVES = "^src/(errors|host/(arguments|names|sha256))\\.ts$";
const GRAPH = "^src/host/(primitives/graph-store|graph/[^/]*)\\.ts$";
const CONTRACT = "^src/adapters/storage\\.ts$";
/** The adapter over node:fs is of several files, which are known to it alone. */
const NODE_FS = "^src/adapters/node-fs(-lock|-owner|-platform|-storage|-session|-checkpoint)?\\.ts$";
const nodeFs = (part) => `^src/adapters/node-fs-${part}\\.ts$`;
/** The adapter over the origin private file system, likewise. */
const OPFS = "^src/adapters/opfs[^/]*\\.ts$";
const opfs = (part) => `^src/adapters/opfs-${part}\\.ts$`;
/** The adapter over IndexedDB, likewise. */
const INDEXEDDB = "^src/adapters/indexeddb[^/]*\\.ts$";
/** The adapter over a Durable Object, likewise. */
const DURABLE_OBJECT = "^src/adapters/durable-object[^/]*\\.ts$";
/** The adapter over NATS, likewise, and its clients. */
const NATS = "^src/adapters/nats[^/]*\\.ts$";
const NATS_CLIENT = "^(node_modules/)?@nats-io/";
/** Runs of many processes, which stand on that adapter. */
const FLEET = "^src/fleet/";
/** Where the workers start that a storage lives in, with the host's part that writes the log there. */
const STORAGE_WORKER = "^src/adapters/(opfs|indexeddb)-worker\\.ts$";
const DRAINER = "^src/host/drainer\\.ts$";
const PLATFORM = "^src/host/(database|opening|apart|attaching|joining|platform|temporary)\\.ts$";
/** The command line, which is a user of the package like any other. */
const CLI = "^src/cli/";
const NPM = "^node_modules/";
const ENTRY = "^src/index\\.ts$";
/** What a user's other libraries are given: each in a folder of its own. */
const INTEGRATION = "^src/integrations/([^/]+)/";
/** The libraries that integrations extend. Whoever uses one has it; here only the tests do, in a folder of their own. */
const PEER = "^@langchain/langgraph-checkpoint$";

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Two files that need one another are one file, or a third is missing.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "everything-resolves",
      comment: "An import that leads nowhere hides an arrow from all other rules.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: PEER },
    },
    {
      name: "only-its-integration-knows-a-peer",
      comment: "The store is installed without the libraries that it can be put into.",
      severity: "error",
      from: { pathNot: "^src/integrations/langgraph/" },
      to: { path: PEER },
    },
    {
      name: "only-nats-knows-its-clients",
      comment: "The same of the clients of NATS.",
      severity: "error",
      from: { path: "^src/", pathNot: [NATS, FLEET] },
      to: { path: NATS_CLIENT },
    },
    {
      name: "src-knows-no-assembly",
      comment: "The host knows the core by its ABI alone; a test compares abi.ts with constants.ts.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^assembly/" },
    },
    {
      name: "assembly-knows-itself-only",
      comment: "The core has no imports but the memory.",
      severity: "error",
      from: { path: "^assembly/" },
      to: { pathNot: "^assembly/" },
    },
    {
      name: "src-ships-what-it-imports",
      comment: "What the package imports must be installed with it.",
      severity: "error",
      from: { path: "^src/" },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "npm-optional", "npm-peer"],
        pathNot: [PEER, NATS_CLIENT],
      },
    },
    {
      name: "src-knows-no-tests",
      comment: "What ships must not lean on what does not.",
      severity: "error",
      from: { path: "^(src|assembly)/" },
      to: { path: "^(test|bench|examples|scripts|dist|build)/" },
    },
    {
      name: "nobody-imports-the-entry",
      comment: "index.ts is for users; inside, one imports from where a thing is made.",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/integrations/", CLI, FLEET] },
      to: { path: ENTRY },
    },
    {
      name: "integrations-know-the-public-interface-only",
      comment: "They are clients like any other: what they can do, a user can do, and they can be taken away.",
      severity: "error",
      from: { path: INTEGRATION },
      to: { path: "^src/", pathNot: [ENTRY, "^src/integrations/$1/", "^src/integrations/digest\\.ts$"] },
    },
    {
      name: "integrations-know-the-public-interface-only",
      comment: "The same of what they share.",
      severity: "error",
      from: { path: "^src/integrations/[^/]+$" },
      to: { path: "^src/", pathNot: ENTRY },
    },
    {
      name: "nobody-imports-an-integration",
      comment: "The store does not know what it is put into.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/integrations/" },
      to: { path: "^src/integrations/" },
    },
    {
      name: "cli-knows-the-public-api-only",
      comment: "What the command line can do every user can: it looks at nothing that they do not have.",
      severity: "error",
      from: { path: CLI },
      to: {
        pathNot: [CLI, ENTRY, "^src/adapters/node-fs\\.ts$"],
        dependencyTypesNot: ["core"],
      },
    },
    {
      name: "fleet-knows-the-public-interface-and-nats",
      comment: "A fleet opens databases as a user would, over one adapter; nothing stands on it.",
      severity: "error",
      from: { path: FLEET },
      to: { path: "^src/", pathNot: [FLEET, ENTRY, "^src/adapters/nats\\.ts$"] },
    },
    {
      name: "nobody-imports-the-fleet",
      comment: "The store does not know that there is more than one machine.",
      severity: "error",
      from: { path: "^src/", pathNot: FLEET },
      to: { path: FLEET },
    },
    {
      name: "nobody-imports-the-cli",
      comment: "It is started, not imported; nothing of it is in what a bundle loads.",
      severity: "error",
      from: { path: "^src/", pathNot: CLI },
      to: { path: CLI },
    },
    {
      name: "errors-know-nobody",
      severity: "error",
      comment: "Everyone may throw, so errors.ts is at the bottom.",
      from: { path: "^src/errors\\.ts$" },
      to: { path: ".+" },
    },
    {
      name: "adapters-know-the-contract-only",
      comment:
        "An adapter can be taken away, and a foreign one put in: it knows storage.ts and errors.ts, no host, no other adapter.",
      severity: "error",
      from: { path: "^src/adapters/", pathNot: STORAGE_WORKER },
      to: {
        pathNot: [
          CONTRACT,
          nodeFs("[^/]+"),
          opfs("[^/]+"),
          INDEXEDDB,
          DURABLE_OBJECT,
          NATS,
          "^src/adapters/(failures|shared-[^/]+)\\.ts$",
          "^src/errors\\.ts$",
          NPM,
        ],
        dependencyTypesNot: ["core"],
      },
    },
    {
      name: "a-storage-worker-puts-two-together",
      comment: "Its entry knows the storage and the one part of the host that lives beside it; nobody imports either.",
      severity: "error",
      from: { path: STORAGE_WORKER },
      to: { path: "^src/", pathNot: [DRAINER, "^src/adapters/"] },
    },
    {
      name: "nobody-imports-a-storage-worker",
      comment: "A bundler would run its entry in the page, and the drainer is no part of what a page loads.",
      severity: "error",
      from: { path: "^src/", pathNot: STORAGE_WORKER },
      to: { path: [STORAGE_WORKER, DRAINER], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "only-indexeddb-knows-its-session",
      comment: "How a database stands in IndexedDB is this adapter's alone.",
      severity: "error",
      from: { path: "^src/", pathNot: INDEXEDDB },
      to: { path: INDEXEDDB, pathNot: "^src/adapters/indexeddb\\.ts$" },
    },
    {
      name: "only-durable-object-knows-its-parts",
      comment: "How a database stands in an object's tables is this adapter's alone.",
      severity: "error",
      from: { path: "^src/", pathNot: DURABLE_OBJECT },
      to: { path: DURABLE_OBJECT },
    },
    {
      name: "only-nats-knows-its-parts",
      comment: "How a database stands on a subject is this adapter's alone.",
      severity: "error",
      from: { path: "^src/", pathNot: NATS },
      to: { path: NATS, pathNot: "^src/adapters/nats\\.ts$" },
    },
    {
      name: "only-node-fs-knows-its-lock",
      comment: "Who owns the directory is one decision; the adapter asks, and nobody else has to.",
      severity: "error",
      from: { pathNot: "^src/adapters/node-fs\\.ts$" },
      to: { path: nodeFs("lock") },
    },
    {
      name: "only-the-lock-knows-the-owner",
      comment: "What counts as evidence of death can change without the adapter hearing of it.",
      severity: "error",
      from: { pathNot: nodeFs("lock") },
      to: { path: nodeFs("owner") },
    },
    {
      name: "only-node-fs-knows-its-platform",
      comment: "What runtimes and systems do differently with files is smoothed over once, for this adapter alone.",
      severity: "error",
      from: { pathNot: NODE_FS },
      to: { path: nodeFs("platform") },
    },
    {
      name: "only-opfs-knows-its-parts",
      comment:
        "How a database stands in the browser's files is this adapter's alone; the place is what the default is chosen by.",
      severity: "error",
      from: { pathNot: OPFS },
      to: { path: OPFS, pathNot: ["^src/adapters/opfs\\.ts$", opfs("place")] },
    },
    {
      name: "host-knows-the-contract-only",
      comment:
        "Which storage it is, only the place knows that picks the platform's own; all else decides by capabilities.",
      severity: "error",
      from: { path: "^src/host/", pathNot: PLATFORM },
      to: { path: "^src/adapters/", pathNot: CONTRACT },
    },
    {
      name: "primitives-know-the-interface-only",
      comment: "A primitive works alike on a run, a transaction and a snapshot, and over no other primitive.",
      severity: "error",
      from: { path: PRIMITIVE, pathNot: GRAPH },
      to: { pathNot: [INTERFACE, BESIDE_PRIMITIVES] },
    },
    {
      name: "graph-knows-the-interface-only",
      comment: "The same of the graph, which is of several files that are known to it alone.",
      severity: "error",
      from: { path: GRAPH },
      to: { pathNot: [GRAPH, INTERFACE, BESIDE_PRIMITIVES] },
    },
    {
      name: "interface-looks-down",
      comment: "Codec, scan options and the reader-writer interface are what primitives stand on.",
      severity: "error",
      from: { path: INTERFACE },
      to: { path: "^src/", pathNot: [INTERFACE, CORE, ABI, GROUND] },
    },
    {
      name: "core-looks-down",
      comment: "Raw memory ends at core.ts: it serves the host and knows none of it.",
      severity: "error",
      from: { path: CORE },
      to: { path: "^src/", pathNot: [CORE, ABI, INTERFACE, GROUND] },
    },
    {
      name: "abi-knows-nobody",
      comment: "abi.ts mirrors constants.ts of the core, and is compared with it as text.",
      severity: "error",
      from: { path: ABI },
      to: { path: ".+" },
    },
    {
      name: "ground-looks-down",
      comment: "Time, randomness and text are the same with or without a store.",
      severity: "error",
      from: { path: "^src/host/(environment|utf8)\\.ts$" },
      to: { path: "^src/", pathNot: GROUND },
    },
    {
      name: "only-core-knows-the-loader",
      comment: "One file instantiates modules.",
      severity: "error",
      from: { path: "^src/", pathNot: CORE },
      to: { path: "^node_modules/@assemblyscript/loader" },
    },
    {
      name: "primitives-know-no-abi",
      comment: "Primitives stand on the reader-writer interface; what the core answers is read below the database.",
      severity: "error",
      from: { path: "^src/(index|host/primitives/)" },
      to: { path: ABI },
    },
    {
      name: "middle-looks-down",
      comment: "Runs, transactions, snapshots and durability are used by the database and do not know it.",
      severity: "error",
      from: { path: "^src/host/", pathNot: PLATFORM },
      to: { path: PLATFORM },
    },
    {
      name: "assembly-every-file-has-a-layer",
      comment: "A new file of the core is put into ASSEMBLY_LAYERS above.",
      severity: "error",
      from: { path: "^assembly/", pathNot: assemblyLayered },
      to: {},
    },
    {
      name: "assembly-every-file-has-a-layer",
      comment: "A new file of the core is put into ASSEMBLY_LAYERS above.",
      severity: "error",
      from: { path: "^assembly/" },
      to: { path: "^assembly/", pathNot: assemblyLayered },
    },
    ...assemblyRules,
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".json"],
    },
  },
};
