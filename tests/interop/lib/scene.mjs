// Two accounts that talk: alice on one of the vendor's SDKs, bob on this crate, and the places where both are.
import { Account } from './account.mjs';
import { JsonClient, LocalServer } from './program.mjs';

/** A server with both online, in a group, a thread of it and a chat room; it ends with the test `t`. */
export async function scene(t, sdk) {
  const server = await LocalServer.start(t);
  const alice = new Account(sdk, server, await server.user('alice'));
  const bob = await JsonClient.online(t, server, await server.user('bob'));
  await alice.open();
  const group = (await server.command('group alice bob')).id;
  await bob.events.next('group', { operation: 'directly_joined' });
  const { server_id: origin } = await bob.send('group', group, { type: 'text', text: 'the thread begins here' });
  await alice.events.next('onTextMessage');
  const thread = (await server.command(`thread ${group} ${origin} a thread`)).id;
  const room = (await server.command('room alice')).id;
  await alice.connection.joinChatRoom({ roomId: room });
  await bob.ask({ do: 'join_room', room });
  await alice.events.next('onChatroomEvent');
  return { server, alice, bob, group, origin, thread, room };
}

/** The kinds of conversation: where each is for either side, and what comes with its messages there. */
export function places({ group, origin, thread, room }) {
  const chatThread = { messageId: origin, parentId: group, chatThreadName: 'a thread' };
  const user = { chatType: 'singleChat', shown: {}, kind: 'user', chat: 'single', extras: {} };
  return {
    'to a user': {
      ...user,
      // Where a message of this sender goes, and which conversation it belongs to for its receiver.
      to: (receiver) => receiver,
      of: (sender) => sender,
    },
    'to a group': { chatType: 'groupChat', shown: {}, kind: 'group', chat: 'group', extras: {}, to: () => group, of: () => group },
    'to a thread': {
      chatType: 'groupChat',
      asked: { isChatThread: true },
      shown: { chatThread },
      kind: 'thread',
      chat: 'group',
      extras: { thread: { message_id: origin, group, name: 'a thread' } },
      to: () => thread,
      of: () => thread,
    },
    'to a chat room': {
      chatType: 'chatRoom',
      shown: { priority: 'normal', broadcast: false },
      kind: 'room',
      chat: 'room',
      extras: { priority: 'normal' },
      to: () => room,
      of: () => room,
    },
  };
}

/** What alice's event has to be for a message of bob's, but for its content. */
export function shownByVendor(place, sent, ext = {}) {
  return {
    id: sent.server_id,
    chatType: place.chatType,
    from: 'bob',
    to: place.to('alice'),
    time: sent.timestamp,
    ext,
    onlineState: place.kind === 'room' ? 1 : 3,
    ...place.shown,
  };
}

/** What bob's event has to be for a message of alice's, but for its content. */
export function toldByUs(place, sent, ext = {}) {
  return {
    event: 'message',
    id: sent.serverMsgId,
    from: 'alice',
    to: place.to('bob'),
    chat: place.chat,
    conversation: { kind: place.kind, id: place.of('alice') },
    own: false,
    timestamp: sent.message.time,
    ext,
    extras: place.extras,
  };
}
