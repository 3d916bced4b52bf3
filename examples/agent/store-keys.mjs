/**
 * The keys that every task keeps: one record per step, numbered without gaps so that sorting them by bytes sorts them by
 * number.
 */
const STEP_DIGITS = 5;

export const stepKey = Object.assign((step) => `step/${String(step).padStart(STEP_DIGITS, "0")}`, { prefix: "step/" });
