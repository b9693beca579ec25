// Receipts, recalls, edits and the ways a message can be sent, both ways: what one side did is what the other is told.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Account } from './lib/account.mjs';
import { sdks } from './lib/browser.mjs';
import { JsonClient } from './lib/program.mjs';
import { places, scene, shownByVendor, toldByUs } from './lib/scene.mjs';

const hello = (text = 'hello') => ({ type: 'text', text });

/** What the numbers of an answer mean to the SDK and to this crate alike. */
const REFUSALS = [
  ['7 user is mute', 219],
  ['7 traffic limit', 509],
  ['7 sensitive words', 501],
  ['15', 507],
  ['19 not today', 502],
  ['1 nonroster', 221],
  ['1 blocked', 603],
  ['1 moderation by somebody', 508],
  ['1 something new', 503],
];

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    test('is told of the receipts of this crate', async (t) => {
      const { alice, bob, group } = await scene(t, sdk);
      const one = await alice.send({ type: 'txt', to: 'bob', msg: 'one' });
      const id = one.serverMsgId;
      const single = (type, sent) => ({ id: sent.server_id, type, from: 'bob', to: 'alice', mid: id, onlineState: 3 });

      const delivered = await bob.ask({ do: 'delivered', to: 'alice', id });
      assert.deepEqual((await alice.events.next('onDeliveredMessage')).value, single('delivery', delivered));
      const read = await bob.ask({ do: 'read', to: 'alice', id });
      assert.deepEqual((await alice.events.next('onReadMessage')).value, single('read', read));
      const all = await bob.ask({ do: 'conversation_read', of: { kind: 'user', id: 'alice' } });
      assert.deepEqual((await alice.events.next('onChannelMessage')).value, {
        ...{ id: all.server_id, type: 'channel', chatType: 'singleChat', from: 'bob', to: 'alice' },
        ...{ time: all.timestamp, onlineState: 3 },
      });

      const asked = { msgConfig: { allowGroupAck: true } };
      const two = await alice.send({ type: 'txt', chatType: 'groupChat', to: group, msg: 'two', ...asked });
      const heard = await bob.events.next('message', { id: two.serverMsgId });
      assert.deepEqual(heard.extras, { wants_group_receipts: true });
      const told = await bob.ask({ do: 'group_read', group, id: heard.id, content: 'gelesen 👍' });
      assert.deepEqual((await alice.events.next('onReadMessage')).value, {
        ...{ id: told.server_id, type: 'read', from: 'bob', to: group, mid: heard.id, onlineState: 3 },
        ...{ groupReadCount: { [heard.id]: 1 }, ackContent: 'gelesen 👍' },
      });
    });

    test('tells this crate of its receipts', async (t) => {
      const { alice, bob, group } = await scene(t, sdk);
      const { server_id: id } = await bob.send('user', 'alice', hello());
      const told = (sent, kind, messages = [id]) => ({
        ...{ event: 'receipt', id: sent.serverMsgId, from: 'alice', to: 'bob', own: false, messages, kind },
      });
      const next = async () => {
        const { timestamp, ...receipt } = await bob.events.next('receipt');
        assert.ok(timestamp > 0);
        return receipt;
      };
      const delivered = await alice.send({ type: 'delivery', to: 'bob', ackId: id });
      assert.deepEqual(await next(), told(delivered, { type: 'delivered' }));
      const read = await alice.send({ type: 'read', to: 'bob', id });
      assert.deepEqual(await next(), told(read, { type: 'read' }));
      const all = await alice.send({ type: 'channel', to: 'bob' });
      assert.deepEqual(await next(), told(all, { type: 'conversation' }, []));

      const sent = await bob.send('group', group, hello(), { group_receipts: true });
      assert.equal((await alice.shown('onTextMessage', sent.server_id)).msgConfig.allowGroupAck, true);
      const more = { chatType: 'groupChat', to: group, ackContent: 'gelesen 👍', msgConfig: { allowGroupAck: true } };
      const receipt = await alice.send({ type: 'read', id: sent.server_id, ...more });
      const kind = { type: 'group_read', counts: { [sent.server_id]: 1 }, content: 'gelesen 👍' };
      assert.deepEqual(await next(), { ...told(receipt, kind, [sent.server_id]), to: group });
    });

    test('counts who read in a group, together with this crate', async (t) => {
      const stage = await scene(t, sdk);
      const { server, alice, bob, group } = stage;
      await server.user('carol');
      await server.command(`add-member ${group} carol`);
      const carol = await JsonClient.online(t, server, 'carol');
      const asked = { msgConfig: { allowGroupAck: true } };
      const { serverMsgId: id } = await alice.send({ type: 'txt', chatType: 'groupChat', to: group, msg: 'x', ...asked });
      for (const [reader, count] of [[bob, 1], [carol, 2]]) {
        await reader.ask({ do: 'group_read', group, id });
        const { value } = await alice.events.next('onReadMessage');
        assert.deepEqual([value.from, value.groupReadCount], [reader.user, { [id]: count }]);
      }
    });

    test('and this crate answer what arrives with delivery receipts where they are told to', async (t) => {
      const stage = await scene(t, sdk);
      const { server, alice, bob } = stage;
      const carol = await JsonClient.online(t, server, await server.user('carol'), ['--delivery-receipts']);
      const dora = new Account(sdk, server, await server.user('dora'), { delivery: true });
      await dora.open();
      const sent = await alice.send({ type: 'txt', to: 'carol', msg: 'x' });
      const { value } = await alice.events.next('onDeliveredMessage');
      assert.deepEqual([value.mid, value.from, value.to], [sent.serverMsgId, carol.user, 'alice']);
      const { server_id } = await bob.send('user', 'dora', { type: 'command', action: 'x' });
      const receipt = await bob.events.next('receipt');
      assert.deepEqual([receipt.messages, receipt.from, receipt.kind], [[server_id], 'dora', { type: 'delivered' }]);
    });

    for (const where of ['to a user', 'to a group']) {
      test(`is told of recalls and edits of this crate ${where}`, async (t) => {
        const stage = await scene(t, sdk);
        const { alice, bob } = stage;
        const place = places(stage)[where];
        const within = { kind: place.kind, id: place.to('alice') };
        const next = async (event) => (await alice.events.next(event)).value;

        const sent = await bob.send(within.kind, within.id, hello('at first'), { ext: { a: 1 } });
        for (const [count, more, ext] of [[1, {}, { a: 1 }], [2, { ext: { b: [null] } }, { b: [null] }]]) {
          const text = `before, ${count}`;
          const { edit, ...answer } = await bob.ask({ do: 'edit', within, id: sent.server_id, body: hello(text), ...more });
          const { time, ...rest } = edit;
          assert.equal(time, answer.timestamp);
          assert.deepEqual(rest, { count, operator: 'bob', sender: 'bob', sent_at: sent.timestamp, chat: place.chat });
          // The SDK shows the attributes that came with the edit, and none where they stayed as they were.
          assert.deepEqual(await next('onModifiedMessage'), {
            ...{ ...shownByVendor(place, sent, more.ext ?? {}), type: 'txt', msg: text },
            modifiedInfo: { operationTime: time, operatorId: 'bob', operationCount: count },
          });
          const target = { targetId: place.of('bob'), chatType: place.chatType, pageSize: 1 };
          const { messages } = await alice.connection.getHistoryMessages(target);
          assert.deepEqual([messages[0].msg, messages[0].ext], [text, ext]);
        }
        for (const ext of [undefined, 'warum 🤔']) {
          const gone = await bob.send(within.kind, within.id, hello());
          const recall = await bob.ask({ do: 'recall', from: within, id: gone.server_id, ext });
          const { ext: shown = '', ...value } = await next('onRecallMessage');
          assert.deepEqual(value, { id: recall.server_id, from: 'bob', to: within.id, mid: gone.server_id, onlineState: 3 });
          assert.equal(shown, ext ?? '');
        }
      });

      test(`tells this crate of its recalls and edits ${where}`, async (t) => {
        const stage = await scene(t, sdk);
        const { alice, bob } = stage;
        const place = places(stage)[where];
        const [to, { chatType }] = [place.to('bob'), place];

        const sent = await alice.send({ type: 'txt', chatType, to, msg: 'at first', ext: { a: 1 } });
        for (const [count, ext] of [[1, undefined], [2, { b: [null] }]]) {
          const msg = `before, ${count}`;
          const modifiedMessage = sdk.message.create({ type: 'txt', chatType, to, msg, ext });
          const { modifiedInfo } = await alice.connection.modifyMessage({ messageId: sent.serverMsgId, modifiedMessage });
          const { id, ...heard } = await bob.events.next('edited');
          const edit = { count, operator: 'alice', time: modifiedInfo.operationTime };
          const { event, ...message } = toldByUs(place, sent, ext ?? {});
          assert.deepEqual(heard, {
            ...{ event: 'edited', timestamp: edit.time, replaces_ext: ext !== undefined },
            message: { ...message, body: hello(msg), extras: { ...place.extras, edit } },
          });
        }
        for (const ext of [undefined, 'warum 🤔']) {
          const gone = await alice.send({ type: 'txt', chatType, to, msg: 'gone' });
          const recall = await alice.connection.recallMessage({ mid: gone.serverMsgId, to, chatType, ext });
          const { timestamp, ...heard } = await bob.events.next('recalled');
          assert.ok(timestamp >= gone.message.time);
          assert.deepEqual(heard, {
            ...{ event: 'recalled', id: recall.serverMsgId, from: 'alice', to, own: false, group: place.kind === 'group' },
            ...{ message: gone.serverMsgId, ext: ext ?? null },
          });
        }
      });
    }

    test('and this crate may recall and edit what is known only, and their own', async (t) => {
      const { server, alice, bob } = await scene(t, sdk);
      const { serverMsgId } = await alice.send({ type: 'txt', to: 'bob', msg: 'x' });
      const { server_id } = await bob.send('user', 'alice', hello());
      const to = { kind: 'user', id: 'alice' };
      const edit = (messageId) => {
        const modifiedMessage = sdk.message.create({ type: 'txt', chatType: 'singleChat', to: 'bob', msg: 'y' });
        return alice.connection.modifyMessage({ messageId, modifiedMessage });
      };
      await assert.rejects(bob.ask({ do: 'edit', within: to, id: serverMsgId, body: hello() }), { code: 603 });
      await assert.rejects(edit(server_id), { type: 603 });
      await assert.rejects(bob.ask({ do: 'edit', within: to, id: '7', body: hello() }), { code: 1302 });
      await assert.rejects(edit('7'), { type: 1302 });
      await server.command('recall-window 0');
      await assert.rejects(bob.ask({ do: 'recall', from: to, id: server_id }), { code: 504 });
      const recall = { mid: serverMsgId, to: 'bob', chatType: 'singleChat' };
      await assert.rejects(alice.connection.recallMessage(recall), { type: 504 });
    });

    test('and this crate give the same number for a refused send', async (t) => {
      const { server, alice, bob } = await scene(t, sdk);
      for (const [refusal, number] of REFUSALS) {
        await server.command(`refuse-sends alice 1 ${refusal}`);
        await server.command(`refuse-sends bob 1 ${refusal}`);
        await assert.rejects(alice.send({ type: 'txt', to: 'bob', msg: 'x' }), { type: number }, refusal);
        await assert.rejects(bob.send('user', 'alice', hello()), { code: number }, refusal);
      }
      const nowhere = { type: 'txt', chatType: 'groupChat', to: '1', msg: 'x' };
      const { type } = await alice.send(nowhere).then(assert.fail, (error) => error);
      await assert.rejects(bob.send('group', '1', hello()), { code: type });
    });

    test('and this crate leave each other messages for some, for those online, and by priority', async (t) => {
      const stage = await scene(t, sdk);
      const { server, alice, bob, group, room } = stage;
      await server.user('carol');
      await server.command(`add-member ${group} carol`);
      const carol = await JsonClient.online(t, server, 'carol');
      const kinds = places(stage);

      // To bob alone, and to alice alone; what follows is carol's first.
      const one = await alice.send({ type: 'txt', chatType: 'groupChat', to: group, msg: 'one', receiverList: ['bob'] });
      const heard = await bob.events.next('message', { id: one.serverMsgId });
      assert.deepEqual(heard, { ...toldByUs(kinds['to a group'], one), body: hello('one') });
      const two = await bob.send('group', group, hello('two'), { directed: ['alice'] });
      const value = await alice.shown('onTextMessage', two.server_id);
      assert.deepEqual(value, { ...shownByVendor(kinds['to a group'], two), type: 'txt', msg: 'two' });
      await bob.send('group', group, hello('three'));
      assert.deepEqual((await carol.events.next('message')).body, hello('three'));

      // To those online, which bob and alice are and carol is not.
      carol.write('{"do":"close"}');
      assert.equal(await carol.status(), 0);
      const online = { chatType: 'groupChat', to: group, msg: 'four', deliverOnlineOnly: true };
      const four = await alice.send({ type: 'txt', ...online });
      await bob.events.next('message', { id: four.serverMsgId });
      const five = await bob.send('group', group, hello('five'), { online_only: true });
      await alice.shown('onTextMessage', five.server_id);
      await bob.send('group', group, hello('six'));
      const back = await JsonClient.online(t, server, 'carol');
      assert.deepEqual((await back.events.next('message')).body, hello('six'));

      for (const priority of ['high', 'normal', 'low']) {
        const sent = await alice.send({ type: 'txt', chatType: 'chatRoom', to: room, msg: priority, priority });
        const told = await bob.events.next('message', { id: sent.serverMsgId });
        assert.deepEqual(told.extras, { priority });
        const answer = await bob.send('room', room, hello(priority), { priority });
        assert.equal((await alice.shown('onTextMessage', answer.server_id)).priority, priority);
      }
    });

    test('and this crate see what their own user says on another device', async (t) => {
      const stage = await scene(t, sdk);
      const { server, alice, bob, group } = stage;
      const desk = await JsonClient.online(t, server, 'alice', ['--resource', 'desk']);
      const page = new Account(sdk, server, 'bob');
      await page.open();
      for (const where of ['to a user', 'to a group']) {
        const place = places(stage)[where];
        const sent = await alice.send({ type: 'txt', chatType: place.chatType, to: place.to('bob'), msg: 'mine' });
        const { extras, ...heard } = await desk.events.next('message', { id: sent.serverMsgId });
        const told = { ...toldByUs(place, sent), own: true, conversation: { kind: place.kind, id: place.to('bob') } };
        delete told.extras;
        assert.deepEqual(heard, { ...told, body: hello('mine') });
        assert.match(extras.from_device, /^webim_/);

        const answer = await bob.send(place.kind, place.to('alice'), hello('mine'));
        const value = await page.shown('onTextMessage', answer.server_id);
        assert.deepEqual(value, { ...shownByVendor(place, answer), type: 'txt', msg: 'mine' });
      }
      const { serverMsgId } = await alice.send({ type: 'txt', to: 'bob', msg: 'x' });
      await alice.connection.recallMessage({ mid: serverMsgId, to: 'bob', chatType: 'singleChat' });
      const recalled = await desk.events.next('recalled');
      assert.deepEqual([recalled.own, recalled.message, recalled.from], [true, serverMsgId, 'alice']);
      await alice.send({ type: 'channel', chatType: 'groupChat', to: group });
      const receipt = await desk.events.next('receipt');
      assert.deepEqual([receipt.own, receipt.to, receipt.kind], [true, group, { type: 'conversation' }]);
    });
  });
}
