// `listen`: the SDK's WebSocket client with every kind of subscription, its acknowledgements, and what it is told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import WebSocket from 'ws';
import { Ear, client, hangUp, hangUpAll, listen as listenAs } from '../lib/apps.js';
import { Ffd, until } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
});
afterEach(hangUpAll);
after(() => ffd.remove());

const listen = (wanted, ear, from = firefly) => listenAs(from, wanted, ear);

const say = (topic, value) =>
  firefly.sendBroadcast({ header: { topics: [topic] }, data: [{ value }] }, { confirm: true });
const subscribe = (name, topic, options = {}) =>
  firefly.replaceSubscription({
    name, filter: { events: 'message_confirmed', topic: `^${topic}$` }, options: { firstEvent: 'oldest', ...options },
  });
const status = async (name) => (await ffd.get(`subscriptions/${name}?fetchstatus`)).status;
const references = (events) => events.map((event) => event.reference);

/** What the SDK does not do: a bare WebSocket. `say` sends a frame, `hear` gives the next one. */
async function bare(path = '/ws') {
  const socket = new WebSocket(ffd.host.replace('http', 'ws') + path);
  const frames = [], waiting = [];
  socket.on('message', (data) => (waiting.length ? waiting.shift()(JSON.parse(data)) : frames.push(JSON.parse(data))));
  await once(socket, 'open');
  return {
    socket,
    say: (frame) => socket.send(JSON.stringify(frame)),
    hear: () => (frames.length ? frames.shift() : new Promise((resolve) => waiting.push(resolve))),
    ended: new Promise((resolve) => socket.once('close', resolve)),
  };
}

test('a durable subscription hears every event once and in order, and each is acknowledged', async () => {
  const sent = [];
  for (let number = 0; number < 5; number += 1) sent.push(await say('a', number));
  const subscription = await subscribe('durable', 'a');
  const ear = new Ear();
  listen('durable', ear);
  const events = await ear.heard(5);
  assert.deepEqual(references(events), sent.map((message) => message.header.id));
  for (const [number, event] of events.entries()) {
    assert.equal(event.type, 'message_confirmed');
    assert.equal(event.topic, 'a');
    assert.equal(event.tx, sent[number].txid);
    assert.deepEqual(event.message.header, sent[number].header);
    assert.equal(event.message.state, 'confirmed');
    assert.deepEqual(event.subscription, { id: subscription.id, namespace: 'default', name: 'durable' });
  }
  await until('all are acknowledged', async () => (await status('durable')).currentOffset >= events[4].sequence);
  assert.equal(ear.frames.length, 5);
});

test('an event is acknowledged when the app has done it, not before', async () => {
  await subscribe('slow', 'slow');
  await say('slow', 1);
  await say('slow', 2);
  let done;
  const ear = new Ear(() => new Promise((resolve) => (done = resolve)));
  listen('slow', ear);
  await ear.heard(1);
  assert.equal((await status('slow')).inFlight, 1);
  assert.equal(ear.frames.length, 1, 'the second waits for the first');
  done();
  await ear.heard(2);
  done();
});

test('a subscription may be listened to before it exists', async () => {
  const ear = new Ear();
  listen('later', ear);
  await say('later', 1);
  await subscribe('later', 'later');
  await ear.heard(1);
});

test('several subscriptions share one connection', async () => {
  await Promise.all([subscribe('one', 'one'), subscribe('two', 'two', { readAhead: 5 })]);
  const ear = new Ear();
  listen(['one', 'two'], ear);
  const sent = { one: [], two: [] };
  for (let number = 0; number < 4; number += 1)
    for (const topic of ['one', 'two']) sent[topic].push((await say(topic, number)).header.id);
  await ear.heard(8);
  for (const name of ['one', 'two'])
    assert.deepEqual(references(ear.events().filter((event) => event.subscription.name === name)), sent[name]);
  const [connection] = (await (await fetch(`${ffd.host}/api/v1/websockets`)).json()).connections;
  assert.deepEqual(connection.subscriptions.map((each) => each.name).sort(), ['one', 'two']);
});

test('an ephemeral subscription hears what is new, of the kinds that it wants', async () => {
  await say('e', 'old');
  const ear = new Ear();
  listen({ filter: { events: 'message_confirmed|transaction_submitted' } }, ear);
  await until('it is started', async () => {
    await say('e', 'new');
    return ear.events('message_confirmed').length > 0;
  });
  const last = await say('e', 'last');
  await until('the last is heard', () => ear.events().some((event) => event.reference === last.header.id));
  assert.deepEqual([...new Set(ear.events().map((event) => event.type))].sort(), [
    'message_confirmed', 'transaction_submitted',
  ]);
  for (const event of ear.events('transaction_submitted')) assert.equal(event.transaction.type, 'batch_pin');
  const sequences = ear.events().map((event) => event.sequence);
  assert.deepEqual(sequences, [...sequences].sort((a, b) => a - b));
});

test('batches come as one frame, and one acknowledgement is for all of it', async () => {
  const sent = [];
  for (let number = 0; number < 12; number += 1) sent.push((await say('b', number)).header.id);
  const subscription = await subscribe('batched', 'b', { batch: true, readAhead: 5, batchTimeout: '20ms' });
  const ear = new Ear();
  listen('batched', ear);
  await ear.heard(12);
  assert.deepEqual(references(ear.events()), sent);
  assert.deepEqual(ear.frames.map((frame) => [frame.type, frame.events.length]), [
    ['event_batch', 5], ['event_batch', 5], ['event_batch', 2],
  ]);
  assert.equal(new Set(ear.frames.map((frame) => frame.id)).size, 3);
  for (const frame of ear.frames) assert.equal(frame.subscription.id, subscription.id);
  const last = ear.events().at(-1).sequence;
  await until('all are acknowledged', async () => (await status('batched')).currentOffset >= last);
});

test('a bad filter of an ephemeral subscription is told to the app, and the connection stays', async () => {
  const ear = new Ear();
  const listener = listen({ filter: { events: '(' } }, ear);
  await until('the error is told', () => ear.errors().length > 0);
  assert.match(ear.errors()[0], /^FF10171: /);
  assert.equal(listener.socket.readyState, WebSocket.OPEN);
});

test('an unknown namespace is told to the app', async () => {
  const ear = new Ear();
  listen('any', ear, client(ffd.host, { namespace: 'nowhere', websocket: { reconnectDelay: -1 } }));
  await until('the error is told', () => ear.errors().length > 0);
  assert.match(ear.errors()[0], /^FF10176: .*FF10187: /);
});

test('over the Unix socket all is the same', async () => {
  const path = `${ffd.folder}/s`;
  const local = client('http://localhost', {
    requestConfig: { socketPath: path }, websocket: { host: `ws+unix:${path}:` },
  });
  await subscribe('local', 'local');
  const ear = new Ear();
  listen('local', ear, local);
  const message = await local.sendBroadcast({ header: { topics: ['local'] }, data: [{ value: 1 }] }, { confirm: true });
  const [event] = await ear.heard(1);
  assert.equal(event.reference, message.header.id);
});

test('of two that listen to one subscription, one is served and the other takes over', async () => {
  await subscribe('shared', 'shared');
  const ears = [new Ear(), new Ear()];
  const first = listen('shared', ears[0]);
  await say('shared', 1);
  await ears[0].heard(1);
  listen('shared', ears[1]);
  await say('shared', 2);
  await ears[0].heard(2);
  assert.equal(ears[1].frames.length, 0);
  hangUp(first);
  const third = await say('shared', 3);
  await until('the other hears it', () => references(ears[1].events()).includes(third.header.id));
});

test('a change of a subscription that is listened to counts at once, and nothing is lost', async () => {
  await subscribe('changed', 'c1');
  const ear = new Ear();
  listen('changed', ear);
  const before = await say('c1', 1);
  await ear.heard(1);
  await subscribe('changed', 'c[12]');
  const after_ = await say('c2', 2);
  await until('it is heard', () => ear.events().length >= 2);
  assert.deepEqual(references(ear.events()), [before.header.id, after_.header.id]);
  assert.deepEqual(ear.errors(), []);
});

test('a subscription deleted while it is heard falls silent, and a new one of its name begins anew', async () => {
  const old = await subscribe('fleeting', 'f', { readAhead: 5 });
  const ear = new Ear();
  const listener = listen('fleeting', ear);
  const sent = [];
  for (let number = 0; number < 3; number += 1) sent.push((await say('f', number)).header.id);
  await ear.heard(3);
  await firefly.deleteSubscription(old.id);
  sent.push((await say('f', 3)).header.id);
  const again = await subscribe('fleeting', 'f', { readAhead: 5 });
  const told = () => ear.frames.filter((each) => each.subscription.id === again.id);
  await until('the new one has told all', () => told().length >= 4);
  assert.deepEqual(references(told()), sent);
  assert.deepEqual(ear.errors(), []);
  assert.equal(listener.socket.readyState, WebSocket.OPEN);
});

test('who acknowledges in spite of autoack is told so and cut off', async () => {
  await subscribe('auto', 'auto');
  await say('auto', 1);
  const app = await bare();
  app.say({ type: 'start', autoack: true, namespace: 'default', name: 'auto' });
  const event = await app.hear();
  app.say({ type: 'ack', id: event.id, subscription: event.subscription });
  const error = await app.hear();
  assert.equal(error.type, 'protocol_error');
  assert.match(error.error, /^FF10176: .*FF10180: /);
  await app.ended;
});

test('with autoack and no acknowledgements all is heard', async () => {
  await subscribe('noack', 'noack');
  for (let number = 0; number < 3; number += 1) await say('noack', number);
  const app = await bare('/ws?namespace=default&name=noack&autoack');
  const events = [await app.hear(), await app.hear(), await app.hear()];
  await until('all count as done', async () => (await status('noack')).currentOffset >= events[2].sequence);
  app.socket.close();
});

test('the URL of FireFly\'s own end-to-end tests works as it stands', async () => {
  const kinds = 'message_confirmed|message_rejected|blockchain_event_received';
  const app = await bare(`/ws?namespace=default&ephemeral&autoack&filter.events=${kinds}&changeevents=.*`);
  const sent = say('url', 1);
  const seen = [await app.hear(), await app.hear()];
  assert.deepEqual(seen.map((event) => event.type), ['blockchain_event_received', 'message_confirmed']);
  assert.equal(seen[1].reference, (await sent).header.id);
  app.socket.close();
});

test('acknowledgements by id alone, by name, and by nothing are all understood', async () => {
  await subscribe('forms', 'forms', { readAhead: 3 });
  for (let number = 0; number < 4; number += 1) await say('forms', number);
  const app = await bare();
  app.say({ type: 'start', namespace: 'default', name: 'forms' });
  const events = [await app.hear(), await app.hear(), await app.hear(), await app.hear()];
  app.say({ type: 'ack', id: events[1].id });
  app.say({ type: 'ack', id: events[2].id, subscription: { namespace: 'default', name: 'forms' } });
  app.say({ type: 'ack' });
  app.say({ type: 'ack', id: events[3].id, subscription: { id: events[3].subscription.id } });
  await until('all count as done', async () => (await status('forms')).currentOffset >= events[3].sequence);
  app.say({ type: 'ack' });
  assert.match((await app.hear()).error, /FF10175: /);
  await app.ended;
});

test('a heartbeat that is answered keeps the connection', async () => {
  // The SDK also gives a handshake no longer than one beat.
  const quick = client(ffd.host, { websocket: { heartbeatInterval: 300, reconnectDelay: 10 } });
  await subscribe('beat', 'beat');
  const ear = new Ear();
  const { socket } = listen('beat', ear, quick);
  let pongs = 0;
  socket.on('pong', () => (pongs += 1));
  await until('four beats were answered', () => pongs >= 4);
  assert.equal(socket.readyState, WebSocket.OPEN);
  await say('beat', 1);
  await ear.heard(1);
});
