#!/usr/bin/env node
import { runService } from '../service.js';
import { composeAdmin } from './compose.js';

await runService('admin', composeAdmin);
