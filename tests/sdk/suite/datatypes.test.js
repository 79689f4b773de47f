// Datatypes: defined for everybody by a broadcast, and then no value of theirs is sent that does not fit.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Ear, client, dataHash, hangUpAll, listen } from '../lib/apps.js';
import { Ffd, until } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
});
afterEach(hangUpAll);
after(() => ffd.remove());

const schema = {
  $id: 'https://example.com/widget.schema.json',
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Widget',
  type: 'object',
  properties: { id: { type: 'string' }, name: { type: 'string' } },
  required: ['id', 'name'],
  additionalProperties: false,
};
const widget = { name: 'widget', version: '0.0.2' };
const good = { id: 'widget12345', name: 'mywidget' };

test('a value of a datatype that nobody defined is refused', async () => {
  await assert.rejects(firefly.sendBroadcast({ data: [{ datatype: widget, value: good }] }), {
    message: /^FF10195: /,
  });
});

test('createDatatype defines one, and tells of it when all know it', async () => {
  const ear = new Ear();
  listen(firefly, { filter: { events: 'datatype_confirmed' } }, ear);
  await until('it listens', async () =>
    (await (await fetch(`${ffd.host}/api/v1/websockets`)).json()).connections.length === 1);
  const made = await firefly.createDatatype({ ...widget, value: schema }, { confirm: true });
  assert.equal(made.name, 'widget');
  assert.equal(made.version, '0.0.2');
  assert.equal(made.hash, dataHash({ value: schema }));
  assert.ok(made.id && made.message && made.created);
  const [event] = await ear.heard(1);
  assert.equal(event.reference, made.id);
  assert.equal(event.topic, 'ff_definition');
  assert.deepEqual(event.datatype.value, schema);
  const message = await firefly.getMessage(made.message);
  assert.equal(message.header.type, 'definition');
  assert.equal(message.header.tag, 'ff_define_datatype');
  assert.equal(message.state, 'confirmed');
});

test('datatypes are found, all and one', async () => {
  const one = await firefly.getDatatype('widget', '0.0.2');
  assert.deepEqual(one.value, schema);
  assert.deepEqual(await firefly.getDatatypes({ name: 'widget' }), [one]);
  assert.deepEqual(await firefly.getDatatypes({ version: '9' }), []);
  assert.equal(await firefly.getDatatype('widget', '9'), undefined);
});

test('a value that fits is sent, one that does not is refused, wherever it comes in', async () => {
  const message = await firefly.sendBroadcast({ data: [{ datatype: widget, value: good }] }, { confirm: true });
  assert.equal(message.state, 'confirmed');
  assert.deepEqual((await firefly.getData(message.data[0].id)).datatype, widget);
  const bad = [{ id: 'widget12345' }, { ...good, more: 1 }, { id: 1, name: 'x' }, 'text', null];
  for (const value of bad) {
    const refused = value === null ? /^FF\d{5}: / : /^FF10198: /;
    await assert.rejects(firefly.sendBroadcast({ data: [{ datatype: widget, value }] }), { message: refused });
    await assert.rejects(firefly.uploadData({ datatype: widget, value }), { message: refused });
  }
  assert.ok(await firefly.uploadData({ datatype: widget, value: good }));
});

test('what is no datatype, or one that exists, is refused', async () => {
  await assert.rejects(firefly.createDatatype({ name: 'bad name', version: '1', value: schema }), {
    message: /^FF00140: /,
  });
  await assert.rejects(firefly.createDatatype({ name: 'broken', version: '1', value: { type: 'nonsense' } }), {
    message: /^FF10196: /,
  });
  await assert.rejects(firefly.createDatatype({ ...widget, value: schema }, { confirm: true }), (error) => {
    assert.match(error.message, /^FF\d{5}: /);
    return true;
  });
});

test('another version lives beside the first', async () => {
  await firefly.createDatatype({ name: 'widget', version: '0.0.3', value: { type: 'string' } }, { confirm: true });
  const datatype = { ...widget, version: '0.0.3' };
  await firefly.sendBroadcast({ data: [{ datatype, value: 'text' }] }, { confirm: true });
  assert.equal((await firefly.getDatatypes({ name: 'widget' })).length, 2);
});
