// The crate's example programs as child processes that speak JSON lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { clearTimeout, setTimeout } from 'node:timers';
import { fileURLToPath } from 'node:url';
import { Events, within } from './events.mjs';

const repository = fileURLToPath(new URL('../../..', import.meta.url));

/** Where an example is, once it is built. */
export function executable(name) {
  const target = path.resolve(repository, process.env.CARGO_TARGET_DIR ?? 'target');
  const file = path.join(process.env.AGORA_CHAT_EXAMPLES ?? path.join(target, 'debug', 'examples'), name);
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`cargo build --examples\` first`);
  return file;
}

class Program {
  /** The line that ends it. */
  farewell = 'quit';
  events;
  #child;
  #answers = [];
  #stderr = '';

  constructor(t, name, args, secrets = {}) {
    this.events = new Events(name);
    this.#child = spawn(executable(name), args, { env: { ...process.env, ...secrets } });
    this.exited = once(this.#child, 'close').then(([status]) => status);
    t.after(() => this.stop());
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (data) => (this.#stderr += data));
    createInterface(this.#child.stdout).on('line', (line) => {
      this.hear(JSON.parse(line));
    });
    this.exited.then((status) => {
      const end = `${name} ended with status ${status}: ${this.#stderr}`;
      this.events.end(end);
      for (const answer of this.#answers) answer({ ok: false, error: end });
    });
  }

  /** Takes a line of the program: an event, or the answer to a command. */
  hear(object) {
    if ('event' in object) this.events.push(object);
    else this.#answers.shift()?.(object);
  }

  write(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Writes a command and waits for its one line of answer. */
  async command(line) {
    const answer = new Promise((resolve) => this.#answers.push(resolve));
    this.write(line);
    const object = await within(answer, () => `no answer to \`${line}\``);
    if (!object.ok) throw new Error(`\`${line}\`: ${object.error}`);
    return object;
  }

  /** Waits for the program to end by itself; resolves to its exit status. */
  status() {
    return within(this.exited, () => 'the program did not end');
  }

  /** Ends it without a word, as a crash does. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    this.#child.stdin.end(`${this.farewell}\n`);
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await this.exited;
    clearTimeout(patience);
  }
}

/** The crate's local server on a free loopback port, ended with the test `t`. */
export class LocalServer extends Program {
  /** What is to be done while the server still runs, so that nobody tries to reconnect to it. */
  leaving = [];

  static async start(t) {
    const server = new LocalServer(t, 'local_server', ['--port', '0']);
    Object.assign(server, await server.events.next('listening'));
    return server;
  }

  async stop() {
    await Promise.allSettled(this.leaving.map((leave) => leave()));
    await super.stop();
  }

  /** Creates a user whose password is `pw-` and the name. */
  async user(name) {
    await this.command(`user ${name} pw-${name}`);
    return name;
  }

  /** A token of the user that lives so many seconds. */
  async token(name, seconds = 3600) {
    return (await this.command(`token ${name} ${seconds}`)).token;
  }

  /** How many devices of the user are online. */
  async online(name) {
    return (await this.command(`sessions ${name}`)).sessions.length;
  }
}

/** Where the programs find the server. */
const where = (server) => ['--app-key', server.app_key, '--rest-url', server.rest_url, '--socket-url', server.socket_url];

/** This crate's client, driven by words. */
export class RustClient extends Program {
  /** Starts it with these options and secrets; `user` also where there is no such user. */
  static start(t, server, user, { options = [], secrets = { AGORA_CHAT_PASSWORD: `pw-${user}` } } = {}) {
    // So that it ends by itself even where nobody is left to end it.
    const stay = options.includes('--for') ? [] : ['--for', '120'];
    const client = new RustClient(t, 'connect', [...where(server), '--user', user, '--json', ...stay, ...options], secrets);
    server.leaving.push(() => client.stop());
    return client;
  }

  /** Starts it and waits until it is online. */
  static async online(t, server, user, more) {
    const client = RustClient.start(t, server, user, more);
    await client.events.next('connected', { resumed: false });
    return client;
  }
}

/** This crate's client, driven by JSON: the `json_client` example. */
export class JsonClient extends Program {
  farewell = '{"do":"close"}';
  #asked = new Map();
  #count = 0;

  /** Starts it; `user` also where there is no such user. It ends with its stdin, so also when the test is killed. */
  static start(t, server, user, options = []) {
    const secrets = { AGORA_CHAT_PASSWORD: `pw-${user}` };
    const client = new JsonClient(t, 'json_client', [...where(server), '--user', user, ...options], secrets);
    client.user = user;
    server.leaving.push(() => client.stop());
    return client;
  }

  /** Starts it and waits until it is online. */
  static async online(t, server, user, options) {
    const client = JsonClient.start(t, server, user, options);
    await client.events.next('connected', { resumed: false });
    return client;
  }

  hear({ ref, ...line }) {
    if (ref === undefined) return super.hear(line);
    this.#asked.get(ref)?.(line);
    this.#asked.delete(ref);
  }

  /** Writes a request and waits for its answer; an error is thrown as it was told. */
  async ask(request) {
    const ref = ++this.#count;
    const answer = new Promise((resolve) => this.#asked.set(ref, resolve));
    const line = JSON.stringify({ ...request, ref });
    this.write(line);
    const ended = this.exited.then((status) => ({ event: 'error', code: null, message: `it ended with ${status}` }));
    const { event, ...told } = await within(Promise.race([answer, ended]), () => `no answer to \`${line.slice(0, 500)}\``);
    if (event === 'error') throw Object.assign(new Error(told.message), told);
    return told;
  }

  /** Sends a message and waits for its ids. */
  send(kind, id, body, more = {}) {
    return this.ask({ do: 'send', to: { kind, id }, body, ...more });
  }
}
