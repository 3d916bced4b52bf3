import type { Figures } from "../red-flags/scorecard.mjs";

export function renderReadme(readme: string, data: Figures): string;
