// A real ffd as its user has it: a process, its files, a TCP port. It can be killed, and started again where it was.

import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PYTHON = process.env.FFD_PYTHON ?? join(ROOT, '.venv/bin/python');
export const PATIENCE_MS = 30_000;

/** The first answer of `look` that is true; an error of `look` counts as no answer yet. */
export async function until(what, look, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`after ${patienceMs} ms still not so: ${what}; the last was ${last}`);
    await sleep(20);
  }
}

export class Ffd {
  /** `settings` are variables of the environment, such as `{FFD_ORG__NAME: 'org1'}`; `config` is an ffd.toml. */
  constructor(settings = {}, config = '') {
    this.folder = mkdtempSync(join(tmpdir(), 'ffd-'));
    this.settings = settings;
    this.port = 0;
    this.config = join(this.folder, 'ffd.toml');
    writeFileSync(this.config, config);
  }

  /** A signing key in the node's folder of keys, as an operator puts one there; its public half. */
  addKey(name) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const keys = join(this.folder, 'state', 'keys');
    mkdirSync(keys, { recursive: true, mode: 0o700 });
    writeFileSync(join(keys, `${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    return Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url').toString('hex');
  }

  get host() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Write a file into its state folder, as an operator does. */
  addFile(name, text) {
    const state = join(this.folder, 'state');
    mkdirSync(state, { recursive: true, mode: 0o700 });
    writeFileSync(join(state, name), text, { mode: 0o600 });
  }

  /** Start it on the port that it had before, or on a free one; it is ready when this is done. */
  async start() {
    const log = openSync(join(this.folder, 'ffd.log'), 'a');
    this.process = spawn(PYTHON, ['-m', 'ffd'], {
      cwd: ROOT,
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env.PATH,
        PYTHONPATH: ROOT,
        HOME: this.folder,
        LC_ALL: 'C.UTF-8',
        FFD_STATE_DIR: join(this.folder, 'state'),
        FFD_SOCKET: join(this.folder, 's'),
        FFD_CONFIG: this.config,
        FFD_HTTP__ADDRESS: '127.0.0.1',
        FFD_HTTP__PORT: String(this.port),
        FFD_HTTP__OPEN_LOOPBACK: 'true',
        ...this.settings,
      },
    });
    closeSync(log);
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
    try {
      await until('ffd is ready', () => this.#isReady());
    } catch (error) {
      await this.kill();
      throw error;
    }
    return this;
  }

  async #isReady() {
    if (this.process.exitCode !== null) throw new Error(`ffd ended, and said ${this.log()}`);
    this.port ||= Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(this.log())?.[1] ?? 0);
    return this.port && (await fetch(`${this.host}/readyz`)).status === 200;
  }

  /** SIGKILL: it has no time to say or write anything more. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  /** End it, and take away what it wrote. */
  async remove() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What it has said so far. */
  log() {
    return readFileSync(join(this.folder, 'ffd.log'), 'utf8');
  }

  /** Ask for what the SDK has no method for; `path` is below the namespace. The status and the JSON of the answer. */
  async ask(method, path, body, headers = {}) {
    const answer = await fetch(`${this.host}/api/v1/namespaces/default/${path}`, {
      method,
      headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : undefined };
  }

  /** The JSON of a GET that must be answered with 200. */
  async get(path) {
    const { status, body } = await this.ask('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }
}
