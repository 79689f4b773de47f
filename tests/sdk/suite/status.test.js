// What a client asks first: where am I, who is here?

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FireFlyError, client } from '../lib/apps.js';
import { Ffd } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd({ FFD_NODE__NAME: 'node1', FFD_ORG__NAME: 'org1' }).start();
  firefly = client(ffd.host);
});
after(() => ffd.remove());

test('getStatus tells who and where this is', async () => {
  const status = await firefly.getStatus();
  assert.equal(status.namespace.name, 'default');
  assert.equal(status.node.name, 'node1');
  assert.equal(status.node.registered, true);
  assert.equal(status.org.did, 'did:firefly:org/org1');
  assert.equal(status.org.registered, true);
  assert.equal(status.multiparty.enabled, true);
  for (const kind of ['blockchain', 'database', 'dataExchange', 'events', 'identity', 'sharedStorage', 'tokens'])
    assert.ok(Array.isArray(status.plugins[kind]), kind);
});

test('namespaces are found, all and one; what is not there is undefined', async () => {
  const all = await firefly.getNamespaces();
  assert.deepEqual(all.map((each) => each.name), ['default']);
  const one = await firefly.getNamespace('default');
  assert.equal(one.networkName, 'default');
  assert.equal(await firefly.getNamespace('nowhere'), undefined);
});

test('organisations and nodes are found, all and one, by name and by id', async () => {
  const [org] = await firefly.getOrganizations({ sort: 'created' });
  assert.equal(org.did, 'did:firefly:org/org1');
  const [node] = await firefly.getNodes();
  assert.equal(node.parent, org.id);
  assert.equal(node.did, 'did:firefly:node/node1');
  for (const key of ['org1', org.id]) assert.equal((await firefly.getOrganization(key)).did, org.did);
  for (const key of ['node1', node.id]) assert.equal((await firefly.getNode(key)).did, node.did);
  assert.equal(await firefly.getOrganization('nobody'), undefined);
  assert.equal(await firefly.getNode('nobody'), undefined);
});

test('identities are found, all and one, with their verifiers', async () => {
  const [org] = await firefly.getOrganizations();
  const all = await firefly.getIdentities();
  assert.deepEqual(all.map((each) => each.type).sort(), ['node', 'org']);
  assert.deepEqual(await firefly.getIdentities({ type: 'org' }), [org]);
  assert.equal((await firefly.getIdentity(org.id)).did, org.did);
  assert.equal(await firefly.getIdentity('00000000-0000-4000-8000-000000000000'), undefined);
  const mine = await ffd.get(`identities/${org.id}/verifiers`);
  const all_verifiers = await firefly.getVerifiers();
  assert.deepEqual(all_verifiers, mine);
  assert.deepEqual(await firefly.getVerifiers('default'), mine);
  assert.equal(mine[0].identity, org.id);
  const { type, value } = mine[0];
  assert.deepEqual(await firefly.resolveVerifier({ type, value }), { type, value });
});

test('an error has the text of the node, the path that was asked, and is told to who listens for errors', async () => {
  const told = [];
  const listening = client(ffd.host);
  listening.onError((error) => told.push(error));
  await assert.rejects(listening.getMessages({ limit: 100_000 }), (error) => {
    assert.ok(error instanceof FireFlyError);
    assert.match(error.message, /^FF00192: /);
    assert.match(error.path, /\/api\/v1\/namespaces\/default\/messages\?limit=100000/);
    return true;
  });
  assert.equal(told.length, 1);
  await assert.rejects(client(ffd.host, { namespace: 'nowhere' }).getMessages(), { message: /^FF10436: / });
  await assert.rejects(client('http://127.0.0.1:1').getStatus(), { message: /ECONNREFUSED/ });
});
