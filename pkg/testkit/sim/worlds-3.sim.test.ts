import { testWorlds } from './worlds.js';

testWorlds(335, 500);
