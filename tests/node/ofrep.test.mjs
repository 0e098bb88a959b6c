// OpenFeature's providers for OFREP, as npm has them, against a data plane of ours. run.py starts that, and says where.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { spawn } from 'node:child_process';

import { EventSource } from 'eventsource';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature as Server } from '@openfeature/server-sdk';
import { OpenFeature as Web, ProviderEvents } from '@openfeature/web-sdk';

globalThis.EventSource = EventSource;

const [python, script] = [process.env.WAVEGATE_PYTHON, process.env.WAVEGATE_SERVER];
const CONTEXT = { targetingKey: 'user-1', plan: 'team' };
let plane, url, key;

// Each line that the server reads publishes a further revision, in which `search` is the other way round.
const publish = () => plane.stdin.write('\n');
const headers = () => [['Authorization', `Bearer ${key}`]];

before(async () => {
  plane = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(plane.stdout), 'line');
  ({ url, key } = JSON.parse(line));
});

after(async () => {
  plane.stdin.end();
  await once(plane, 'exit');
});

describe('the server provider', () => {
  let client;

  before(async () => {
    await Server.setProviderAndWait(new OFREPProvider({ baseUrl: url, headers: headers() }));
    client = Server.getClient();
  });

  after(() => Server.close());

  test('gets values of every type', async () => {
    assert.equal(await client.getBooleanValue('targeted', false, CONTEXT), true);
    assert.equal(await client.getStringValue('tone', '', CONTEXT), 'plain');
    assert.equal(await client.getNumberValue('temperature', 0, CONTEXT), 2);
    assert.deepEqual(await client.getObjectValue('model', {}, CONTEXT), { model: 'large', temperature: 0.7 });
  });

  test('gets details', async () => {
    const details = await client.getBooleanDetails('targeted', false, CONTEXT);
    assert.deepEqual([details.variant, details.reason], ['on', 'TARGETING_MATCH']);
  });

  test('gets the value of a flag that is switched off', async () => {
    const details = await client.getBooleanDetails('stopped', true, CONTEXT);
    assert.deepEqual([details.value, details.variant, details.reason], [false, 'off', 'DISABLED']);
  });

  test('finds keys with odd characters', async () => {
    assert.equal((await client.getBooleanDetails('a/b ü%', true, CONTEXT)).variant, 'off');
  });

  test('is told what was wrong', async () => {
    assert.equal((await client.getBooleanDetails('nobody-has-it', true, CONTEXT)).errorCode, 'FLAG_NOT_FOUND');
    assert.equal((await client.getBooleanDetails('split', true, {})).errorCode, 'TARGETING_KEY_MISSING');
    assert.equal((await client.getStringDetails('targeted', '', CONTEXT)).errorCode, 'TYPE_MISMATCH');
  });
});

test('the server provider is refused without a key', async () => {
  await Server.setProviderAndWait('keyless', new OFREPProvider({ baseUrl: url }));
  const details = await Server.getClient('keyless').getBooleanDetails('targeted', false, CONTEXT);
  assert.deepEqual([details.value, details.reason], [false, 'ERROR']);
});

describe('the web provider', () => {
  let client;

  before(async () => {
    const provider = new OFREPWebProvider({ baseUrl: url, headers: headers(), cacheMode: 'disabled' });
    await Web.setContext(CONTEXT);
    await Web.setProviderAndWait(provider);
    client = Web.getClient();
  });

  after(() => Web.close());

  test('gets all flags at once', () => {
    assert.equal(client.getBooleanValue('targeted', false), true);
    assert.equal(client.getStringValue('tone', ''), 'plain');
    assert.equal(client.getBooleanDetails('stopped', true).reason, 'DISABLED');
    assert.equal(client.getBooleanDetails('nobody-has-it', true).errorCode, 'FLAG_NOT_FOUND');
  });

  test('asks anew for another context', async () => {
    await Web.setContext({ targetingKey: 'user-1', plan: 'solo' });
    assert.equal(client.getBooleanValue('targeted', true), false);
    await Web.setContext(CONTEXT);
    assert.equal(client.getBooleanValue('targeted', false), true);
  });

  test('hears of a change by the event stream, without polling', async () => {
    for (const wanted of [true, false]) {
      const heard = new Promise((resolve) => {
        const look = () => client.getBooleanValue('search', !wanted) === wanted && resolve();
        client.addHandler(ProviderEvents.ConfigurationChanged, look);
      });
      publish();
      await heard;
      assert.equal(client.getBooleanValue('search', !wanted), wanted);
    }
  });
});

test('the web provider cannot start without a key', async () => {
  const provider = new OFREPWebProvider({ baseUrl: url, cacheMode: 'disabled' });
  await assert.rejects(Web.setProviderAndWait('keyless', provider));
});
