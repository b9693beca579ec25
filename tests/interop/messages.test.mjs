import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Account } from './lib/account.mjs';
import { sdks } from './lib/browser.mjs';
import { LocalServer, RustClient } from './lib/program.mjs';

const TEXT = 'Grüße, 世界 🦀';

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    test('exchanges texts with this crate', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      const bob = await RustClient.online(t, server, await server.user('bob'));
      await alice.open();

      const sent = await alice.sendText('bob', TEXT);
      const heard = await bob.events.next('message');
      const { from, to, chat, type, text, id } = heard;
      assert.deepEqual({ from, to, chat, type, text }, { from: 'alice', to: 'bob', chat: 'single', type: 'text', text: TEXT });
      assert.equal(id, sent.serverMsgId);

      bob.write(`send alice ${TEXT}`);
      const answer = await alice.events.next('onTextMessage');
      assert.equal(answer.value.msg, TEXT);
      assert.equal(answer.value.from, 'bob');
      const receipt = await bob.events.next('sent');
      assert.equal(answer.value.id, receipt.server_id);
    });

    test('exchanges commands with this crate', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      const bob = await RustClient.online(t, server, await server.user('bob'));
      await alice.open();

      await alice.sendCommand('bob', 'wave');
      await bob.events.next('message', { type: 'command', action: 'wave', from: 'alice' });
      bob.write('cmd alice wave back');
      const answer = await alice.events.next('onCmdMessage');
      assert.equal(answer.value.action, 'wave back');
    });

    test('leaves texts for this crate to fetch at its next login, in order', async (t) => {
      const server = await LocalServer.start(t);
      const alice = new Account(sdk, server, await server.user('alice'));
      await server.user('bob');
      await alice.open();
      const texts = Array.from({ length: 25 }, (_, n) => `text ${n}`);
      for (const text of texts) await alice.sendText('bob', text);
      const bob = await RustClient.online(t, server, 'bob');
      for (const text of texts) await bob.events.next('message', { text });
      assert.equal(bob.events.names().filter((event) => event === 'message').length, texts.length);
    });

    for (const [other, otherSdk] of Object.entries(sdks)) {
      test(`sends a text to ${other}, online and away`, async (t) => {
        const server = await LocalServer.start(t);
        const alice = new Account(sdk, server, await server.user('alice'));
        const carol = new Account(otherSdk, server, await server.user('carol'));
        await alice.open();
        await carol.open();
        await alice.sendText('carol', TEXT);
        const heard = await carol.events.next('onTextMessage');
        assert.equal(heard.value.msg, TEXT);
        assert.equal(heard.value.from, 'alice');
        carol.connection.close();
        await carol.events.next('onDisconnected');
        await alice.sendText('carol', 'while you were away');
        await carol.open();
        const fetched = await carol.events.next('onTextMessage');
        assert.equal(fetched.value.msg, 'while you were away');
      });
    }
  });
}
