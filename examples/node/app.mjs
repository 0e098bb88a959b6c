// A Node app with one feature behind a flag: titles by a model, or the first words. Nothing of Wavegate's is installed:
// OpenFeature's provider asks the controller by OFREP, and the outcomes are counted under the names that its gates read.
import { createServer } from 'node:http';

import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { Counter, register } from 'prom-client';

const FLAG = 'ai-titles';
const TEXT = 'The loop is closed. It took a while. Nobody was paged.';

const requests = new Counter({
  name: 'wavegate_requests_total',
  help: 'Requests that ended, by variant.',
  labelNames: ['flag', 'variant'],
});
const bad = new Counter({
  name: 'wavegate_bad_total',
  help: 'Bad outcomes among them.',
  labelNames: ['flag', 'variant', 'kind'],
});
// From the start, so that the first failure is an increase.
for (const variant of ['on', 'off']) {
  requests.inc({ flag: FLAG, variant }, 0);
  bad.inc({ flag: FLAG, variant, kind: 'error' }, 0);
}

const key = process.env.WAVEGATE_SDK_KEY;
await OpenFeature.setProviderAndWait(
  new OFREPProvider({
    baseUrl: process.env.WAVEGATE_URL,
    headers: key ? [['Authorization', `Bearer ${key}`]] : [],
  }),
);
const flags = OpenFeature.getClient();

// One request, one outcome. Who was answered by the default in the code, since nobody could be asked, counts for no variant.
async function title(user) {
  const { value, variant } = await flags.getBooleanDetails(FLAG, false, { targetingKey: user });
  try {
    return value ? entitled(TEXT) : TEXT.split('.')[0];
  } catch (failure) {
    if (variant) bad.inc({ flag: FLAG, variant, kind: 'error' });
    throw failure;
  } finally {
    if (variant) requests.inc({ flag: FLAG, variant });
  }
}

// Where a model would be asked.
function entitled(text) {
  return `In short: ${text.split('. ').length} things happened.`;
}

const server = createServer(async (request, response) => {
  const [, view, user] = request.url.split('/');
  try {
    if (view === 'title' && user) {
      response.end(await title(decodeURIComponent(user)));
    } else if (view === 'metrics') {
      response.setHeader('Content-Type', register.contentType).end(await register.metrics());
    } else {
      response.writeHead(404).end();
    }
  } catch (failure) {
    console.error(failure);
    response.writeHead(500).end();
  }
});
server.listen(Number(process.env.PORT ?? 5004), '127.0.0.1');

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, async () => {
    server.close();
    await OpenFeature.close();
    process.exit();
  });
}
