// Several nodes of one network: a ledger and a shared storage that all of them use, and an organisation for each.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ffd, until } from './ffd.js';

/** Ports of the loopback at which nobody listens now. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

export class Network {
  /** One node for each organisation; `node_1` is of the first. */
  constructor(organisations) {
    this.folder = mkdtempSync(join(tmpdir(), 'net-'));
    this.organisations = organisations;
    this.nodes = [];
  }

  #config(port) {
    return `
      [ledgers.local.options]
      path = "${this.folder}/ledger.db"
      [storages.local.options]
      path = "${this.folder}/storage"
      [exchanges.local]
      plugin = "https"
      [exchanges.local.options]
      port = ${port}
    `;
  }

  /** Start all, and let each tell the others who it is. */
  async start() {
    const ports = await freePorts(this.organisations.length);
    this.nodes = this.organisations.map(
      (org, n) => new Ffd({ FFD_ORG__NAME: org, FFD_NODE__NAME: `node_${n + 1}` }, this.#config(ports[n])),
    );
    await Promise.all(this.nodes.map((node) => node.start()));
    for (const node of this.nodes)
      for (const kind of ['organizations', 'nodes']) {
        const { status, body } = await node.ask('POST', `network/${kind}/self?confirm=true`, {});
        if (status !== 200) throw new Error(`network/${kind}/self: ${status} ${JSON.stringify(body)}`);
      }
    for (const node of this.nodes)
      await until('everybody is known', async () => (await node.get('network/nodes')).length === this.nodes.length);
    return this;
  }

  async remove() {
    await Promise.all(this.nodes.map((node) => node.remove()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
