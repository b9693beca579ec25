// Chat rooms, and what the service keeps: history, conversations, presence, attributes. Both sides read the same.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sdks } from './lib/browser.mjs';
import { places, scene, shownByVendor, toldByUs } from './lib/scene.mjs';

const hello = (text = 'hello') => ({ type: 'text', text });

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    test('and this crate see each other come into a chat room and leave it', async (t) => {
      const { alice, bob, room } = await scene(t, sdk);
      const shown = async () => (await alice.events.next('onChatroomEvent')).value;
      const told = async () => {
        const { id, timestamp, ...event } = await bob.events.next('room');
        return event;
      };
      const moved = (operation, details) => ({
        ...{ event: 'room', muc: room, name: room, from: 'alice', users: [], reason: null, operation },
        details: { members: ['alice'], ...details },
      });

      assert.deepEqual(await bob.ask({ do: 'leave_room', room }), {});
      assert.deepEqual(await shown(), { operation: 'memberAbsence', id: room, from: 'bob', memberCount: 1 });
      await assert.rejects(bob.send('room', room, hello()), { code: 602 });
      const { created_at, ...info } = await bob.ask({ do: 'join_room', room, ext: 'Grüße 🦀' });
      assert.deepEqual(info, { member_count: 2, all_muted: false, in_allow_list: false, muted_for: null });
      const came = { operation: 'memberPresence', id: room, from: 'bob', memberCount: 2, ext: 'Grüße 🦀' };
      assert.deepEqual(await shown(), came);

      await alice.connection.leaveChatRoom({ roomId: room });
      assert.deepEqual(await told(), moved('members_left', { count: 1, ext: null }));
      await assert.rejects(alice.send({ type: 'txt', chatType: 'chatRoom', to: room, msg: 'x' }), { type: 602 });
      const { data } = await alice.connection.joinChatRoom({ roomId: room, ext: 'Grüße 🦀' });
      assert.deepEqual(await told(), moved('members_joined', { count: 2, ext: 'Grüße 🦀' }));
      const { createTimestamp, memberCount, isAllMembersMuted, isInAllowlist } = data.info;
      assert.deepEqual([createTimestamp, memberCount], [created_at, 2]);
      assert.deepEqual([isAllMembersMuted, isInAllowlist], [false, false]);

      await assert.rejects(alice.connection.joinChatRoom({ roomId: '7' }), { type: 705 });
      await assert.rejects(bob.ask({ do: 'join_room', room: '7' }), { code: 705 });
    });

    test('and this crate leave other chat rooms with a join where they ask for it', async (t) => {
      const { server, alice, bob, room } = await scene(t, sdk);
      const other = (await server.command('room alice')).id;
      await bob.ask({ do: 'join_room', room: other, leave_others: true });
      const { value } = await alice.events.next('onChatroomEvent');
      assert.deepEqual([value.operation, value.id, value.from], ['memberAbsence', room, 'bob']);
      assert.deepEqual((await server.command(`members ${room}`)).members, ['alice']);
    });

    for (const where of ['to a user', 'to a group', 'to a thread', 'to a chat room']) {
      test(`and this crate read the same history of what was said ${where}`, async (t) => {
        const stage = await scene(t, sdk);
        const { alice, bob } = stage;
        const place = places(stage)[where];
        const [shown, told] = [[], []];
        for (let n = 0; n < 4; n++) {
          const ext = { n, list: [n, null] };
          const theirs = { chatType: place.chatType, to: place.to('bob'), ...place.asked, msg: `alice ${n}`, ext };
          const one = await alice.send({ type: 'txt', ...theirs });
          const two = await bob.send(place.kind, place.to('alice'), hello(`bob ${n}`), { ext });
          const { event, ...heard } = toldByUs(place, one, ext);
          told.push({ ...heard, body: hello(`alice ${n}`) });
          const own = { from: 'bob', to: place.to('alice'), own: true, id: two.server_id, timestamp: two.timestamp };
          const conversation = { kind: place.kind, id: place.to('alice') };
          told.push({ ...heard, ...own, conversation, body: hello(`bob ${n}`) });
          const mine = { id: one.serverMsgId, from: 'alice', to: place.to('bob'), time: one.message.time };
          shown.push({ ...shownByVendor(place, two, ext), ...mine, type: 'txt', msg: `alice ${n}` });
          shown.push({ ...shownByVendor(place, two, ext), type: 'txt', msg: `bob ${n}` });
        }
        // Back in time, three at a time, to the end: in a group and a chat room others may have spoken before.
        const [read, seen] = [[], []];
        let start;
        do {
          const page = await bob.ask({ do: 'history', of: { kind: place.kind, id: place.to('alice') }, limit: 3, start });
          assert.equal(page.skipped, 0);
          read.push(...page.messages);
          start = page.next ?? undefined;
        } while (start);
        for (let cursor = -1, more = true; more; ) {
          const page = { targetId: place.of('bob'), chatType: place.chatType, pageSize: 3, cursor };
          const { messages, isLast, cursor: next } = await alice.connection.getHistoryMessages(page);
          seen.push(...messages);
          [cursor, more] = [next, !isLast];
        }
        for (const message of read.filter((message) => message.own)) {
          assert.match(message.extras.from_device, /^rust_/);
          delete message.extras.from_device;
        }
        assert.equal(read.length, seen.length);
        assert.deepEqual(read.slice(0, 8), told.toReversed());
        assert.deepEqual(seen.slice(0, 8), shown.toReversed());
        const forward = await bob.ask({ do: 'history', of: { kind: place.kind, id: place.to('alice') }, limit: 50, forward: true });
        assert.deepEqual(forward.messages.map(({ id }) => id), seen.map(({ id }) => id).toReversed());
      });
    }

    test('and this crate list the same conversations', async (t) => {
      const { alice, bob, group, thread, origin } = await scene(t, sdk);
      await alice.send({ type: 'txt', to: 'bob', msg: 'one' });
      const last = await alice.send({ type: 'txt', to: 'bob', msg: 'tow', ext: { a: [1] } });
      const modifiedMessage = sdk.message.create({ type: 'txt', chatType: 'singleChat', to: 'bob', msg: 'two' });
      const { modifiedInfo } = await alice.connection.modifyMessage({ messageId: last.serverMsgId, modifiedMessage });
      const said = await bob.send('thread', thread, hello('within'));
      await bob.events.next('edited');
      const listed = await bob.ask({ do: 'conversations', limit: 50 });
      const by = (id) => listed.conversations.find(({ conversation }) => conversation.id === id);
      const plain = { pinned: false, pinned_at: 0, marks: [] };
      const edit = { count: 1, operator: 'alice', time: modifiedInfo.operationTime };
      const from = { from: 'alice', to: 'bob', chat: 'single', own: false };
      const conversation = { kind: 'user', id: 'alice' };
      assert.deepEqual(by('alice'), {
        ...{ ...plain, conversation, unread: 2 },
        last_message: {
          ...{ ...from, id: last.serverMsgId, timestamp: last.message.time, conversation, body: hello('two') },
          ...{ ext: { a: [1] }, extras: { edit } },
        },
      });
      const { last_message } = by(thread);
      assert.deepEqual([last_message.id, last_message.body], [said.server_id, hello('within')]);
      assert.deepEqual(last_message.conversation, { kind: 'thread', id: thread });
      assert.deepEqual(last_message.extras, { thread: { message_id: origin, group, name: 'a thread' } });

      const { data } = await alice.connection.getServerConversations({ pageSize: 50 });
      const theirs = data.conversations.map(({ conversationId: id, lastMessage: { id: last } }) => [id === 'bob' ? 'alice' : id, last]);
      assert.deepEqual(listed.conversations.map(({ conversation: { id }, last_message: { id: last } }) => [id, last]), theirs);

      await bob.ask({ do: 'conversation_read', of: { kind: 'user', id: 'alice' } });
      await alice.events.next('onChannelMessage');
      const [first] = (await bob.ask({ do: 'conversations', limit: 50 })).conversations.filter(({ conversation: { id } }) => id === 'alice');
      assert.equal(first.unread, 0);
    });

    test('and this crate see each other come, go and speak of themselves', async (t) => {
      const { server, alice, bob } = await scene(t, sdk);
      const [{ resource: page }] = (await server.command('sessions alice')).sessions;
      const [{ resource: device }] = (await server.command('sessions bob')).sessions;

      const { users } = await bob.ask({ do: 'subscribe_presence', users: ['alice'], seconds: 1000 });
      const [{ expires, ...now }] = users;
      assert.deepEqual(now, { user: 'alice', text: '', devices: { [page]: 1 }, last_seen: now.last_seen });
      await alice.connection.publishPresence({ description: 'Mittag 🍜' });
      const { id, ...told } = await bob.events.next('presence');
      const [{ last_seen }] = told.users;
      const state = { user: 'alice', text: 'Mittag 🍜', devices: { [page]: 1 }, last_seen };
      assert.deepEqual(told, { event: 'presence', users: [{ ...state, expires }] });
      const asked = await bob.ask({ do: 'presence', users: ['alice'] });
      assert.deepEqual(asked.users, [{ ...state, expires: 0 }]);

      const answer = await alice.connection.subscribePresence({ usernames: ['bob'], expiry: 1000 });
      const [{ uid, expiry, status }] = answer.result;
      assert.deepEqual([uid, status], ['bob', { [device]: '1' }]);
      await bob.ask({ do: 'publish_presence', text: 'Mittag 🍜' });
      const [shown] = (await alice.events.next('onPresenceStatusChange')).value;
      const statusDetails = [{ device, status: 1 }];
      const seen = { userId: 'bob', lastTime: shown.lastTime, expire: Number(expiry), ext: 'Mittag 🍜', statusDetails };
      assert.deepEqual(shown, seen);

      bob.write('{"do":"close"}');
      const [gone] = (await alice.events.next('onPresenceStatusChange')).value;
      assert.deepEqual([gone.userId, gone.statusDetails.filter(({ status }) => status !== 0)], ['bob', []]);
    });

    test('and this crate read the attributes that the other sets', async (t) => {
      const { alice, bob } = await scene(t, sdk);
      const own = { nickname: 'Bób é+&=%', avatarurl: 'http://h/?a=b&c', sign: '', ext: '{"a":[1]}', gender: '2' };
      await bob.ask({ do: 'set_attributes', attributes: own });
      const theirs = { nickname: 'Älice +&=% 🦀', mail: 'a@b.c', phone: '+49 1', birth: '2000-01-01' };
      await alice.connection.updateUserInfo(theirs);
      const both = { alice: theirs, bob: own };
      const { data } = await alice.connection.fetchUserInfoById(['alice', 'bob']);
      assert.deepEqual(data, both);
      assert.deepEqual((await bob.ask({ do: 'attributes', users: ['alice', 'bob'] })).users, both);
    });

    test('and this crate read numbers at the edges by the rules of the protocol', async (t) => {
      const { alice, bob } = await scene(t, sdk);
      const odd = { nan: NaN, most: Infinity, big: 2 ** 60, nothing: undefined, bigint: 12n, call() {} };
      const sent = await alice.send({ type: 'txt', to: 'bob', msg: 'x', ext: odd });
      const { ext } = await bob.events.next('message', { id: sent.serverMsgId });
      const { call, ...numbers } = ext;
      assert.deepEqual(numbers, { nan: 'NaN', most: 'inf', big: 2 ** 60, bigint: '12' });
      assert.equal(typeof call, 'string');

      // Written by hand, for JavaScript has no such numbers. The SDK rounds what goes beyond 2^53.
      const own = '{"max":9223372036854775807,"min":-9223372036854775808,"beyond":18446744073709551615,"one":1.0}';
      bob.write(`{"do":"send","to":{"kind":"user","id":"alice"},"body":{"type":"text","text":"x"},"ext":${own}}`);
      const { value } = await alice.events.next('onTextMessage');
      assert.deepEqual(value.ext, { max: 2 ** 63, min: -(2 ** 63), beyond: '18446744073709551615', one: 1 });
    });
  });
}
