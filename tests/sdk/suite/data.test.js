// Data and blobs: uploaded, found, downloaded, published and deleted. Hashes are computed here, not believed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { client, dataHash, sha256 } from '../lib/apps.js';
import { Ffd } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
});
after(() => ffd.remove());

const NOBODY = '00000000-0000-4000-8000-000000000000';

async function download(id) {
  const chunks = [];
  for await (const chunk of await firefly.getDataBlob(id)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('uploadData keeps a value, getData and findData find it', async () => {
  const data = await firefly.uploadData({ value: { b: 1, a: [true, null] } });
  assert.equal(data.hash, dataHash({ value: { b: 1, a: [true, null] } }));
  assert.equal(data.validator, 'json');
  assert.equal(data.namespace, 'default');
  const found = await firefly.getData(data.id);
  assert.deepEqual(found, data);
  assert.deepEqual(await firefly.findData({ hash: data.hash }), [data]);
  assert.deepEqual(await firefly.findData({ id: NOBODY }), []);
  assert.equal(await firefly.getData(NOBODY), undefined);
  assert.deepEqual((await ffd.ask('GET', `data/${data.id}/value`)).body, { b: 1, a: [true, null] });
});

test('what is no data is refused with the code of FireFly', async () => {
  await assert.rejects(firefly.uploadData({}), { message: /^FF\d{5}: / });
  await assert.rejects(firefly.uploadData({ value: 1, validator: 'magic' }), { message: /^FF00108: / });
  await assert.rejects(firefly.uploadData({ value: 1, datatype: { name: 'none', version: '1' } }), {
    message: /^FF10195: /,
  });
});

test('a blob of text goes up with its name, and comes down as it was', async () => {
  const text = 'hello blob\n';
  const data = await firefly.uploadDataBlob(text, { filename: 'notes/hello.txt', contentType: 'text/plain' });
  assert.equal(data.blob.hash, sha256(text));
  assert.equal(data.blob.size, text.length);
  assert.match(data.blob.name, /hello\.txt$/);
  assert.match(data.value.filename, /hello\.txt$/);
  assert.ok(data.value.mimetype);
  assert.equal(data.hash, dataHash({ value: data.value, blobHash: data.blob.hash }));
  assert.equal((await download(data.id)).toString(), text);
  assert.deepEqual(await firefly.findData({ 'blob.hash': data.blob.hash }), [data]);
});

test('a blob of many bytes comes down with its hash and size in the headers', async () => {
  const bytes = randomBytes(5_000_000);
  const data = await firefly.uploadDataBlob(bytes, { filename: 'random.bin' });
  assert.equal(data.blob.hash, sha256(bytes));
  const answer = await fetch(`${ffd.host}/api/v1/namespaces/default/data/${data.id}/blob`);
  assert.equal(answer.headers.get('content-type'), 'application/octet-stream');
  assert.equal(answer.headers.get('x-ff-blob-hash-sha256'), data.blob.hash);
  assert.equal(answer.headers.get('x-ff-blob-size'), '5000000');
  assert.equal(sha256(Buffer.from(await answer.arrayBuffer())), data.blob.hash);
});

test('a blob may go up without meta data, or with its own', async () => {
  const bare = await firefly.uploadDataBlob('x', { filename: 'x' }, { autometa: 'false' });
  assert.equal(bare.hash, sha256('x'));
  assert.equal(bare.blob.name, '');
  const given = await firefly.uploadDataBlob('x', { filename: 'x' }, {
    autometa: 'false', metadata: '{ "filename" : "own <name>" }', validator: 'json',
  });
  assert.deepEqual(given.value, { filename: 'own <name>' });
  assert.equal(given.blob.name, 'own <name>');
  assert.equal(given.hash, dataHash({ text: '{"filename":"own \\u003cname\\u003e"}', blobHash: sha256('x') }),
    'the hash is of the value as every member sees it');
});

test('a file that has no bytes is a blob too', async () => {
  const data = await firefly.uploadDataBlob(Buffer.alloc(0), { filename: 'empty' });
  assert.equal(data.blob.hash, sha256(''));
  assert.equal((await download(data.id)).length, 0);
});

test('a blob that is not there is not found', async () => {
  const { id } = await firefly.uploadData({ value: 1 });
  for (const each of [id, NOBODY]) {
    const answer = await fetch(`${ffd.host}/api/v1/namespaces/default/data/${each}/blob`);
    assert.equal(answer.status, 404);
    assert.match((await answer.json()).error, /^FF00164: /);
  }
});

test('a value and a blob are published to the shared storage, and say where', async () => {
  const value = await firefly.uploadData({ value: 'for all' });
  const published = await firefly.publishData(value.id);
  assert.ok(published.public);
  const blob = await firefly.uploadDataBlob('for all, too', { filename: 'all.txt' });
  assert.ok(!blob.blob.public);
  const shared = await firefly.publishDataBlob(blob.id);
  assert.ok(shared.blob.public);
  assert.equal((await firefly.getData(blob.id)).blob.public, shared.blob.public);
  assert.equal((await firefly.getData(value.id)).public, published.public);
  await assert.rejects(firefly.publishDataBlob(value.id), { message: /^FF10241: / });
});

test('deleteData takes a value and a blob away', async () => {
  const value = await firefly.uploadData({ value: 'mistake' });
  const blob = await firefly.uploadDataBlob('a mistake', { filename: 'mistake.txt' });
  for (const { id } of [value, blob]) {
    await firefly.deleteData(id);
    assert.equal(await firefly.getData(id), undefined);
  }
  await assert.rejects(download(blob.id), { message: /404/ });
  await assert.rejects(firefly.deleteData(NOBODY), { message: /^FF10109: / });
});

test('a blob is broadcast with its message, and published on the way', async () => {
  const data = await firefly.uploadDataBlob('news for all', { filename: 'news.txt' });
  const message = await firefly.sendBroadcast({ data: [{ id: data.id }] }, { confirm: true });
  assert.deepEqual(message.data, [{ id: data.id, hash: data.hash }]);
  const found = await firefly.getData(data.id);
  assert.ok(found.blob.public);
  assert.equal(found.hash, data.hash);
  assert.equal(sha256(await download(data.id)), data.blob.hash);
});

test('a stream goes up piece by piece when its length is told', async () => {
  const size = 300_000;
  const stream = Readable.from((function* () {
    for (let sent = 0; sent < size; sent += 1000) yield Buffer.alloc(1000, sent / 1000 % 251);
  })());
  stream.path = undefined;
  // The SDK needs the length beforehand, so a bare stream cannot be given to it; a client that streams uses chunks.
  const boundary = 'xXxXx';
  async function* body() {
    yield `--${boundary}\r\nContent-Disposition: form-data; name="autometa"\r\n\r\ntrue\r\n`;
    yield `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="s.bin"\r\n\r\n`;
    yield* stream;
    yield `\r\n--${boundary}--\r\n`;
  }
  const answer = await fetch(`${ffd.host}/api/v1/data`, {
    method: 'POST', duplex: 'half', body: Readable.toWeb(Readable.from(body())),
    headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` },
  });
  const data = await answer.json();
  assert.equal(answer.status, 201, JSON.stringify(data));
  assert.equal(data.blob.size, size);
  assert.equal(sha256(await download(data.id)), data.blob.hash);
});
