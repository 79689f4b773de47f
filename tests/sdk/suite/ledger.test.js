// What became of a message outside: its operations, its transaction, and what the ledger said.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { client } from '../lib/apps.js';
import { Ffd, until } from '../lib/ffd.js';

let ffd, firefly, message;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
  message = await firefly.sendBroadcast({ header: { topics: ['t'] }, data: [{ value: 1 }] }, { confirm: true });
});
after(() => ffd.remove());

const NOBODY = '00000000-0000-4000-8000-000000000000';
const succeeded = () =>
  until('every operation succeeded', async () => {
    const operations = await firefly.getOperations({ tx: message.txid });
    return operations.length >= 2 && operations.every((each) => each.status === 'Succeeded') && operations;
  });

test('operations are found, all and one', async () => {
  const operations = await succeeded();
  const types = operations.map((each) => each.type).sort();
  assert.deepEqual(types, ['blockchain_pin_batch', 'sharedstorage_upload_batch']);
  const one = await firefly.getOperation(operations[0].id);
  assert.deepEqual(one, operations[0]);
  assert.equal(await firefly.getOperation(NOBODY), undefined);
  assert.deepEqual(await firefly.getOperations({ tx: message.txid, type: 'sharedstorage_upload_batch' }),
    operations.filter((each) => each.type === 'sharedstorage_upload_batch'));
});

test('retryOperation does one again under a new id, and names it in the old one', async () => {
  const old = (await succeeded()).find((each) => each.type === 'sharedstorage_upload_batch');
  const again = await firefly.retryOperation(old.id);
  assert.notEqual(again.id, old.id);
  assert.equal(again.type, old.type);
  assert.equal((await firefly.getOperation(old.id)).retry, again.id);
  await until('it succeeded', async () => (await firefly.getOperation(again.id)).status === 'Succeeded');
  await assert.rejects(firefly.retryOperation(NOBODY), { message: /^FF10109: / });
});

test('transactions are found, all and one, with their status', async () => {
  const one = await firefly.getTransaction(message.txid);
  assert.equal(one.type, 'batch_pin');
  assert.equal(one.blockchainIds.length, 1);
  assert.deepEqual(await firefly.getTransactions({ id: message.txid }), [one]);
  assert.deepEqual(await firefly.getTransactions({ type: 'token_pool' }), []);
  assert.equal(await firefly.getTransaction(NOBODY), undefined);
  await succeeded();
  const status = await ffd.get(`transactions/${message.txid}/status`);
  assert.equal(status.status, 'Succeeded');
  const types = new Set(status.details.map((each) => each.type));
  assert.deepEqual([...types].sort(), ['Batch', 'BlockchainEvent', 'Operation']);
  assert.ok(status.details.every((each) => each.status === 'Succeeded'));
});

test('blockchain events are found, all and one', async () => {
  const [event] = await firefly.getBlockchainEvents({ 'tx.id': message.txid });
  assert.equal(event.name, 'BatchPin');
  assert.equal(event.tx.type, 'batch_pin');
  assert.equal(event.output.uuids, `0x${(message.txid + message.batch).replaceAll('-', '')}`);
  assert.deepEqual(await firefly.getBlockchainEvent(event.id), event);
  assert.equal(await firefly.getBlockchainEvent(NOBODY), undefined);
});
