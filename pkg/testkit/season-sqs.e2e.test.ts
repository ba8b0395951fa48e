import { createSqsOperator } from '../bus/sqs-operator.js';
import { seasonOnBus } from './season-on-bus.js';
import { startSqsEndpoint } from './sqs-endpoint.js';

seasonOnBus('sqs', async () => {
  const endpoint = await startSqsEndpoint();
  const name = 'season-events';
  const operator = createSqsOperator({ sqs: endpoint.client, name, maxAttempts: 5 });
  await operator.create();
  await operator.close();
  const { region, credentials } = endpoint.client;
  return {
    env: {
      BUS: 'sqs',
      BUS_NAME: name,
      SQS_ENDPOINT: endpoint.url,
      AWS_REGION: region ?? '',
      AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
      AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
    },
    forgetReaders: () => endpoint.expire(),
    close: () => endpoint.close(),
  };
});
