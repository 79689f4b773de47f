// FireFly's own end-to-end tests of broadcasts, blobs, datatypes and identities, retold under its numbers (reference
// 12.3): two nodes on one network, and a client that believes no hash that it has not computed itself.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { client, sha256 } from '../lib/apps.js';
import { blobOf, check, confirmed, networkOf, received } from '../lib/e2e.js';
import { until } from '../lib/ffd.js';

const stage = networkOf(['org_1', 'org_2']);

test('1: broadcasts of two topics reach both nodes in the order of sending', async () => {
  const { nodes, ears, began } = stage;
  const sender = client(nodes[0].host);
  const sent = { A: [], B: [] };
  for (let number = 0; number < 10; number += 1) {
    const topic = number % 2 ? 'B' : 'A';
    const message = {
      header: { topics: [topic] }, data: [{ value: `Hello ${number}` }], idempotencyKey: `${began}-${number}`,
    };
    sent[topic].push(`Hello ${number}`);
    await sender.sendBroadcast(message);
    const again = await nodes[0].ask('POST', 'messages/broadcast', message);
    assert.equal(again.status, 409);
    assert.match(again.body.error, /^FF10430: /);
  }
  for (const [n, node] of nodes.entries()) {
    await until('ten are heard', () => ears[n].of('message_confirmed').length >= 10);
    for (const topic of ['A', 'B']) {
      const found = await received(node, topic, began);
      assert.deepEqual(found.map(({ data }) => data[0].value), sent[topic]);
      for (const each of found) check(each, { topics: [topic] });
      assert.deepEqual(
        ears[n].of('message_confirmed').filter((event) => event.topic === topic).map((event) => event.reference),
        found.map(({ message }) => message.header.id),
      );
    }
  }
});

test('1: messages that both nodes send at the same time have one order on both', async () => {
  const { nodes, ears, began } = stage;
  await Promise.all(nodes.map(async (node, n) => {
    for (let number = 0; number < 10; number += 1)
      await client(node.host).sendBroadcast({ header: { topics: ['C'] }, data: [{ value: `${n}-${number}` }] });
  }));
  const values = [];
  for (const [n, node] of nodes.entries()) {
    await until('twenty are heard', () => ears[n].of('message_confirmed').length >= 20);
    values.push((await received(node, 'C', began)).map(({ data }) => data[0].value));
  }
  assert.equal(values[0].length, 20);
  assert.deepEqual(values[0], values[1]);
  for (const n of [0, 1])
    assert.deepEqual(
      values[0].filter((value) => value.startsWith(`${n}-`)), [...Array(10).keys()].map((i) => `${n}-${i}`),
    );
});

test('2: a datatype is known on both nodes, and what does not fit it is refused', async () => {
  const { nodes, ears } = stage;
  const [first, second] = nodes.map((node) => client(node.host));
  const datatype = { name: 'widget', version: '0.0.1' };
  const value = { id: 'widget12345', name: 'mywidget' };
  await assert.rejects(first.sendBroadcast({ data: [{ value, datatype }] }), { message: /^FF10195: / });
  const schema = {
    $id: 'https://example.com/widget.schema.json', $schema: 'http://json-schema.org/draft-07/schema#', type: 'object',
    properties: { id: { type: 'string' }, name: { type: 'string' } }, additionalProperties: false,
  };
  await first.createDatatype({ ...datatype, value: schema }, { confirm: true });
  await until('the other knows it', () => ears[1].of('datatype_confirmed').length === 1);
  for (const [n, sender] of [first, second].entries()) {
    await assert.rejects(sender.sendBroadcast({ data: [{ value: { foo: 'bar' }, datatype }] }), {
      message: /^FF10198: /,
    });
    const message = await sender.sendBroadcast({ data: [{ value, datatype }] }, { confirm: true });
    const other = 1 - n;
    await until('the other hears it', () => confirmed(ears[other], [message.header.id]).length === 1);
    const [data] = await nodes[other].get(`messages/${message.header.id}/data`);
    assert.deepEqual(data.datatype, datatype);
    assert.deepEqual(data.value, value);
  }
});

test('4: a blob reaches both nodes with its message, whole', async () => {
  const { nodes, ears, began } = stage;
  const bytes = randomBytes(1_500_000);
  const sender = client(nodes[0].host);
  const data = await sender.uploadDataBlob(bytes, { filename: 'myfile.bin' });
  const message = await sender.sendBroadcast({ header: { topics: ['blob'] }, data: [{ id: data.id }] });
  for (const [n, node] of nodes.entries()) {
    await until('it is heard', () => confirmed(ears[n], [message.header.id]).length === 1);
    const [found] = await received(node, 'blob', began);
    check(found, { topics: ['blob'] });
    const [item] = found.data;
    assert.equal(item.value.filename, 'myfile.bin');
    assert.equal(item.blob.name, 'myfile.bin');
    assert.equal(item.blob.size, bytes.length);
    assert.equal(item.blob.hash, sha256(bytes));
    assert.equal(sha256(await blobOf(node, item)), sha256(bytes));
  }
});

test('5: a blob of a kind that nobody checks has no name, and is whole', async () => {
  const { nodes, ears, began } = stage;
  const sender = client(nodes[0].host);
  const text = 'some binary data';
  const data = await sender.uploadDataBlob(text, { filename: 'unused' }, {
    autometa: 'false', validator: 'none', 'datatype.name': 'myblob',
  });
  assert.equal(data.validator, 'none');
  const message = await sender.sendBroadcast({ header: { topics: ['kind'] }, data: [{ id: data.id }] });
  for (const [n, node] of nodes.entries()) {
    await until('it is heard', () => confirmed(ears[n], [message.header.id]).length === 1);
    const [found] = await received(node, 'kind', began);
    check(found, { topics: ['kind'] });
    const [item] = found.data;
    assert.equal(item.validator, 'none');
    assert.deepEqual(item.datatype, { name: 'myblob' });
    assert.equal(item.blob.name, '');
    assert.equal(item.blob.size, text.length);
    assert.equal(item.blob.hash, sha256(text));
  }
});

test('8: identities below an organisation are known on both nodes, and speak with their own keys', async () => {
  const { nodes, ears } = stage;
  const sender = client(nodes[0].host);
  const org = await sender.getOrganization('org_1');
  const made = [];
  for (const name of ['custom_1', 'custom_2']) {
    const key = nodes[0].addKey(name);
    made.push({ key, ...(await sender.createIdentity({ name, key, parent: org.id }, { confirm: true })) });
  }
  for (const [n, node] of nodes.entries()) {
    await until('both are known', () => ears[n].of('identity_confirmed').length >= 2);
    for (const { id, did, key } of made) {
      const { identity } = ears[n].of('identity_confirmed').find((event) => event.reference === id);
      assert.deepEqual([identity.id, identity.did, identity.type, identity.parent], [id, did, 'custom', org.id]);
      const found = await node.get(`identities/${id}?fetchverifiers`);
      assert.deepEqual(
        { did: found.did, type: found.type, parent: found.parent, namespace: found.namespace },
        { did, type: 'custom', parent: org.id, namespace: 'default' },
      );
      assert.deepEqual(found.verifiers.map((each) => each.value), [key]);
    }
  }
  for (const { did, key } of made) {
    const message = await sender.sendBroadcast({ header: { author: did, topics: ['own'] }, data: [{ value: did }] });
    assert.deepEqual([message.header.author, message.header.key], [did, key]);
    for (const ear of ears) await until('it is heard', () => confirmed(ear, [message.header.id]).length === 1);
  }
});

test('9: a second identity with a key that is taken is rejected on both nodes', async () => {
  const { nodes, ears } = stage;
  const sender = client(nodes[0].host);
  const org = await sender.getOrganization('org_1');
  const key = nodes[0].addKey('taken');
  await sender.createIdentity({ name: 'first_of_key', key, parent: org.id }, { confirm: true });
  await sender.createIdentity({ name: 'second_of_key', key, parent: org.id });
  for (const ear of ears) {
    await until('it is rejected', () => ear.of('message_rejected').length >= 1);
    assert.equal(ear.of('message_rejected')[0].message.header.type, 'definition');
  }
  assert.deepEqual(await sender.getIdentities({ name: 'second_of_key' }), []);
});
