// Apps on the official SDK, and what they know by themselves: hashes, and what they have heard.

import { createHash } from 'node:crypto';
import sdk from '@hyperledger/firefly-sdk';
import { until } from './ffd.js';

export const { default: FireFly, FireFlyError, FireFlyIdempotencyError } = sdk;

/** A client of the namespace `default`; `more` are the SDK's own options. */
export function client(host, more = {}) {
  return new FireFly({ host, namespace: 'default', ...more });
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/**
 * The hash of a data item, as any member computes it: of the value, of the blob, or of both hashes as text. `text` is
 * the JSON of a value that JavaScript would write in another way.
 */
export function dataHash({ value, text = JSON.stringify(value), blobHash }) {
  if (text === undefined) return blobHash;
  return blobHash === undefined ? sha256(text) : sha256(sha256(text) + blobHash);
}

const listening = [];

/** Listen as the app `from`, for what `ear` collects, until everybody hangs up. */
export function listen(from, wanted, ear, socketOptions) {
  listening.push(from.listen(wanted, ear.hear, socketOptions));
  return listening.at(-1);
}

/** End a listener for good. The SDK's own `close` does not stop one that is about to connect again. */
export function hangUp(listener) {
  listener.options.reconnectDelay = -1;
  listener.close();
  clearTimeout(listener.reconnectTimer);
}

/** End all listeners; nothing keeps Node running then. */
export function hangUpAll() {
  for (const listener of listening.splice(0)) hangUp(listener);
}

/** Collects what a listener is told. `take` is what the app does with an event before the SDK acknowledges it. */
export class Ear {
  constructor(take = async () => {}) {
    this.frames = [];
    this.take = take;
    this.hear = async (_socket, frame) => {
      this.frames.push(frame);
      await this.take(frame);
    };
  }

  /** Every event that came, in the order of its first coming; those in batches too. */
  events(type) {
    const first = new Map();
    for (const frame of this.frames)
      for (const event of frame.type === 'event_batch' ? frame.events : [frame])
        if (event.sequence !== undefined && (!type || event.type === type) && !first.has(event.id))
          first.set(event.id, event);
    return [...first.values()];
  }

  errors() {
    return this.frames.filter((frame) => frame.type === 'protocol_error').map((frame) => frame.error);
  }

  /** Wait for so many events. */
  async heard(count, type, patienceMs) {
    await until(`${count} events were heard`, () => this.events(type).length >= count, patienceMs);
    return this.events(type);
  }
}
