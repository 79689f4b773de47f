// Identities of one's own: claimed with a key, verified by the parent, used to send, changed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { client } from '../lib/apps.js';
import { Ffd } from '../lib/ffd.js';

let ffd, firefly, org, key;
before(async () => {
  ffd = new Ffd({ FFD_ORG__NAME: 'org1' });
  key = ffd.addKey('custom');
  await ffd.start();
  firefly = client(ffd.host);
  [org] = await firefly.getOrganizations();
});
after(() => ffd.remove());

test('createIdentity claims one for a key, and its parent verifies it', async () => {
  const made = await firefly.createIdentity(
    { name: 'custom1', parent: org.id, key, profile: { role: 'clerk' } }, { confirm: true },
  );
  assert.equal(made.did, 'did:firefly:custom1');
  assert.equal(made.type, 'custom');
  assert.equal(made.parent, org.id);
  const found = await firefly.getIdentity(made.id);
  assert.deepEqual(found.profile, { role: 'clerk' });
  assert.ok(found.messages.claim && found.messages.verification);
  const [verifier] = await firefly.getVerifiers(undefined, { identity: made.id });
  assert.equal(verifier.value, key);
});

test('a message in its name is signed with its key', async () => {
  const message = await firefly.sendBroadcast(
    { header: { author: 'did:firefly:custom1' }, data: [{ value: 1 }] }, { confirm: true },
  );
  assert.equal(message.header.author, 'did:firefly:custom1');
  assert.equal(message.header.key, key);
  const byKey = await firefly.sendBroadcast({ header: { key }, data: [{ value: 2 }] }, { confirm: true });
  assert.equal(byKey.header.author, 'did:firefly:custom1');
});

test('updateIdentity changes its profile', async () => {
  const [{ id }] = await firefly.getIdentities({ name: 'custom1' });
  await firefly.updateIdentity(id, { description: 'a clerk', profile: { role: 'head clerk' } }, { confirm: true });
  const found = await firefly.getIdentity(id);
  assert.equal(found.description, 'a clerk');
  assert.deepEqual(found.profile, { role: 'head clerk' });
  assert.ok(found.messages.update && found.updated);
  await assert.rejects(firefly.updateIdentity(id, { description: 'x' }), { message: /^FF10480: / });
});

test('what is no identity is refused', async () => {
  await assert.rejects(firefly.createIdentity({ name: 'bad name', parent: org.id, key }), { message: /^FF00140: / });
  await assert.rejects(firefly.createIdentity({ name: 'orphan', parent: 'did:firefly:org/nobody', key }), {
    message: /^FF10277: |^FF10214: /,
  });
  await assert.rejects(firefly.createIdentity({ name: 'mute', parent: org.id, key: '00'.repeat(32) }), {
    message: /^FFD?\d{4,5}: /,
  });
});
