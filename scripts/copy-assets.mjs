// tsc copies only what it compiles; the running code also reads SQL, Lua and the API document from beside it.
import { cpSync, globSync, mkdirSync } from 'node:fs';
