// Who may come in: a user with a password, as the SDK sends it, or a program with a token; everywhere, or in some
// namespaces.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ear, client, hangUpAll, listen } from '../lib/apps.js';
import { Ffd, until } from '../lib/ffd.js';

const USER = { username: 'ali', password: 'open sesame' };
const HASH = '$2b$04$s8xlLW5Q/Fs.JNk8qbr/2OnifE4K4KfCoqUktAentOziMK2z5bYTi'; // of that password
const WRONG = { ...USER, password: 'open barley' };
const TOKEN = 'a-token-that-is-long-enough', NARROW = 'another-token-for-one-namespace';
const APP = { name: 'app', filter: { events: 'message_confirmed' }, options: { firstEvent: 'oldest' } };
const QUICK = { websocket: { reconnectDelay: 20 } };

let ffd, ali;
before(async () => {
  ffd = new Ffd({}, `
    [namespaces.default]
    [namespaces.other]
    [http]
    passwords_file = "passwords"
    tokens_file = "tokens"
  `);
  ffd.addFile('passwords', `ali:${HASH}\n`);
  ffd.addFile('tokens', `all ${TOKEN}\none ${NARROW} other\n`);
  await ffd.start();
  ali = client(ffd.host, { ...USER, ...QUICK, requestConfig: { auth: USER } });
});
afterEach(hangUpAll);
after(() => ffd.remove());

const bearer = (token) => ({ headers: { Authorization: `Bearer ${token}` } });

test('a user with a password sends and hears', async () => {
  await ali.replaceSubscription(APP);
  const ear = new Ear();
  listen(ali, 'app', ear);
  const message = await ali.sendBroadcast({ data: [{ value: 1 }] }, { confirm: true });
  const [event] = await ear.heard(1);
  assert.equal(event.reference, message.header.id);
});

test('an ephemeral subscription in the URL is for those who may come in, too', async () => {
  const ear = new Ear();
  listen(ali, { filter: { events: 'message_confirmed' } }, ear);
  await until('it hears', async () => {
    await ali.sendBroadcast({ data: [{ value: 1 }] }, { confirm: true });
    return ear.events().length > 0;
  });
});

for (const [who, options] of Object.entries({
  'nobody we know': {},
  'a wrong password': { requestConfig: { auth: WRONG }, ...WRONG },
  'a wrong token': { requestConfig: bearer('a-token-that-nobody-has') },
}))
  test(`${who} is kept out, everywhere`, async () => {
    const stranger = client(ffd.host, { ...options, ...QUICK });
    for (const ask of [
      () => stranger.getStatus(), () => stranger.getMessages(), () => stranger.sendBroadcast({ data: [{ value: 1 }] }),
      () => stranger.uploadDataBlob('x', { filename: 'x' }), () => stranger.getNamespaces(),
    ])
      await assert.rejects(ask(), (error) => {
        const { status, data } = (error.originalError ?? error).response; // getStatus gives axios' own error
        assert.equal(status, 401);
        assert.match(data.error, /^FF00169: /);
        return true;
      });
    const ear = new Ear();
    for (const wanted of ['app', { filter: {} }]) listen(stranger, wanted, ear);
    await ali.sendBroadcast({ data: [{ value: 'secret' }] }, { confirm: true });
    await sleep(100); // time for several tries to come in
    assert.deepEqual(ear.frames, []);
  });

test('a token lets a program in', async () => {
  const program = client(ffd.host, { requestConfig: bearer(TOKEN), ...QUICK });
  assert.equal((await program.getStatus()).namespace.name, 'default');
  const ear = new Ear();
  listen(program, 'app', ear, bearer(TOKEN));
  const message = await program.sendBroadcast({ data: [{ value: 2 }] }, { confirm: true });
  await until('it is heard', () => ear.events().some((event) => event.reference === message.header.id));
});

test('a token for one namespace is good there, and nowhere else', async () => {
  const there = client(ffd.host, { namespace: 'other', requestConfig: bearer(NARROW), ...QUICK });
  const ear = new Ear();
  await there.replaceSubscription(APP);
  listen(there, 'app', ear, bearer(NARROW));
  await there.sendBroadcast({ data: [{ value: 3 }] }, { confirm: true });
  const [event] = await ear.heard(1);
  assert.equal(event.namespace, 'other');

  const here = client(ffd.host, { requestConfig: bearer(NARROW), websocket: { reconnectDelay: -1 } });
  await assert.rejects(here.getMessages(), { message: /^FF00170: / });
  for (const wanted of ['app', { filter: { events: '.*' } }]) {
    const told = new Ear();
    listen(here, wanted, told, bearer(NARROW));
    await until('it is told why not', () => told.errors().length > 0);
    assert.match(told.errors()[0], /FF00(169|170): /);
    assert.deepEqual(told.events(), []);
  }
});
