// The connection is lost in the middle of a stream, in every way: nothing is lost with it, and order stays.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ear, FireFlyIdempotencyError, client, hangUpAll, listen as listenAs } from '../lib/apps.js';
import { Ffd, until } from '../lib/ffd.js';
import { Proxy } from '../lib/proxy.js';

const MESSAGES = 50;
let ffd, firefly, proxy;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
  proxy = await new Proxy(ffd.port).start();
});
afterEach(hangUpAll);
after(async () => {
  await proxy.stop();
  await ffd.remove();
});

/** Listen through the proxy, and come back quickly. */
function listen(wanted, ear, websocket = {}) {
  const through = client(proxy.host, { websocket: { reconnectDelay: 20, heartbeatInterval: 10_000, ...websocket } });
  return listenAs(through, wanted, ear);
}

const subscribe = (name, options) =>
  firefly.replaceSubscription({
    name, filter: { events: 'message_confirmed', topic: `^${name}$` }, options: { firstEvent: 'oldest', ...options },
  });

/** Send so many messages, each until it is known to be accepted: a repeat is harmless by its key. */
async function send(topic, count) {
  for (let number = 0; number < count; number += 1) {
    const message = { header: { topics: [topic] }, data: [{ value: number }], idempotencyKey: `${topic}-${number}` };
    await until(`message ${number} is accepted`, async () => {
      try {
        return await firefly.sendBroadcast(message);
      } catch (error) {
        if (error instanceof FireFlyIdempotencyError) return true;
        await sleep(20);
        throw error;
      }
    });
  }
}

/** All events of the topic, as the node keeps them: what an app has to have heard, in this order. */
async function all(topic, count) {
  return until(`all ${count} are confirmed`, async () => {
    const found = await ffd.get(`events?type=message_confirmed&topic=${topic}&sort=sequence&limit=1000`);
    return found.length === count && found.map((event) => event.id);
  });
}

/** Every event came, each first in its order; what came twice came with the same id and the same bytes. */
function assertNothingLost(ear, expected) {
  assert.deepEqual(ear.events().map((event) => event.id), expected);
  const texts = new Map();
  for (const frame of ear.frames.filter((each) => each.type !== 'protocol_error'))
    for (const event of frame.events ?? [frame]) {
      const text = JSON.stringify(event);
      assert.equal(texts.get(event.id) ?? text, text, 'a repeat is the same to the last byte');
      texts.set(event.id, text);
    }
}

for (const [name, options] of Object.entries({
  one: {}, ahead: { readAhead: 20 }, batches: { batch: true, readAhead: 10, batchTimeout: '5ms' },
}))
  test(`a cut line loses nothing: ${name}`, async () => {
    await subscribe(name, options);
    let heard = 0;
    const ear = new Ear(async () => {
      heard += 1;
      if (heard % 6 === 0 && proxy.cuts < 8) proxy.cut();
    });
    proxy.cuts = 0;
    listen(name, ear);
    await send(name, MESSAGES);
    const expected = await all(name, MESSAGES);
    await ear.heard(MESSAGES);
    assert.ok(proxy.cuts >= 3, `${proxy.cuts} cuts`);
    assertNothingLost(ear, expected);
    await until('all are acknowledged', async () =>
      (await ffd.get(`subscriptions/${name}?fetchstatus`)).status.inFlight === 0);
  });

test('a line that is silent is noticed by its heartbeat, and another is opened', async () => {
  await subscribe('silent', {});
  const ear = new Ear();
  listen('silent', ear, { heartbeatInterval: 400 });
  await send('silent', 5);
  await ear.heard(5);
  proxy.silence();
  const before_ = Date.now();
  const more = firefly.sendBroadcast({ header: { topics: ['silent'] }, data: [{ value: 'more' }] });
  await ear.heard(6);
  assert.ok(Date.now() - before_ >= 200, 'not before a beat was missed');
  await more;
  assertNothingLost(ear, await all('silent', 6));
});

test('an ephemeral subscription is started again when the line comes back', async () => {
  const ear = new Ear();
  listen({ filter: { events: 'message_confirmed' } }, ear);
  const hearsNow = async () => {
    const message = { header: { topics: ['eph'] }, data: [{ value: 1 }] };
    const { header } = await firefly.sendBroadcast(message, { confirm: true });
    await sleep(20);
    return ear.events().some((event) => event.reference === header.id);
  };
  await until('it hears', hearsNow);
  proxy.cut();
  await until('it hears again', hearsNow);
});

test('a node that is killed and started again on its port loses nothing, and goes on', async () => {
  await subscribe('killed', { readAhead: 10 });
  const ear = new Ear();
  listen('killed', ear);
  const sending = send('killed', MESSAGES);
  for (const mark of [12, 30]) {
    await ear.heard(mark);
    await ffd.kill();
    await ffd.start();
  }
  await sending;
  const expected = await all('killed', MESSAGES);
  await ear.heard(MESSAGES);
  assertNothingLost(ear, expected);
  const repeats = ear.frames.filter((frame) => frame.id).length - MESSAGES;
  assert.ok(repeats <= 2 * 11, `${repeats} came again: at most what was in flight at each end`);
});
