import { ROLES } from '../kernel/roles.js';
import { seasonOnBus } from './season-on-bus.js';
import { ServicebusDouble } from './servicebus/double.js';

seasonOnBus('servicebus', async () => {
  const double = await ServicebusDouble.start();
  double.addTopic('season-events', ROLES);
  return {
    env: {
      BUS: 'servicebus',
      BUS_NAME: 'season-events',
      SERVICEBUS_CONNECTION_STRING: `Endpoint=sb://127.0.0.1:${String(double.port)};SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;`,
    },
    close: () => double.close(),
  };
});
