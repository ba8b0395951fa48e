import { testWorlds } from './worlds.js';

testWorlds(1, 167);
