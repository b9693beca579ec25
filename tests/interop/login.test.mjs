import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Account } from './lib/account.mjs';
import { sdks } from './lib/browser.mjs';
import { LocalServer } from './lib/program.mjs';

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    test('registers a user who can log in by password', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, 'alice');
      const registered = await alice.connection.registerUser({ username: 'Alice', password: 'pw-alice' });
      assert.equal(registered.entities[0].username, 'alice');
      const answer = await alice.open();
      assert.equal(typeof answer.accessToken, 'string');
      assert.equal(await server.online('alice'), 1);
    });

    test('logs in by token', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await alice.openByToken(await server.token('alice'));
      assert.equal(await server.online('alice'), 1);
    });

    test('finds the server by discovery', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'), { isHttpDNS: true, apiUrl: '', url: '' });
      // The vendor's own hosts cannot be replaced by an option.
      Object.assign(alice.connection, { dnsArr: [server.discovery_url], dnsTotal: 1 });
      await alice.open();
      assert.equal(await server.online('alice'), 1);
    });

    test('is told of a wrong password and an unknown user by code 1, and of a taken name by code 17', async (t) => {
      const server = await LocalServer.start(t);
      const { connection, events } = new Account(sdk, server, await server.user('alice'));
      await assert.rejects(connection.open({ user: 'alice', pwd: 'wrong' }), { type: 1, message: 'invalid password' });
      await assert.rejects(connection.open({ user: 'nobody', pwd: 'pw' }), { type: 1, message: 'user not found' });
      await assert.rejects(connection.registerUser({ username: 'alice', password: 'pw' }), { type: 17 });
      assert.deepEqual(events.names(), []);
    });

    const newer = name === 'easemob-websdk';
    for (const [refusal, code] of [
      ['1 Sorry, token expired', 56],
      ['1 Sorry, token or password does not match login info', 28],
      ['1 Sorry, user not found', 204],
      ['1 Sorry, user register limit', 50],
      ['1 something else', 2],
      ['2', 2],
      ['4', -3],
      ['7 Sorry, the app online count limit', 50],
      ['12', 57],
      ['13', newer ? 214 : 2],
      ['20', newer ? 220 : 2],
    ]) {
      test(`hears refusal ${refusal} as ${code} and logs in once the server accepts again`, async (t) => {
        const server = await LocalServer.start(t);
        const alice = new Account(sdk, server, await server.user('alice'));
        await server.command(`refuse ${refusal}`);
        await assert.rejects(alice.open(), { type: code });
        await alice.events.next('onError', { type: code });
        await alice.events.next('onDisconnected', { type: code });
        await server.command('accept');
        await alice.open();
      });
    }

    test('is refused with 28 when its token is not one of the server', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await assert.rejects(alice.openByToken('YWMtnobody'), { type: 28 });
    });
  });
}
