import { openBus } from '../bus.js';
import { composeGateway } from '../gateway/compose.js';
import { runService } from '../service.js';
import { composeWorker } from '../worker/compose.js';

// Gateway and roles in one process, for the memory bus, which reaches no further.
await runService('gateway and worker', async (platform) => {
  const bus = await openBus(platform, 'publishes');
  await composeWorker(platform, bus);
  await composeGateway(platform, bus);
});
