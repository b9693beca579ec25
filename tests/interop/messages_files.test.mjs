// Files, both ways: the bytes that come out are those that went in, and the share-secret opens them.
import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import { describe, test } from 'node:test';
import { sdks } from './lib/browser.mjs';
import { places, scene, shownByVendor, toldByUs } from './lib/scene.mjs';

/** Every byte, more than one piece of it, and no whole number of pieces. */
const BYTES = Buffer.from(Array.from({ length: 200_001 }, (_, n) => (n * n + (n >> 8)) & 255));
const EXT = { n: 1, text: 'ü', list: [null] };

/** A file as the SDK takes it from a page. */
const picked = (name, bytes = BYTES) => ({
  data: new File([bytes], name, { type: name.endsWith('.gif') ? 'image/gif' : 'application/octet-stream' }),
  filename: name,
  filetype: name.split('.').pop(),
  url: '',
});

/** What the SDK leaves in its events for messages of a file, beside the message itself. */
const leftovers = (account) => ({ file: {}, filetype: '', accessToken: account.connection.token });

/** What alice sends beside the file and what bob is told beside it. */
const SENT = {
  'an image': { vendor: { type: 'img', width: 30, height: 40 }, told: { type: 'image', width: 30, height: 40, gif: false } },
  'an animated image': {
    vendor: { type: 'img', isGif: true },
    name: 'moving.gif',
    told: { type: 'image', width: 0, height: 0, gif: true },
  },
  'a voice': { vendor: { type: 'audio', length: 5 }, told: { type: 'voice', seconds: 5 } },
  'a video': { vendor: { type: 'video', length: 6 }, told: { type: 'video', seconds: 6, width: 0, height: 0 } },
  'a file': { vendor: { type: 'file' }, told: { type: 'file' } },
  'an empty name': { vendor: { type: 'file' }, name: '', told: { type: 'file' } },
};

/** What bob sends beside the file, and what alice sees of it. */
const SEEN = {
  'an image': { body: { type: 'image', width: 30, height: 40 }, event: 'onImageMessage', seen: { type: 'img', width: 30, height: 40 } },
  'an animated image': {
    body: { type: 'image', gif: true },
    event: 'onImageMessage',
    seen: { type: 'img', width: 0, height: 0, isGif: true },
  },
  'a voice': { body: { type: 'voice', seconds: 5 }, event: 'onAudioMessage', seen: { type: 'audio', length: 5 } },
  'a video': { body: { type: 'video', seconds: 6 }, event: 'onVideoMessage', seen: { type: 'video', length: 6 } },
  'a file': { body: { type: 'file' }, event: 'onFileMessage', seen: { type: 'file', length: 0 } },
};

/** The address that opens a file by itself. */
const opening = ({ url, secret }) => `${url}?em-redirect=true&share-secret=${secret}`;

async function fetched(url, headers = {}) {
  const answer = await fetch(url, { headers });
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
}

/** What an account of the SDK sees of a stored file. */
function seenFile(account, { body, seen }, file) {
  const common = { url: opening(file), secret: file.secret, file_length: file.length };
  if (body.type === 'image') return { ...common, thumb: `${opening(file)}&thumbnail=true`, thumb_secret: file.secret };
  const film = body.type === 'video' ? { thumb: `${file.url}?vframe=true`, thumb_secret: file.secret } : {};
  return { ...common, ...film, filename: file.name, ...leftovers(account), ...seen };
}

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    test('gives this crate every file it uploads', async (t) => {
      const stage = await scene(t, sdk);
      const { server, alice, bob } = stage;
      const base = `${server.rest_url}/${server.app_key.replace('#', '/')}/chatfiles`;
      for (const where of ['to a user', 'to a group', 'to a chat room']) {
        const place = places(stage)[where];
        for (const [what, { vendor, name: filename = 'a ü "b".bin', told }] of Object.entries(SENT)) {
          let uploaded;
          const onFileUploadComplete = (answer) => (uploaded = answer.entities[0]);
          const message = { file: picked(filename), filename, file_length: BYTES.length, onFileUploadComplete };
          const { chatType } = place;
          const sent = await alice.send({ chatType, to: place.to('bob'), ext: EXT, ...vendor, ...message });
          const heard = await bob.events.next('message', { id: sent.serverMsgId });
          const url = `${base}/${uploaded.uuid}`;
          const file = { url, secret: uploaded['share-secret'], name: filename, length: BYTES.length };
          // The SDK points at the picture that the service makes of a film.
          const thumbnail = { thumbnail: { ...file, url: `${url}?vframe=true`, length: 0 } };
          const body = { ...told, file, ...(told.type === 'video' ? thumbnail : {}) };
          assert.deepEqual(heard, { ...toldByUs(place, sent, EXT), body }, `${what} ${where}`);
          const got = await bob.ask({ do: 'download', file: heard.body.file });
          assert.equal(got.length, BYTES.length);
          assert.ok(Buffer.from(got.base64, 'base64').equals(BYTES), `${what} ${where}`);
        }
      }
    });

    test('opens every file of this crate', async (t) => {
      const stage = await scene(t, sdk);
      const { alice, bob } = stage;
      for (const where of ['to a user', 'to a group', 'to a chat room']) {
        const place = places(stage)[where];
        for (const [what, row] of Object.entries(SEEN)) {
          const inline = { name: 'a ü "b".bin', base64: BYTES.toString('base64') };
          const { file } = await bob.ask({ do: 'upload', file: inline });
          assert.deepEqual([file.name, file.length], [inline.name, BYTES.length]);
          const sent = await bob.send(place.kind, place.to('alice'), { ...row.body, file }, { ext: EXT });
          const { value } = await alice.events.next(row.event);
          const expected = { ...shownByVendor(place, sent, EXT), ...seenFile(alice, row, file), ...row.seen };
          assert.deepEqual(value, expected, `${what} ${where}`);
          const { status, bytes } = await fetched(value.url);
          assert.equal(status, 200);
          assert.ok(bytes.equals(BYTES), `${what} ${where}`);
        }
      }
    });

    test('sees the picture of a film that this crate uploaded with it', async (t) => {
      const { alice, bob } = await scene(t, sdk);
      const upload = (content) => bob.ask({ do: 'upload', file: { name: 'x', base64: Buffer.from(content).toString('base64') } });
      const [film, picture] = [(await upload('film')).file, (await upload('picture')).file];
      await bob.send('user', 'alice', { type: 'video', file: film, seconds: 1, width: 3, height: 4, thumbnail: picture });
      const { value } = await alice.events.next('onVideoMessage');
      assert.deepEqual([value.thumb, value.thumb_secret], [picture.url, picture.secret]);
      const { bytes } = await fetched(value.thumb, { 'share-secret': value.thumb_secret });
      assert.equal(bytes.toString(), 'picture');
    });

    test('keeps its files closed to who has neither secret nor address', async (t) => {
      const { server, alice, bob } = await scene(t, sdk);
      const sent = await alice.send({ type: 'file', to: 'bob', file: picked('secret.bin'), filename: 'secret.bin' });
      const { body } = await bob.events.next('message', { id: sent.serverMsgId });
      const { file } = body;
      for (const secret of [undefined, 'not-the-secret']) {
        const { status } = await fetched(file.url, secret && { 'share-secret': secret });
        assert.ok([401, 403, 404].includes(status), `${status}`);
        await assert.rejects(bob.ask({ do: 'download', file: { ...file, secret } }), (e) => [200, 222].includes(e.code));
      }
      await server.command(`expire-file ${file.url.split('/').pop()}`);
      await assert.rejects(bob.ask({ do: 'download', file }), { code: 223 });
    });

    test('bundles messages that this crate reads as they were', async (t) => {
      const stage = await scene(t, sdk);
      const { server, alice, bob, group } = stage;
      const { file: image } = await bob.ask({ do: 'upload', file: { name: 'i.png', base64: BYTES.toString('base64') } });
      const place = { group: places(stage)['to a group'] };
      const bodies = [
        { type: 'text', text: 'Grüße 🦀' },
        { type: 'text', text: '' },
        { type: 'custom', event: 'gift', values: EXT },
        { type: 'location', latitude: 1.5, longitude: -2, address: 'a', building: 'b' },
        { type: 'image', file: image, width: 3, height: 4 },
      ];
      const [seen, expected] = [[], []];
      for (const body of bodies) {
        const sent = await bob.send('group', group, body, { ext: EXT });
        const event = { text: 'onTextMessage', custom: 'onCustomMessage', location: 'onLocationMessage', image: 'onImageMessage' };
        seen.push((await alice.events.next(event[body.type])).value);
        // The SDK's events have no name of an image, so that its bundles have none.
        const more = body.type === 'image' ? { file: { ...image, name: '' }, gif: false } : {};
        expected.push({
          id: sent.server_id,
          from: 'bob',
          to: group,
          chat: 'group',
          conversation: { kind: 'group', id: group },
          own: false,
          timestamp: sent.timestamp,
          body: { ...body, ...more },
          ext: EXT,
          extras: {},
        });
      }
      const words = { compatibleText: 'cannot be shown', title: 'Grüße', summary: 'bob: Grüße\nbob: ' };
      let uploaded;
      const onFileUploadComplete = (answer) => (uploaded = answer);
      const sent = await alice.send({ type: 'combine', chatType: 'groupChat', to: group, ...words, messageList: seen, onFileUploadComplete });
      const heard = await bob.events.next('message', { id: sent.serverMsgId });
      const { title, summary, compatibleText: compatible_text } = words;
      const { file } = heard.body;
      const body = { type: 'combined', title, summary, compatible_text, level: 1, file };
      assert.deepEqual(heard, { ...toldByUs(place.group, sent), body });
      assert.equal(opening(file), uploaded.url);
      assert.equal(file.secret, uploaded.secret);
      assert.equal(file.url.startsWith(server.rest_url), true);
      assert.deepEqual((await bob.ask({ do: 'bundle', file })).messages, expected);

      // Forwarded, the SDK can open it as if it had been sent by who forwards it.
      const again = await bob.send('user', 'alice', heard.body);
      const { value } = await alice.events.next('onCombineMessage');
      assert.deepEqual(value, {
        ...{ ...shownByVendor(places(stage)['to a user'], again), type: 'combine', ...words, combineLevel: 1 },
        ...{ url: uploaded.url, secret: file.secret, filename: file.name, file_length: file.length },
      });
      assert.deepEqual((await alice.connection.downloadAndParseCombineMessage(value)).map(({ id }) => id), seen.map(({ id }) => id));
    });

    test('reads a bundle of this crate as it was', async (t) => {
      const { alice, bob, group, room } = await scene(t, sdk);
      const { file: image } = await bob.ask({ do: 'upload', file: { name: 'i.png', base64: BYTES.toString('base64') } });
      const said = [
        { id: '1157777777777777701', from: 'carol', to: { kind: 'user', id: 'bob' }, timestamp: 1700000000001, body: { type: 'text', text: 'Grüße 🦀' }, ext: EXT },
        { id: '1157777777777777702', from: 'bob', to: { kind: 'group', id: group }, timestamp: 1700000000002, body: { type: 'text', text: '' }, ext: {} },
        { id: '1157777777777777703', from: 'bob', to: { kind: 'room', id: room }, timestamp: 1700000000003, body: { type: 'command', action: 'go' }, ext: {} },
        { id: '1157777777777777704', from: 'carol', to: { kind: 'user', id: 'bob' }, timestamp: 1700000000004, body: { type: 'image', file: image, width: 3, height: 4 }, ext: {} },
      ];
      const inner = { type: 'combined', title: 'within', summary: '', compatible_text: '', messages: [said[0]] };
      const all = [...said, { ...said[1], id: '1157777777777777705', body: inner }];
      const sent = await bob.send('user', 'alice', { type: 'combined', title: 'T', summary: 's', compatible_text: 'c', messages: all });
      const { value } = await alice.events.next('onCombineMessage');
      const { url, secret, file_length, ...rest } = value;
      assert.deepEqual(rest, {
        ...{ id: sent.server_id, type: 'combine', chatType: 'singleChat', from: 'bob', to: 'alice', time: sent.timestamp },
        ...{ ext: {}, onlineState: 3, title: 'T', summary: 's', compatibleText: 'c', combineLevel: 2, filename: 'messages' },
      });
      assert.equal((await fetched(url)).bytes.length, file_length);
      const read = await alice.connection.downloadAndParseCombineMessage({ url, secret });
      const chats = { user: 'singleChat', group: 'groupChat', room: 'chatRoom' };
      const shown = ({ id, from, to, timestamp, ext }) => ({
        ...{ id, from, to: to.id, chatType: chats[to.kind], time: timestamp, ext },
        ...(to.kind === 'room' ? { onlineState: 1, priority: 'normal', broadcast: false } : { onlineState: 3 }),
      });
      assert.deepEqual(read.slice(0, 4), [
        { ...shown(said[0]), type: 'txt', msg: 'Grüße 🦀' },
        { ...shown(said[1]), type: 'txt', msg: '' },
        { ...shown(said[2]), type: 'cmd', action: 'go' },
        {
          ...{ ...shown(said[3]), type: 'img', width: 3, height: 4, url: opening(image), secret: image.secret },
          ...{ thumb: `${opening(image)}&thumbnail=true`, thumb_secret: image.secret, file_length: image.length },
        },
      ]);
      const [, , , , within] = read;
      assert.deepEqual([within.type, within.title, within.combineLevel], ['combine', 'within', 1]);
      const innermost = await alice.connection.downloadAndParseCombineMessage({ url: within.url, secret: within.secret });
      assert.deepEqual(innermost, [{ ...shown(said[0]), type: 'txt', msg: 'Grüße 🦀' }]);
    });
  });
}
