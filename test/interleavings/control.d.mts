export declare const WORKERS_MAX: number;
export declare const POLICY: Readonly<Record<"random" | "priorities" | "bursts" | "bounded" | "turns", number>>;
export declare const STATE: Readonly<Record<"idle" | "ready" | "ended" | "killed", number>>;
export declare const FAULT: Readonly<Record<"none" | "budget" | "trap", number>>;
export declare const HEAD_WORDS: Readonly<
  Record<
    | "ended"
    | "count"
    | "step"
    | "budget"
    | "fault"
    | "policy"
    | "random"
    | "rate"
    | "point"
    | "points"
    | "killed"
    | "killAt"
    | "preemptions"
    | "trace"
    | "patience"
    | "alsoKilled"
    | "alsoKillAt"
    | "ground",
    number
  >
>;
export declare const LANE_WORDS: Readonly<Record<"baton" | "state" | "steps" | "priority" | "round", number>>;
export declare const PATIENCE: number;
export declare const POINTS_AT: number;
export declare const CONTROL_WORDS: number;
export declare function laneAt(worker: number): number;
export declare function hand(words: Int32Array, worker: number): void;
