// FireFly's own end-to-end tests of private messages, private blobs, requests and custom identities, retold under its
// numbers (reference 12.3): three organisations, of which the third is never a member and must never hear a word.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { client, sha256 } from '../lib/apps.js';
import { blobOf, check, heardBy, networkOf, received } from '../lib/e2e.js';
import { until } from '../lib/ffd.js';

const stage = networkOf(['org_1', 'org_2', 'org_3']);
const PAIR = { name: 'test_default', members: [{ identity: 'org_1' }, { identity: 'org_2' }] };

// The third has none of it: no message, no data, no group.
afterEach(async () => {
  const outsider = stage.nodes[2];
  assert.deepEqual(await outsider.get('messages?type=private'), []);
  assert.deepEqual(await outsider.get('messages?type=groupinit'), []);
  assert.deepEqual(await outsider.get('groups'), []);
  const here = await outsider.get('data?limit=1000');
  const said = await outsider.get('messages?limit=1000');
  const ofMessages = new Set(said.flatMap((message) => message.data.map(({ id }) => id)));
  assert.deepEqual(here.filter(({ id }) => !ofMessages.has(id)), []);
});

/** The two members. */
const members = () => ({ nodes: stage.nodes.slice(0, 2), ears: stage.ears.slice(0, 2) });

test('3: private messages of two topics reach both members in the order of sending', async () => {
  const { nodes, ears } = members();
  const sender = client(nodes[0].host);
  const sent = { A: [], B: [] };
  let group;
  for (let number = 0; number < 10; number += 1) {
    const topic = number % 2 ? 'B' : 'A';
    const message = {
      header: { topics: [topic] }, group: PAIR, data: [{ value: `Hello ${number}` }],
      idempotencyKey: `${stage.began}-${number}`,
    };
    sent[topic].push(`Hello ${number}`);
    const taken = await sender.sendPrivateMessage(message);
    group ??= taken.header.group;
    assert.equal(taken.header.group, group);
    assert.equal(taken.group, undefined);
    const again = await nodes[0].ask('POST', 'messages/private', message);
    assert.equal(again.status, 409);
    assert.match(again.body.error, /^FF10430: /);
  }
  for (const [n, node] of nodes.entries()) {
    await until('ten are heard', () => ears[n].of('message_confirmed').filter(isPrivate).length >= 10);
    for (const topic of ['A', 'B']) {
      const found = await received(node, topic, stage.began);
      assert.deepEqual(found.map(({ data }) => data[0].value), sent[topic]);
      for (const each of found) {
        check(each, { type: 'private', topics: [topic], group });
        assert.match(each.message.pins[0], /^[0-9a-f]{64}:\d{16}$/);
      }
    }
    const known = await client(node.host).getGroup(group);
    assert.equal(known.hash, group);
    assert.equal(known.name, PAIR.name);
    assert.deepEqual(known.members.map(({ identity }) => identity), ['did:firefly:org/org_1', 'did:firefly:org/org_2']);
  }
});

const isPrivate = (event) => event.message.header.type === 'private';

test('3: what both members send at the same time has one order on both, in the group and among all', async () => {
  const { nodes, ears } = members();
  await Promise.all(nodes.map(async (node, n) => {
    const sender = client(node.host);
    for (let number = 0; number < 10; number += 1) {
      const message = { header: { topics: ['C'] }, data: [{ value: `${n}-${number}` }] };
      await sender.sendPrivateMessage({ ...message, group: PAIR });
      await sender.sendBroadcast(message);
    }
  }));
  const orders = { private: [], broadcast: [] };
  for (const [n, node] of nodes.entries()) {
    const heard = () => ears[n].of('message_confirmed').filter(({ topic }) => topic === 'C');
    await until('forty are heard', () => heard().length >= 40);
    const found = await received(node, 'C', stage.began);
    for (const type of ['private', 'broadcast'])
      orders[type].push(found.filter((each) => each.message.header.type === type).map(({ data }) => data[0].value));
  }
  for (const [first, second] of Object.values(orders)) {
    assert.equal(first.length, 20);
    assert.deepEqual(first, second);
    for (const n of [0, 1]) {
      const own = first.filter((value) => value.startsWith(`${n}-`));
      assert.deepEqual(own, [...Array(10).keys()].map((i) => `${n}-${i}`));
    }
  }
});

test('2: a datatype holds for private messages too', async () => {
  const { nodes, ears } = members();
  const [first, second] = nodes.map((node) => client(node.host));
  const datatype = { name: 'gadget', version: '0.0.1' };
  const value = { id: 'widget12345', name: 'mywidget' };
  const send = (sender, item) => sender.sendPrivateMessage({ group: PAIR, data: [item] }, { confirm: true });
  await assert.rejects(send(first, { value, datatype }), { message: /^FF10195: / });
  const schema = {
    $id: 'https://example.com/gadget.schema.json', $schema: 'http://json-schema.org/draft-07/schema#', type: 'object',
    properties: { id: { type: 'string' }, name: { type: 'string' } }, additionalProperties: false,
  };
  await first.createDatatype({ ...datatype, value: schema }, { confirm: true });
  await until('the other knows it', () => ears[1].of('datatype_confirmed').length === 1);
  for (const [n, sender] of [first, second].entries()) {
    await assert.rejects(send(sender, { value: { foo: 'bar' }, datatype }), { message: /^FF10198: / });
    const message = await send(sender, { value, datatype });
    assert.equal(message.state, 'confirmed');
    await heardBy([ears[1 - n]], message.header.id);
    const [data] = await nodes[1 - n].get(`messages/${message.header.id}/data`);
    assert.deepEqual(data.datatype, datatype);
    assert.deepEqual(data.value, value);
  }
});

test('5: a private blob reaches the other member with its message, whole, and nobody else', async () => {
  const { nodes, ears } = members();
  const bytes = randomBytes(1_500_000);
  const sender = client(nodes[0].host);
  const data = await sender.uploadDataBlob(bytes, { filename: 'myfile.bin' });
  const message = await sender.sendPrivateMessage({
    header: { topics: ['blob'] }, group: PAIR, data: [{ id: data.id }],
  });
  await heardBy(ears, message.header.id);
  for (const node of nodes) {
    const [found] = await received(node, 'blob', stage.began);
    check(found, { type: 'private', topics: ['blob'], group: message.header.group });
    const [item] = found.data;
    assert.equal(item.value.filename, 'myfile.bin');
    assert.equal(item.blob.name, 'myfile.bin');
    assert.equal(item.blob.size, bytes.length);
    assert.equal(item.blob.hash, sha256(bytes));
    assert.equal(item.blob.public, undefined);
    assert.equal(sha256(await blobOf(node, item)), sha256(bytes));
  }
  assert.deepEqual(await stage.nodes[2].get('blobs'), []);
});

test('5: a private blob of a kind that nobody checks has no name, and is whole', async () => {
  const { nodes, ears } = members();
  const sender = client(nodes[0].host);
  const text = 'some binary data';
  const data = await sender.uploadDataBlob(text, { filename: 'unused' }, {
    autometa: 'false', validator: 'none', 'datatype.name': 'myblob',
  });
  const message = await sender.sendPrivateMessage({
    header: { topics: ['kind'] }, group: PAIR, data: [{ id: data.id }],
  });
  await heardBy(ears, message.header.id);
  for (const node of nodes) {
    const [found] = await received(node, 'kind', stage.began);
    check(found, { type: 'private', topics: ['kind'], group: message.header.group });
    const [item] = found.data;
    assert.equal(item.validator, 'none');
    assert.deepEqual(item.datatype, { name: 'myblob' });
    assert.equal(item.blob.name, '');
    assert.equal(item.blob.size, text.length);
    assert.equal(item.blob.hash, sha256(text));
    assert.equal((await blobOf(node, item)).toString(), text);
  }
});

/** An app that answers each private request of a tag once, in its group, as the request was sent. */
async function answerOnce(node, ear, tag, answerOf) {
  const isRequest = (event) => event.message.header.tag === tag && !event.message.header.cid;
  const [request] = await until('a request is heard', () => {
    const found = ear.of('message_confirmed').filter(isRequest);
    return found.length ? found : undefined;
  });
  const { id, group, txtype } = request.message.header;
  const [{ value }] = await node.get(`messages/${id}/data`);
  return client(node.host).sendPrivateMessage({
    header: { cid: id, group, txtype, tag: `${tag}-answer` }, data: [{ value: answerOf(value) }],
  });
}

for (const txtype of ['batch_pin', 'unpinned'])
  test(`7: a request is answered by the reply that carries its id, ${txtype}`, async () => {
    const { nodes, ears } = members();
    const tag = `ask-${txtype}`;
    const answered = answerOnce(nodes[1], ears[1], tag, (value) => ({ status: 200, body: `${value}!` }));
    const reply = await client(nodes[0].host).sendPrivateMessage(
      { header: { tag, txtype }, group: PAIR, data: [{ value: 'milk?' }] }, { requestReply: true },
    );
    const answer = await answered;
    assert.equal(reply.header.id, answer.header.id);
    assert.equal(reply.header.txtype, txtype);
    assert.equal(reply.header.tag, `${tag}-answer`);
    assert.deepEqual(reply.data[0].value, { status: 200, body: 'milk?!' });
    await heardBy(ears, reply.header.cid, reply.header.id);
    for (const ear of ears) {
      const event = ear.of('message_confirmed').find((each) => each.reference === reply.header.id);
      assert.equal(event.correlator, reply.header.cid);
    }
  });

test('7: a request needs a tag, no cid and somebody to ask', async () => {
  const sender = client(stage.nodes[0].host);
  const ask = (message) => sender.sendPrivateMessage({ data: [{ value: 1 }], ...message }, { requestReply: true });
  await assert.rejects(ask({ group: PAIR, header: {} }), { message: /^FF10261: / });
  const cid = '00000000-0000-4000-8000-000000000001';
  await assert.rejects(ask({ group: PAIR, header: { tag: 't', cid } }), { message: /^FF10262: / });
  await assert.rejects(ask({ header: { tag: 't' } }), { message: /^FF\d{5}: / });
});

test('7: messages without a pin come in the order sent through one node', async () => {
  const { nodes, ears } = members();
  const sender = client(nodes[0].host);
  const ids = [];
  for (let number = 0; number < 10; number += 1) {
    const message = { header: { topics: ['U'], txtype: 'unpinned' }, group: PAIR, data: [{ value: number }] };
    ids.push((await sender.sendPrivateMessage(message)).header.id);
  }
  await heardBy(ears, ...ids);
  for (const node of nodes) {
    const found = await received(node, 'U', stage.began);
    assert.deepEqual(found.map(({ message }) => message.header.id), ids);
    for (const each of found) {
      check(each, { type: 'private', txtype: 'unpinned', topics: ['U'], group: each.message.header.group });
      assert.equal(each.message.pins, undefined);
    }
  }
});

test('8: identities below an organisation speak in private, with their own keys', async () => {
  const { nodes, ears } = members();
  const sender = client(nodes[0].host);
  const org = await sender.getOrganization('org_1');
  const made = [];
  for (const name of ['private_1', 'private_2']) {
    const key = nodes[0].addKey(name);
    made.push({ key, ...(await sender.createIdentity({ name, key, parent: org.id }, { confirm: true })) });
  }
  for (const ear of ears) await until('both are known', () => ear.of('identity_confirmed').length >= 2);
  const [{ key, did }, other] = made;
  const own = await sender.sendPrivateMessage({
    header: { key, topics: ['own'] }, group: { members: [{ identity: did }, { identity: other.did }] },
    data: [{ value: 'among us' }],
  }, { confirm: true });
  assert.deepEqual([own.state, own.header.author, own.header.key], ['confirmed', did, key]);
  const message = await sender.sendPrivateMessage({
    header: { author: did, topics: ['own'] }, group: { members: [{ identity: did }, { identity: 'org_2' }] },
    data: [{ value: 'with others' }],
  });
  await heardBy(ears, message.header.id);
  const [found] = await received(nodes[1], 'own', stage.began);
  check(found, { type: 'private', author: did, key, topics: ['own'], group: message.header.group });
});
