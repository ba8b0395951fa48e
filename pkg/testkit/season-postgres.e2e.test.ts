import { seasonOnBus } from './season-on-bus.js';

seasonOnBus('postgres', () => Promise.resolve(null));
