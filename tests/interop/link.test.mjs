import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Account } from './lib/account.mjs';
import { sdks } from './lib/browser.mjs';
import { LocalServer } from './lib/program.mjs';

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    for (const how of ['fin', 'rst']) {
      test(`comes back after a ${how}`, async (t) => {
        const server = await LocalServer.start(t);
        const alice = new Account(sdk, server, await server.user('alice'));
        await alice.open();
        await server.command(`drop alice ${how}`);
        await alice.events.next('onReconnecting');
        await alice.events.next('onConnected');
        assert.equal(await server.online('alice'), 1);
        assert.deepEqual(alice.events.names(), ['onConnected', 'onReconnecting', 'onConnected']);
      });
    }

    test('comes back when the server does', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await alice.open();
      await server.command('down');
      await alice.events.next('onReconnecting');
      await alice.events.next('onReconnecting');
      await server.command('up');
      await alice.events.next('onConnected');
      assert.ok(!alice.events.names().includes('onDisconnected'));
    });

    test('gives up with 16 when the server stays away', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'), { autoReconnectNumMax: 1 });
      await alice.open();
      await server.command('down');
      await alice.events.next('onDisconnected', { type: 16 });
    });

    test('is refused with 16 when no upgrade is accepted', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await server.command('refuse-upgrades 503');
      await assert.rejects(alice.open(), { type: 16 });
    });
  });
}
