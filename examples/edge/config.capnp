using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "state", disk = (path = "build", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "../../build/example-edge/worker.js"),
    (name = "holdfast/single.wasm", wasm = embed "../../dist/single.wasm"),
  ],
  compatibilityDate = "2026-11-01",
  durableObjectNamespaces = [(className = "AgentRun", uniqueKey = "example-edge-runs", enableSql = true)],
  durableObjectStorage = (localDisk = "state"),
  bindings = [(name = "RUNS", durableObjectNamespace = "AgentRun")],
);
