// The contract of `examples/connect`: what it prints as JSON and the status it ends with.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { eventually } from './lib/events.mjs';
import { LocalServer, RustClient } from './lib/program.mjs';

/** An empty directory, removed with the test `t`. */
async function directory(t) {
  const made = await mkdtemp(path.join(tmpdir(), 'connect-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

describe('connect', { concurrency: true }, () => {
  test('logs in by password, answers `state` and `level`, and closes with 0, or 7 after an error', async (t) => {
    const server = await LocalServer.start(t);
    const alice = await RustClient.online(t, server, await server.user('alice'));
    alice.write('state');
    await alice.events.next('state');
    alice.write('level debug');
    await alice.events.next('level', { level: 'DEBUG' });
    assert.equal(await server.online('alice'), 1);
    alice.write('close');
    const end = await alice.events.next('disconnected', { code: null });
    assert.ok(Math.abs(end.at_ms - Date.now()) < 60_000);
    assert.equal(await alice.status(), 0);
    assert.equal(await server.online('alice'), 0);

    const again = await RustClient.online(t, server, 'alice');
    again.write('level loud');
    await again.events.next('error', { code: null });
    again.write('close');
    assert.equal(await again.status(), 7);
  });

  test('registers first when asked to, and ends with 0 when its time is up', async (t) => {
    const server = await LocalServer.start(t);
    const options = ['--register', '--resource', 'desk', '--for', '0.1'];
    const alice = await RustClient.online(t, server, 'alice', { options });
    await alice.events.next('disconnected', { code: null });
    assert.equal(await alice.status(), 0);
  });

  test('logs in a user who exists already when asked to register', async (t) => {
    const server = await LocalServer.start(t);
    await RustClient.online(t, server, await server.user('alice'), { options: ['--register'] });
  });

  test('answers a command under its ID, and ends with 7 when one has failed', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('bob');
    const alice = RustClient.start(t, server, await server.user('alice'));
    alice.write('@a send bob hi');
    alice.write('@b send bob');
    alice.write('level');
    alice.write('quit');
    await alice.events.next('error', { id: 'b', to: 'bob', code: null });
    await alice.events.next('level', { level: 'WARN' });
    await alice.events.next('sent', { id: 'a', to: 'bob' });
    assert.equal(await alice.status(), 7);
  });

  test('logs in by token', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('alice');
    const secrets = { AGORA_CHAT_TOKEN: await server.token('alice') };
    await RustClient.online(t, server, 'alice', { secrets });
    assert.equal(await server.online('alice'), 1);
  });

  test('ends with 2 without a secret, an app key or a known option', async (t) => {
    const server = await LocalServer.start(t);
    assert.equal(await RustClient.start(t, server, 'alice', { secrets: {} }).status(), 2);
    assert.equal(await RustClient.start(t, server, 'not a user').status(), 2);
    assert.equal(await RustClient.start(t, { ...server, app_key: 'no-hash', leaving: [] }, 'alice').status(), 2);
    assert.equal(await RustClient.start(t, server, 'alice', { options: ['--nothing-like-it'] }).status(), 2);
  });

  test('ends with 2 for a CA file that is missing or holds no certificate', async (t) => {
    const server = await LocalServer.start(t);
    const file = path.join(await directory(t), 'ca.pem');
    const status = () => RustClient.start(t, server, 'alice', { options: ['--ca-file', file] }).status();
    assert.equal(await status(), 2);
    await writeFile(file, 'no certificate');
    assert.equal(await status(), 2);
  });

  test('is the same device after a restart with its state directory', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('alice');
    const dir = path.join(await directory(t), 'made', 'by', 'it');
    const resource = async (options) => {
      const alice = await RustClient.online(t, server, 'alice', { options });
      const [{ resource }] = (await server.command('sessions alice')).sessions;
      alice.write('close');
      assert.equal(await alice.status(), 0);
      return resource;
    };
    const kept = ['--state-dir', dir];
    const first = await resource(kept);
    assert.equal(await resource(kept), first);
    assert.equal(await resource([...kept, '--resource', 'desk']), 'desk');
    assert.equal(await resource(kept), first);
    assert.notEqual(await resource([]), first);

    const account = path.join(dir, server.app_key.replace('#', '%23'), 'alice');
    const file = path.join(account, 'device.json');
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { version: 1, resource: first, uuid: first });
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600);

    for (const damage of ['', '{"version":1', '{"version":99,"resource":"a","uuid":"a"}', '{"version":1,"resource":"a b","uuid":"a"}']) {
      await writeFile(file, damage);
      const anew = await resource(kept);
      assert.notEqual(anew, first);
      assert.equal(await resource(kept), anew);
      assert.equal(await readFile(`${file}.damaged`, 'utf8'), damage);
    }
    assert.deepEqual((await readdir(account)).sort(), ['device.json', 'device.json.damaged', 'token.json']);
  });

  test('is back after a kill as the same device and without a REST call', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('alice');
    const dir = await directory(t);
    const online = async () => {
      const alice = await RustClient.online(t, server, 'alice', { options: ['--state-dir', dir] });
      const [{ resource }] = (await server.command('sessions alice')).sessions;
      return { alice, resource };
    };
    const tokenCalls = async () => {
      const { calls } = await server.command('calls');
      return calls.filter((call) => call.path.endsWith('/token')).length;
    };
    let { alice, resource } = await online();
    assert.equal(await tokenCalls(), 1);
    // The token is written beside the connection's work.
    const file = path.join(dir, server.app_key.replace('#', '%23'), 'alice', 'token.json');
    await eventually(async () => (await stat(file).catch(() => null)) !== null, 'the token is kept');
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600);

    for (let restart = 1; restart <= 2; restart += 1) {
      const before = (await server.command('calls')).calls.length;
      await alice.kill();
      await eventually(async () => (await server.online('alice')) === 0, 'the killed one is gone');
      const again = await online();
      assert.equal(again.resource, resource);
      assert.equal((await server.command('calls')).calls.length, before);
      alice = again.alice;
    }

    // A token that serves no more costs one call.
    await alice.kill();
    await writeFile(file, '{"version":1,"token":"YWMtnobody","expires_at":null}');
    assert.equal((await online()).resource, resource);
    assert.equal(await tokenCalls(), 2);
  });

  test('ends with 2 where its state directory cannot be one', async (t) => {
    const server = await LocalServer.start(t);
    const file = path.join(await directory(t), 'a file');
    await writeFile(file, '');
    assert.equal(await RustClient.start(t, server, 'alice', { options: ['--state-dir', file] }).status(), 2);
  });

  test('tells a link that comes and goes', async (t) => {
    const server = await LocalServer.start(t);
    const alice = await RustClient.online(t, server, await server.user('alice'));
    for (let session = 1; session < 5; session += 1) {
      await server.command('drop alice fin');
      await alice.events.next('connected', { resumed: true });
    }
    await server.command('drop alice fin');
    const told = await alice.events.next('flapping');
    assert.equal(told.sessions, 5);
    assert.equal(told.window_ms, 600_000);
    assert.equal(told.floor_ms, 60_000);
  });

  test('ends with 3 and says why when the login fails', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('alice');
    const fails = async (user, code, more) => {
      const client = RustClient.start(t, server, user, more);
      await client.events.next('error', { code });
      assert.equal(await client.status(), 3);
      assert.ok(!client.events.names().includes('connected'));
    };
    await fails('alice', 1, { secrets: { AGORA_CHAT_PASSWORD: 'wrong' } });
    await fails('nobody', 1);
    await fails('alice', 28, { secrets: { AGORA_CHAT_TOKEN: 'YWMtnobody' } });
  });

  for (const [refusal, code] of [
    ['1 Sorry, token expired', 56],
    ['1 Sorry, token or password does not match login info', 28],
    ['1 Sorry, user not found', 204],
    ['2', 2],
    ['4', -3],
    ['11', 2],
    ['12', 57],
    ['13', 214],
    ['20', 220],
  ]) {
    test(`ends with 3 and code ${code} at refusal ${refusal}`, async (t) => {
      const server = await LocalServer.start(t);
      await server.user('alice');
      await server.command(`refuse ${refusal}`);
      const alice = RustClient.start(t, server, 'alice');
      await alice.events.next('error', { code });
      assert.equal(await alice.status(), 3);
    });
  }

  for (const code of [206, 207, 216, 217]) {
    test(`ends with 4 when kicked with ${code}`, async (t) => {
      const server = await LocalServer.start(t);
      const alice = await RustClient.online(t, server, await server.user('alice'));
      await server.command(`kick alice ${code}`);
      await alice.events.next('disconnected', { code });
      assert.equal(await alice.status(), 4);
    });
  }

  test('ends with 4 at the end of its token, unless it is renewed', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('alice');
    const short = async (seconds) => ({ secrets: { AGORA_CHAT_TOKEN: await server.token('alice', seconds) } });

    const renewing = await RustClient.online(t, server, 'alice', await short(3));
    await renewing.events.next('token_will_expire');
    renewing.write(`renew ${await server.token('alice', 600)}`);
    await renewing.events.next('renewed');

    const ending = await RustClient.online(t, server, 'alice', await short(2));
    const warning = await ending.events.next('token_will_expire');
    assert.ok(warning.expires_in_ms > 0 && warning.expires_in_ms <= 400, `${warning.expires_in_ms}`);
    await ending.events.next('token_expired');
    await ending.events.next('disconnected', { code: 56 });
    assert.equal(await ending.status(), 4);
    assert.ok(!renewing.events.names().includes('token_expired'));
  });

  for (const how of ['drop alice fin', 'drop alice rst', 'down']) {
    test(`comes back after \`${how}\``, async (t) => {
      const server = await LocalServer.start(t);
      const alice = await RustClient.online(t, server, await server.user('alice'));
      await server.command(how);
      const { attempt, delay_ms, cause } = await alice.events.next('reconnecting');
      assert.equal(attempt, 1);
      assert.ok(delay_ms <= 1000);
      assert.notEqual(cause, '');
      if (how === 'down') {
        await alice.events.next('reconnecting', { attempt: 2 });
        await server.command('up');
      }
      await alice.events.next('connected', { resumed: true });
      assert.equal(await server.online('alice'), 1);
    });
  }

  test('ends with 5 when the server stays away', async (t) => {
    const server = await LocalServer.start(t);
    await server.user('alice');
    const alice = await RustClient.online(t, server, 'alice', { options: ['--max-attempts', '1'] });
    await server.command('down');
    await alice.events.next('disconnected', { code: 16 });
    assert.equal(await alice.status(), 5);
  });
});
