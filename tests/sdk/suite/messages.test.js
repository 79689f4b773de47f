// Sending and finding messages: broadcasts with and without waiting, keys that make a repeat harmless, every filter.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FireFlyError, FireFlyIdempotencyError, client, dataHash, sha256 } from '../lib/apps.js';
import { Ffd, until } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
});
after(() => ffd.remove());

const NOBODY = '00000000-0000-4000-8000-000000000000';

test('sendBroadcast accepts a message, which is confirmed soon', async () => {
  const sent = await firefly.sendBroadcast({
    header: { topics: ['news'], tag: 'greeting' },
    data: [{ value: 'This is a message' }, { value: { second: 1 } }],
  });
  assert.equal(sent.state, 'ready');
  assert.equal(sent.header.type, 'broadcast');
  assert.equal(sent.header.txtype, 'batch_pin');
  assert.equal(sent.header.author, 'did:firefly:org/org0');
  assert.equal(sent.localNamespace, 'default');
  assert.equal(sent.data[0].hash, dataHash({ value: 'This is a message' }));
  assert.equal(sent.data[1].hash, dataHash({ value: { second: 1 } }));
  assert.equal(sent.header.datahash, sha256(JSON.stringify(sent.data)));
  assert.equal(sent.hash, sha256(JSON.stringify(sent.header)), 'the header travels as it was hashed');
  const found = await until('it is confirmed', async () => {
    const message = await firefly.getMessage(sent.header.id);
    return message.state === 'confirmed' && message;
  });
  assert.deepEqual(found.header, sent.header);
  assert.ok(found.confirmed && found.batch && found.txid);
});

test('with confirm it answers when the message is confirmed', async () => {
  const message = await firefly.sendBroadcast({ data: [{ value: 1 }] }, { confirm: true });
  assert.equal(message.state, 'confirmed');
  assert.deepEqual(message.header.topics, ['default']);
});

test('a value comes back digit for digit', async () => {
  // JavaScript would lose them, so they are sent and read as text.
  const text = '{"z":1.50,"a":12345678901234567890.10,"html":"\\u003cb\\u003e","e":"é"}';
  const answer = await fetch(`${ffd.host}/api/v1/messages/broadcast?confirm=true`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: `{"data":[{"value":${text}}]}`,
  });
  const message = await answer.json();
  assert.equal(message.data[0].hash, dataHash({ text }));
  const value = await fetch(`${ffd.host}/api/v1/data/${message.data[0].id}/value`);
  assert.equal((await value.text()).trim(), text);
});

test('the same idempotency key again is an error of its own, which names the first message', async () => {
  const message = { data: [{ value: 'pay' }], idempotencyKey: 'invoice-7' };
  const first = await firefly.sendBroadcast(message);
  assert.equal(first.idempotencyKey, 'invoice-7');
  await assert.rejects(firefly.sendBroadcast(message, { confirm: true }), (error) => {
    assert.ok(error instanceof FireFlyIdempotencyError);
    assert.ok(error.message.includes(first.header.id), error.message);
    assert.equal(error.originalError.response.status, 409);
    return true;
  });
  assert.equal((await firefly.getMessages({ idempotencykey: 'invoice-7' })).length, 1);
});

test('what cannot be sent is refused with the code of FireFly', async () => {
  const refused = [
    [{ header: { topics: ['a', 'a'] }, data: [{ value: 1 }] }, 'FF00133'],
    [{ header: { topics: ['spaces are no name'] }, data: [{ value: 1 }] }, 'FF00140'],
    [{ header: { tag: '!' }, data: [{ value: 1 }] }, 'FF00140'],
    [{ header: { author: 'did:firefly:org/nobody' }, data: [{ value: 1 }] }, 'FF10206'],
    [{ data: [{}] }, 'FF10205'],
    [{ data: [{ id: NOBODY }] }, 'FF10204'],
    [{ data: [{ value: 'x'.repeat(900_000) }] }, 'FF10327'],
    [{ data: [{ datatype: { name: 'none', version: '1' }, value: 1 }] }, 'FF10195'],
  ];
  for (const [message, code] of refused)
    await assert.rejects(firefly.sendBroadcast(message), (error) => {
      assert.ok(error instanceof FireFlyError && !(error instanceof FireFlyIdempotencyError));
      assert.match(error.message, new RegExp(`^${code}: `));
      assert.equal(error.originalError.response.status, 400);
      return true;
    });
});

test('a private message is sent to its group, or says what it lacks', async () => {
  const message = { header: { tag: 'whisper' }, group: { members: [{ identity: 'org0' }] }, data: [{ value: 1 }] };
  const sent = await firefly.sendPrivateMessage(message, { confirm: true });
  assert.deepEqual([sent.header.type, sent.state], ['private', 'confirmed']);
  const group = await firefly.getGroup(sent.header.group);
  assert.deepEqual(group.members.map(({ identity }) => identity), ['did:firefly:org/org0']);
  await assert.rejects(firefly.sendPrivateMessage({ ...message, group: { members: [] } }), { message: /^FF\d{5}: / });
  await assert.rejects(firefly.sendPrivateMessage({ ...message, header: {} }, { requestReply: true }), {
    message: /^FF10261: /,
  });
});

test('getGroup does not find what is not there', async () => {
  assert.equal(await firefly.getGroup('00'.repeat(32)), undefined);
});

test('getMessage does not find what is not there, and refuses what is no id', async () => {
  assert.equal(await firefly.getMessage(NOBODY), undefined);
  await assert.rejects(firefly.getMessage('nonsense'), { message: /^FF00138: / });
});

test('data that is there already is sent by its id', async () => {
  const data = await firefly.uploadData({ value: { kept: true } });
  const message = await firefly.sendBroadcast({ data: [{ id: data.id }] }, { confirm: true });
  assert.deepEqual(message.data, [{ id: data.id, hash: data.hash }]);
  assert.deepEqual((await ffd.get(`messages/${message.header.id}/data`))[0].value, { kept: true });
});

// Every operator of the reference (10.3), over messages that differ in tag, topics and order.

const TAGS = ['apple', 'Apricot', 'banana', undefined];
let order;

test('messages to be found', async () => {
  order = [];
  for (const [number, tag] of TAGS.entries()) {
    const header = { topics: ['fruit', `n${number}`], ...(tag ? { tag } : {}) };
    order.push(await firefly.sendBroadcast({ header, data: [{ value: number }] }, { confirm: true }));
  }
});

const tags = async (filter) => {
  const found = await firefly.getMessages({ topics: '^fruit', sort: 'sequence', ...filter });
  return found.map((message) => message.header.tag);
};

const FILTERS = {
  'apple': ['apple'],
  '=apple': ['apple'],
  '!apple': ['Apricot', 'banana', undefined],
  ':APPLE': ['apple'],
  '!:APPLE': ['Apricot', 'banana', undefined],
  '^ap': ['apple'],
  ':^ap': ['apple', 'Apricot'],
  '!^ap': ['Apricot', 'banana', undefined],
  '@an': ['banana'],
  ':@AN': ['banana'],
  '!@an': ['apple', 'Apricot', undefined],
  '$e': ['apple'],
  '!$e': ['Apricot', 'banana', undefined],
  '>apple': ['banana'],
  '>=apple': ['apple', 'banana'],
  '<apple': ['Apricot', undefined],
  '<=apple': ['apple', 'Apricot', undefined],
};

for (const [filter, expected] of Object.entries(FILTERS))
  test(`messages whose tag is ${filter}`, async () => {
    // A message without a tag has an empty one, or none: it is looked for apart.
    const found = await tags({ tag: filter });
    assert.deepEqual(found.filter(Boolean), expected.filter(Boolean));
  });

test('several values of one field are alternatives, or must all hold', async () => {
  const many = (query) => ffd.get(`messages?topics=^fruit&sort=sequence&${query}`);
  const named = (found) => found.map((message) => message.header.tag);
  assert.deepEqual(named(await many('tag=apple&tag=banana')), ['apple', 'banana']);
  assert.deepEqual(named(await many('tag=[@a&tag=@e')), ['apple']);
  assert.deepEqual(named(await many('tag=]apple&tag=banana')), ['apple', 'banana']);
});

test('fields are found by id, type, hash, time and number', async () => {
  const [first, second, third] = order;
  const ids = async (filter) => (await firefly.getMessages({ sort: 'sequence', ...filter })).map((m) => m.header.id);
  assert.deepEqual(await ids({ id: first.header.id }), [first.header.id]);
  assert.deepEqual(await ids({ hash: first.hash }), [first.header.id]);
  assert.deepEqual(await ids({ datahash: second.header.datahash }), [second.header.id]);
  assert.deepEqual(await ids({ batch: third.batch }), [third.header.id]);
  assert.deepEqual(await ids({ txid: third.txid }), [third.header.id]);
  assert.deepEqual(await ids({ created: first.header.created }), [first.header.id]);
  assert.deepEqual(await ids({ created: `>${second.header.created}`, topics: '^fruit' }),
    order.slice(2).map((m) => m.header.id));
  assert.equal((await ids({ type: 'broadcast', topics: '^fruit' })).length, 4);
  assert.deepEqual(await ids({ type: 'private', topics: '^fruit' }), []);
  assert.deepEqual(await ids({ author: 'did:firefly:org/nobody' }), []);
  assert.equal((await ids({ state: 'confirmed', topics: '@n2' })).length, 1);
});

test('limit, skip, sort and count page through what is found', async () => {
  assert.deepEqual(await tags({ limit: 2 }), ['apple', 'Apricot']);
  assert.deepEqual(await tags({ limit: 2, skip: 1 }), ['Apricot', 'banana']);
  assert.deepEqual(await tags({ sort: '-sequence', limit: 2 }), [undefined, 'banana']);
  const counted = await firefly.getMessages({ topics: '^fruit', limit: 1, count: true });
  assert.equal(counted.count, 1);
  assert.equal(counted.total, 4);
  assert.equal(counted.items.length, 1);
});

test('with fetchdata the values come with the messages', async () => {
  const [message] = await firefly.getMessages({ id: order[0].header.id, fetchdata: true });
  assert.equal(message.data[0].value, 0);
  assert.equal(message.data[0].validator, 'json');
});

test('a filter that makes no sense is refused', async () => {
  for (const [filter, code] of [
    [{ tag: '!>x' }, 'FF00193'], [{ sequence: '@1' }, 'FF00145'], [{ created: 'soon' }, 'FF00143'],
    [{ limit: 1001 }, 'FF00192'], [{ skip: 1001 }, 'FF00191'],
  ])
    await assert.rejects(firefly.getMessages(filter), { message: new RegExp(`^${code}: `) });
});

test('getBatches finds the batches that messages travelled in', async () => {
  const [batch] = await firefly.getBatches({ id: order[0].batch });
  assert.equal(batch.type, 'broadcast');
  assert.equal(batch.author, 'did:firefly:org/org0');
  assert.equal(batch.hash, sha256(JSON.stringify(batch.manifest)));
  assert.ok(batch.manifest.messages.some((each) => each.hash === order[0].hash));
});
