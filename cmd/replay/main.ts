#!/usr/bin/env node
import { createCommandLine } from '../command-line.js';
import { describeReplay } from './compose.js';

const line = createCommandLine('fairtally-replay', '');
describeReplay(line.program.root, line);
process.exitCode = await line.program.run(process.argv.slice(2));
