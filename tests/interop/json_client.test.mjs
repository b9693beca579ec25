// The contract of `examples/json_client` beyond its messages: how requests are answered and how it ends.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { JsonClient, LocalServer } from './lib/program.mjs';

describe('json_client', { concurrency: true }, () => {
  test('answers with the request\'s own `ref`, whatever that is, and events have none', async (t) => {
    const server = await LocalServer.start(t);
    const alice = await JsonClient.online(t, server, await server.user('alice'));
    for (const ref of ['a', 7.5, null, { deep: [1] }]) {
      const heard = new Promise((resolve) => {
        alice.hear = (line) => 'ref' in line && resolve(line);
      });
      alice.write(JSON.stringify({ do: 'attributes', users: ['alice'], ref }));
      assert.deepEqual(await heard, { event: 'attributes', users: { alice: {} }, ref });
      delete alice.hear;
    }
  });

  test('refuses what it does not know, without a number, and goes on', async (t) => {
    const server = await LocalServer.start(t);
    const alice = await JsonClient.online(t, server, await server.user('alice'));
    const text = { type: 'text', text: 'x' };
    const to = { kind: 'user', id: 'alice' };
    for (const [request, says] of [
      [{ do: 'dance' }, /unknown variant `dance`/],
      [{}, /missing field `do`/],
      [{ do: 'send', to, body: text, extt: {} }, /unknown field `extt`/],
      [{ do: 'send', to: { kind: 'planet', id: '3' }, body: text }, /unknown variant `planet`/],
      [{ do: 'recall', from: to, id: 7 }, /expected a string/],
      [{ do: 'send', to, body: { type: 'file', file: { name: 'x', base64: '?' } } }, /Invalid/],
      [{ do: 'send', to, body: { type: 'combined', title: '', summary: '', compatible_text: '' } }, /either/],
    ]) {
      await assert.rejects(alice.ask(request), (error) => error.code === null && says.test(error.message), `${says}`);
    }
    for (const line of ['{', '[]', '7', '']) {
      alice.write(line);
      const { code, message } = await alice.events.next('error');
      assert.equal(code, null);
      assert.match(message, /no JSON object/);
    }
    await assert.rejects(alice.ask({ do: 'send', to: { kind: 'user', id: '' }, body: text }), { code: 205 });
    assert.deepEqual(await alice.ask({ do: 'attributes', users: ['alice'] }), { users: { alice: {} } });
  });

  test('keeps the client id it is given', async (t) => {
    const server = await LocalServer.start(t);
    const alice = await JsonClient.online(t, server, await server.user('alice'));
    await server.user('bob');
    const send = () => alice.send('user', 'bob', { type: 'text', text: 'x' }, { client_id: '1157777777777777777' });
    const first = await send();
    assert.equal(first.client_id, '1157777777777777777');
    assert.equal((await send()).server_id, first.server_id);
  });

  test('ends with 0 when asked to, 3 without a login, and 4 when it is put out', async (t) => {
    const server = await LocalServer.start(t);
    const alice = await JsonClient.online(t, server, await server.user('alice'));
    alice.write('{"do":"close"}');
    await alice.events.next('disconnected', { code: null });
    assert.equal(await alice.status(), 0);
    assert.equal(await server.online('alice'), 0);

    const bob = await JsonClient.online(t, server, await server.user('bob'));
    await server.command('kick bob 217');
    await bob.events.next('disconnected', { code: 217 });
    assert.equal(await bob.status(), 4);

    const nobody = JsonClient.start(t, server, 'nobody');
    await nobody.events.next('error');
    assert.equal(await nobody.status(), 3);
  });
});
