// Every kind of content, both ways and in every kind of conversation: what is shown is what was sent.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sdks } from './lib/browser.mjs';
import { places, scene, shownByVendor, toldByUs } from './lib/scene.mjs';

const TEXTS = {
  ASCII: 'hello, "world" \\ </x> %20 +',
  'many scripts': 'Grüße, 世界, שלום עולם, مرحبا, नमस्ते',
  emoji: '🦀👩‍👩‍👧‍👦🇩🇪❤️',
  'combining marks': 'e\u0301 and \u00e9, a\u0308\u0323',
  'directions and joiners': '\u202eback\u202c \u200d\u200b\ufeff',
  controls: '\t\r\n\u0001\u001b[31m\u007f\u0085\u2028',
  'the last planes': '\u{10ffff}\u{e000}\ufffd',
  'an empty text': '',
  '5 KB': '0123456789abcdef'.repeat(320),
  '5 KB of four bytes each': '🦀'.repeat(1280),
};

/** Values of every type, as either side writes and reads them. */
const EXT = {
  yes: true,
  no: false,
  zero: 0,
  int: 42,
  negative: -7,
  'more than 32 bits': 5_000_000_000,
  'the last safe one': Number.MAX_SAFE_INTEGER,
  'the first safe one': Number.MIN_SAFE_INTEGER,
  half: 0.5,
  'small and negative': -1e-9,
  text: 'Grüße 🦀',
  'an empty text': '',
  'like JSON': '{"a":1}',
  object: { deep: [{ er: null }], 'ключ': 'значение', n: 1.5 },
  'an empty object': {},
  array: [1, 'two', [3], null, false],
  'an empty array': [],
  nothing: null,
  '': 'under no name',
  'ключ 🔑': 'a name beyond ASCII',
};

/** One row: what alice sends and sees, by which event, and what bob does. */
const CONTENTS = {
  ...Object.fromEntries(
    Object.entries(TEXTS).map(([name, text]) => [
      `a text: ${name}`,
      { event: 'onTextMessage', vendor: { type: 'txt', msg: text }, ours: { type: 'text', text } },
    ]),
  ),
  'a text with attributes of every type': {
    event: 'onTextMessage',
    vendor: { type: 'txt', msg: 'with ext' },
    ours: { type: 'text', text: 'with ext' },
    ext: EXT,
  },
  'a command with attributes': {
    event: 'onCmdMessage',
    vendor: { type: 'cmd', action: 'wave 👋' },
    ours: { type: 'command', action: 'wave 👋' },
    ext: EXT,
  },
  'a command without a name': {
    event: 'onCmdMessage',
    vendor: { type: 'cmd', action: '' },
    ours: { type: 'command', action: '' },
  },
  'a custom event with values of every type': {
    event: 'onCustomMessage',
    vendor: { type: 'custom', customEvent: 'gift/1', customExts: EXT },
    seen: { params: {} },
    ours: { type: 'custom', event: 'gift/1', values: EXT },
    ext: { also: 'an attribute' },
  },
  'a custom event without values': {
    event: 'onCustomMessage',
    vendor: { type: 'custom', customEvent: 'gift', customExts: {} },
    seen: { params: {} },
    ours: { type: 'custom', event: 'gift', values: {} },
  },
  'a place': {
    event: 'onLocationMessage',
    vendor: { type: 'loc', lat: 52.520008, lng: -13.404954, addr: 'Straße des 17. Juni', buildingName: 'Siegessäule' },
    ours: {
      type: 'location',
      latitude: 52.520008,
      longitude: -13.404954,
      address: 'Straße des 17. Juni',
      building: 'Siegessäule',
    },
    ext: EXT,
  },
  'a place without words': {
    event: 'onLocationMessage',
    vendor: { type: 'loc', lat: 0, lng: 0, addr: '', buildingName: '' },
    ours: { type: 'location', latitude: 0, longitude: 0, address: '', building: '' },
  },
};

for (const [name, sdk] of Object.entries(sdks)) {
  describe(name, { concurrency: true }, () => {
    for (const where of ['to a user', 'to a group', 'to a thread', 'to a chat room']) {
      test(`shows this crate every content as it sent it ${where}`, async (t) => {
        const stage = await scene(t, sdk);
        const place = places(stage)[where];
        for (const [what, { vendor, ours, ext = {} }] of Object.entries(CONTENTS)) {
          const { chatType, asked } = place;
          const sent = await stage.alice.send({ chatType, to: place.to('bob'), ...asked, ...vendor, ext });
          const heard = await stage.bob.events.next('message', { id: sent.serverMsgId });
          assert.deepEqual(heard, { ...toldByUs(place, sent, ext), body: ours }, what);
        }
      });

      test(`sees every content of this crate as it was sent ${where}`, async (t) => {
        const stage = await scene(t, sdk);
        const place = places(stage)[where];
        for (const [what, { event, vendor, ours, seen, ext = {} }] of Object.entries(CONTENTS)) {
          const sent = await stage.bob.send(place.kind, place.to('alice'), ours, { ext });
          const { value } = await stage.alice.events.next(event);
          assert.deepEqual(value, { ...shownByVendor(place, sent, ext), ...vendor, ...seen }, what);
        }
      });
    }
  });
}
