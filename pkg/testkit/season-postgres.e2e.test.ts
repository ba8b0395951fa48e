import { seasonOnBus } from './season-on-bus.js';

seasonOnBus('postgres', async () => ({ env: { BUS: 'postgres' }, close: async () => undefined }));
