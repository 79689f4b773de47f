// What every test of FireFly's end-to-end suite does before, after and in between (reference 12.3): a network of nodes,
// ears on each, and a client that believes no hash that it has not computed itself.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import WebSocket from 'ws';
import { dataHash, sha256 } from './apps.js';
import { until } from './ffd.js';
import { Network } from './network.js';

const KINDS = [
  'message_confirmed', 'message_rejected', 'identity_confirmed', 'datatype_confirmed', 'blockchain_event_received',
].join('|');

/** A network for the stories of one file, each of which listens anew: `nodes`, and for each an ear in `ears`. */
export function networkOf(organisations) {
  const stage = { nodes: [], ears: [], began: '0' };
  let network;
  before(async () => {
    network = new Network(organisations);
    await network.start();
    stage.nodes = network.nodes;
    stage.folder = network.folder;
  });
  after(() => network.remove());
  beforeEach(async () => {
    stage.began = (BigInt(Date.now()) * 1_000_000n).toString();
    stage.ears = stage.nodes.map(listen);
    for (const node of stage.nodes)
      await until('it listens', async () => {
        const { connections } = await (await fetch(`${node.host}/api/v1/websockets`)).json();
        return connections.some((each) => each.subscriptions.length === 1);
      });
  });
  // After every test of FireFly's: all that was asked of the outside has succeeded, on all nodes.
  afterEach(async () => {
    for (const ear of stage.ears) ear.socket.close();
    for (const node of stage.nodes)
      await until('every operation succeeded', async () => {
        const operations = await node.get(`operations?created=>${stage.began}&limit=1000`);
        return operations.every((each) => each.status === 'Succeeded');
      });
  });
  return stage;
}

/** What FireFly's suite listens with, on every node: all of these kinds, acknowledged as they leave. */
function listen(node) {
  const heard = [];
  const url = `/ws?namespace=default&ephemeral&autoack&filter.events=${KINDS}&changeevents=.*`;
  const socket = new WebSocket(node.host.replace('http', 'ws') + url);
  socket.on('message', (frame) => heard.push(JSON.parse(frame)));
  return { heard, socket, of: (type) => heard.filter((event) => event.type === type) };
}

/** The confirmations of some messages that an ear has heard. */
export const confirmed = (ear, ids) => ear.of('message_confirmed').filter((event) => ids.includes(event.reference));

/** Wait until all these ears have heard of all these messages. */
export async function heardBy(ears, ...ids) {
  for (const ear of ears) await until('it is heard', () => confirmed(ear, ids).length >= ids.length);
}

/** The messages of a topic since a time, by their events, as FireFly's suite asks for them; with their data. */
export async function received(node, topic, began) {
  const events = await node.get(`events?created=>${began}&topic=${topic}&sort=sequence&fetchreferences=true&limit=100`);
  const messages = events.filter((event) => event.type === 'message_confirmed').map((event) => event.message);
  return Promise.all(messages.map(async (message) => ({
    message, data: await node.get(`messages/${message.header.id}/data`),
  })));
}

/** Everything that a client can check of a message and its data by itself; `wanted` is what its header must say. */
export function check({ message, data }, wanted) {
  const header = { type: 'broadcast', txtype: 'batch_pin', namespace: 'default', group: undefined, ...wanted };
  for (const [field, value] of Object.entries(header)) assert.deepEqual(message.header[field], value, field);
  assert.equal(message.hash, sha256(JSON.stringify(message.header)));
  assert.equal(message.header.datahash, sha256(JSON.stringify(message.data)));
  assert.deepEqual(message.data, data.map(({ id, hash }) => ({ id, hash })));
  for (const item of data) {
    assert.equal(item.namespace, 'default');
    assert.equal(item.hash, dataHash({ value: item.value ?? undefined, blobHash: item.blob?.hash }));
  }
}

/** The bytes of a data item's blob, as a node gives them. */
export async function blobOf(node, item) {
  const answer = await fetch(`${node.host}/api/v1/data/${item.id}/blob`);
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}
