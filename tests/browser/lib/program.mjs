// The crate's example programs as child processes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const PATIENCE = 30_000;

/** Where an example is, once it is built. */
function executable(name) {
  const target = path.resolve(repository, process.env.CARGO_TARGET_DIR ?? 'target');
  const file = path.join(process.env.AGORA_CHAT_EXAMPLES ?? path.join(target, 'debug', 'examples'), name);
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`cargo build --examples\` first`);
  return file;
}

/** Asks again and again until it holds. */
export async function until(holds, what) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`not within ${PATIENCE} ms: ${what}`);
}

export class Program {
  #child;
  #lines = [];
  #waiting = [];
  #stderr = '';

  constructor(name, args) {
    this.#child = spawn(executable(name), args);
    this.exited = once(this.#child, 'close').then(([status]) => status);
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (data) => (this.#stderr = (this.#stderr + data).slice(-4000)));
    createInterface(this.#child.stdout).on('line', (line) => {
      const waiting = this.#waiting.shift();
      if (waiting) waiting.resolve(line);
      else this.#lines.push(line);
    });
    this.exited.then((status) => {
      for (const { reject } of this.#waiting) reject(new Error(`${name} ended with ${status}: ${this.#stderr}`));
    });
  }

  /** Starts the local server; `rest` is its address. */
  static async localServer(args) {
    const program = new Program('local_server', ['--port', '0', ...args]);
    program.told = JSON.parse(await program.line());
    program.rest = program.told.rest_url;
    return program;
  }

  /** Starts a fleet of the accounts in a file, made where it is missing; `admin` is the address of its page. */
  static async fleet(local, accounts, args) {
    if (!existsSync(accounts)) await writeFile(accounts, '');
    const { app_key, rest_url, socket_url } = local.told;
    const program = new Program('fleet_admin', [
      '--port', '0', '--app-key', app_key, '--rest-url', rest_url, '--socket-url', socket_url, '--accounts', accounts, ...args,
    ]);
    program.admin = /(http:\S+\/admin\/)/.exec(await program.line())[1];
    return program;
  }

  line() {
    if (this.#lines.length) return Promise.resolve(this.#lines.shift());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Writes a command to the local server and waits for its answer. */
  async command(line) {
    this.#child.stdin.write(`${line}\n`);
    const told = JSON.parse(await this.line());
    if (!told.ok) throw new Error(`\`${line}\`: ${told.error}`);
    return told;
  }

  async stop() {
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.exited;
    clearTimeout(patience);
  }
}
