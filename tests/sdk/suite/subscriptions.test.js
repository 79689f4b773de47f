// Durable subscriptions as the SDK keeps them: made and changed by PUT, found, deleted.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { client } from '../lib/apps.js';
import { Ffd } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
});
after(() => ffd.remove());

const wanted = {
  name: 'app1',
  filter: { events: 'message_confirmed', topic: '^orders$', message: { tag: 'new' } },
  options: { firstEvent: 'oldest', readAhead: 10 },
};

test('replaceSubscription makes one, and changes it without moving it', async () => {
  const made = await firefly.replaceSubscription(wanted);
  assert.equal(made.namespace, 'default');
  assert.equal(made.transport, 'websockets');
  assert.equal(made.options.firstEvent, '-1');
  assert.equal(made.updated, null);
  assert.deepEqual(made.filter, {
    events: 'message_confirmed', message: { tag: 'new' }, transaction: {}, blockchainevent: {}, topic: '^orders$',
  });
  assert.deepEqual(await firefly.replaceSubscription(wanted), made, 'the same again changes nothing');
  const changed = await firefly.replaceSubscription({ ...wanted, filter: {}, options: { firstEvent: 'newest' } });
  assert.equal(changed.id, made.id);
  assert.equal(changed.created, made.created);
  assert.ok(changed.updated);
  assert.equal(changed.options.firstEvent, '-1');
  assert.deepEqual(changed.filter, { message: {}, transaction: {}, blockchainevent: {} });
});

test('subscriptions are found, all and one, with how far they have come', async () => {
  const [one] = await firefly.getSubscriptions({ name: 'app1' });
  assert.equal(one.name, 'app1');
  assert.deepEqual(await firefly.getSubscriptions({ name: 'app2' }), []);
  const withStatus = await ffd.get(`subscriptions/${one.id}?fetchstatus`);
  assert.equal(withStatus.status.currentOffset, -1);
});

test('what makes no subscription is refused with the code of FireFly', async () => {
  for (const [body, code] of [
    [{ ...wanted, name: 'no name' }, 'FF00140'],
    [{ ...wanted, name: '0f8fad5b-d9cb-469f-a165-70867728950e' }, 'FF00141'],
    [{ ...wanted, filter: { events: '(' } }, 'FF10171'],
    [{ ...wanted, name: 'a', options: { firstEvent: 'soon' } }, 'FF10191'],
    [{ ...wanted, name: 'a', options: { firstEvent: '-2' } }, 'FF10192'],
    [{ ...wanted, name: 'a', options: { batchTimeout: 'soon' } }, 'FF00137'],
    [{ ...wanted, name: 'a', transport: 'webhooks' }, 'FF10242'],
    [{ ...wanted, name: 'a', transport: 'pigeons' }, 'FF10172'],
    [{ ...wanted, name: 'a', transport: 'system' }, 'FF10266'],
  ])
    await assert.rejects(firefly.replaceSubscription(body), { message: new RegExp(`^${code}: `) });
});

test('deleteSubscription takes it away', async () => {
  const [one] = await firefly.getSubscriptions({ name: 'app1' });
  await firefly.deleteSubscription(one.id);
  assert.deepEqual(await firefly.getSubscriptions(), []);
  await assert.rejects(firefly.deleteSubscription(one.id), { message: /^FF10109: / });
});
