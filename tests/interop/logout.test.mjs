import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Account } from './lib/account.mjs';
import { sdks } from './lib/browser.mjs';
import { LocalServer } from './lib/program.mjs';

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    for (const [code, how] of [
      [206, 'kick alice 206 from the office'],
      [207, 'kick alice 207'],
      [216, 'kick alice 216'],
      [217, 'kick alice 217'],
      [207, 'delete alice'],
      [216, 'password alice other'],
    ]) {
      test(`hears \`${how}\` as ${code}, stays away and may log in again`, async (t) => {
        const server = await LocalServer.start(t);
        const alice = new Account(sdk, server, await server.user('alice'));
        await alice.open();
        await server.command(how);
        const error = await alice.events.next('onError', { type: code });
        const end = await alice.events.next('onDisconnected', { type: code });
        if (code === 206) {
          assert.equal(error.value.data.loginInfoCustomExt, 'from the office');
          assert.equal(end.value.data.loginInfoCustomExt, 'from the office');
        }
        assert.equal(await server.online('alice'), 0);
        await server.command('user alice pw-alice').catch(() => server.command('password alice pw-alice'));
        await alice.open();
        assert.ok(!alice.events.names().includes('onReconnecting'), `${alice.events.names()}`);
      });
    }

    test('is warned of the end of its token and logged out at that end', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await alice.openByToken(await server.token('alice', 2));
      await alice.events.next('onTokenWillExpire');
      await alice.events.next('onTokenExpired');
      const end = await alice.events.next('onDisconnected');
      assert.equal(end.value, undefined);
    });

    test('renews its token in time and stays', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await alice.openByToken(await server.token('alice', 3));
      await alice.events.next('onTokenWillExpire');
      const token = await server.token('alice', 600);
      const renewed = await alice.connection.renewToken(token);
      assert.equal(renewed.status, true);
      assert.equal(renewed.token, token);
      assert.ok(renewed.expire > Date.now() + 500_000);
      await assert.rejects(alice.connection.renewToken('YWMtnobody'), { type: 52 });
      // The renewed token serves the way back, too.
      await server.command('drop alice fin');
      await alice.events.next('onReconnecting');
      await alice.events.next('onConnected');
      assert.ok(!alice.events.names().includes('onTokenExpired'));
    });

    test('closes and may log in again', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await alice.open();
      alice.connection.close();
      const end = await alice.events.next('onDisconnected');
      assert.equal(end.value, undefined);
      await alice.open();
      assert.ok(!alice.events.names().includes('onError'));
    });
  });
}
