#!/usr/bin/env node
import { composeFairtally } from './compose.js';

process.exitCode = await composeFairtally().program.run(process.argv.slice(2));
