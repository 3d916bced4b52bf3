#!/usr/bin/env node
/**
 * `npx holdfast`: looks into a database, moves it, and says what this runtime can promise. Also under Deno and Bun.
 */
import { execute } from "./command-line.js";

process.exitCode = await execute(process.argv.slice(2));
