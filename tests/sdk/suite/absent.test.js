// What ffd does not have answers cleanly, so that a client can tell it from a failure: tokens and contracts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FireFlyError, client } from '../lib/apps.js';
import { Ffd } from '../lib/ffd.js';

let ffd, firefly;
before(async () => {
  ffd = await new Ffd().start();
  firefly = client(ffd.host);
});
after(() => ffd.remove());

const ASKED = {
  createTokenPool: [{}], getTokenPools: [], mintTokens: [{}], transferTokens: [{}], burnTokens: [{}],
  approveTokens: [{}], getTokenApprovals: [], getTokenTransfers: [], getTokenBalances: [],
  generateContractInterface: [{}], createContractInterface: [{}], getContractInterfaces: [], createContractAPI: [{}],
  getContractAPIs: [], invokeContract: [{}], queryContract: [{}], invokeContractAPI: ['api', 'method', {}],
  queryContractAPI: ['api', 'method', {}], createContractListener: [{}], getContractListeners: [],
  deleteContractListener: ['id'], getContractAPIListeners: ['api', 'event'],
  createContractAPIListener: ['api', 'event', {}],
};
const FOUND = {
  getTokenPool: ['pool'], getTokenTransfer: ['id'], getContractInterface: ['id'], getContractAPI: ['api'],
};

for (const [method, given] of Object.entries(ASKED))
  test(`${method} is refused, with FireFly's own words`, async () => {
    await assert.rejects(firefly[method](...given), (error) => {
      assert.ok(error instanceof FireFlyError);
      assert.match(error.message, /^FF(10414|10109): /);
      return true;
    });
  });

for (const [method, given] of Object.entries(FOUND))
  test(`${method} finds nothing, or is refused`, async () => {
    const found = await firefly[method](...given).catch((error) => assert.match(error.message, /^FF10414: /));
    assert.equal(found, undefined);
  });
