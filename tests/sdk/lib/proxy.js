// A TCP proxy between a client and ffd that can cut every connection, in the middle of whatever it says.

import { connect, createServer } from 'node:net';
import { once } from 'node:events';

export class Proxy {
  constructor(port) {
    this.target = port;
    this.open = new Set();
    this.cuts = 0;
    this.server = createServer((client) => this.#join(client));
  }

  async start() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  get host() {
    return `http://127.0.0.1:${this.server.address().port}`;
  }

  /** Cut what is connected now, without a farewell. */
  cut() {
    this.cuts += 1;
    for (const end of [...this.open]) end.resetAndDestroy();
  }

  /** What is connected now hears nothing any more and is told nothing: only its own heartbeat can notice. */
  silence() {
    for (const end of this.open) end.silence?.();
  }

  async stop() {
    this.cut();
    this.server.close();
    await once(this.server, 'close');
  }

  #join(client) {
    const server = connect(this.target, '127.0.0.1');
    this.#carry(client, server);
    this.#carry(server, client);
    client.silence = () => {
      client.unpipe().resume();
      server.removeAllListeners('close').destroy();
      this.open.delete(server);
    };
  }

  #carry(from, to) {
    this.open.add(from);
    from.pipe(to, { end: false });
    from.on('error', () => {});
    from.on('close', () => {
      this.open.delete(from);
      to.destroy();
    });
  }
}
