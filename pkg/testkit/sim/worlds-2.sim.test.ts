import { testWorlds } from './worlds.js';

testWorlds(168, 334);
