// Tokens of this crate against the vendor's own builder, which shares no code with it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { executable } from './lib/program.mjs';

const require = createRequire(import.meta.url);
const { ChatTokenBuilder } = require('agora-token');
const { AccessToken2, ServiceChat, kChatServiceType } = require('agora-token/src/AccessToken2.js');

const app_id = '970CA35de60c44645bbae8a215061b33';
const certificate = '5CFd2fd1755d40ecb72977518be15d3b';
const users = ['a', '2882341273', 'test_user', 'x'.repeat(64), '8be024f0-e978-11e8-b697-5d598d5f8402'];

/** Runs the example with the app's secret in its environment; resolves to what it prints. */
function chat_token(args, { input = '', secret = certificate } = {}) {
  const env = { ...process.env, AGORA_APP_ID: app_id, AGORA_APP_CERTIFICATE: secret };
  return new Promise((resolve, reject) => {
    const done = (error, stdout) => (error ? reject(error) : resolve(stdout.trim()));
    const { stdin } = execFile(executable('chat_token'), args, { env, timeout: 10_000 }, done);
    // A program that needs no input may end before it has any.
    stdin.on('error', () => {});
    stdin.end(input);
  });
}

const inspect = async (token, { args = [], ...more } = {}) =>
  JSON.parse(await chat_token(['inspect', ...args], { input: token, ...more }));

/** This crate's token for fixed values; for the app without a user. */
function own(user, { issued_at, salt, life }) {
  const whose = user === undefined ? ['app'] : ['user', user];
  return chat_token([...whose, `${life}`, '--issued-at', `${issued_at}`, '--salt', `${salt}`]);
}

/** The vendor's. */
function vendors(user, { issued_at, salt, life }) {
  const token = new AccessToken2(app_id, certificate, issued_at, life);
  token.salt = salt;
  const chat = new ServiceChat(user);
  chat.add_privilege(user === undefined ? ServiceChat.kPrivilegeApp : ServiceChat.kPrivilegeUser, life);
  token.add_service(chat);
  return token.build();
}

describe("the vendor's builder", { concurrency: true }, () => {
  test('verifies and reads user tokens of this crate', async () => {
    for (const user of users) {
      const before = Math.floor(Date.now() / 1000);
      const token = new AccessToken2();
      assert.ok(token.from_string(await chat_token(['user', user, '600'])));
      assert.ok(token.verifySignature(certificate));
      assert.ok(!token.verifySignature('0'.repeat(32)));
      assert.equal(token.appId.toString(), app_id);
      assert.equal(token.expire, 600);
      assert.ok(token.issueTs >= before && token.issueTs <= before + 60, `issued at ${token.issueTs}`);
      assert.equal(token.services.length, 1);
      const [chat] = token.getServices(kChatServiceType);
      assert.equal(chat.__user_id.toString(), user);
      assert.deepEqual(chat.__privileges, { [ServiceChat.kPrivilegeUser]: 600 });
    }
  });

  test('verifies and reads app tokens of this crate', async () => {
    const token = new AccessToken2();
    assert.ok(token.from_string(await chat_token(['app', '86400'])));
    assert.ok(token.verifySignature(certificate));
    const [chat] = token.getServices(kChatServiceType);
    assert.equal(chat.__user_id.toString(), '');
    assert.deepEqual(chat.__privileges, { [ServiceChat.kPrivilegeApp]: 86400 });
  });

  test('makes tokens of the same values that have the same bytes inside', async () => {
    // Which repetitions a compressor finds is its own affair, and Node's is not the usual one.
    const inside = (token) => inflateSync(Buffer.from(token.slice(3), 'base64')).toString('hex');
    for (const [at, user] of [...users, undefined].entries()) {
      const values = { issued_at: 1_700_000_000 + at, salt: 1 + at * 16_666_666, life: 3600 + at };
      assert.equal(inside(await own(user, values)), inside(vendors(user, values)), `${user}`);
    }
  });
});

describe('this crate', { concurrency: true }, () => {
  test("verifies and reads the vendor's user tokens", async () => {
    for (const user of users) {
      const { issued_at, expires_at, ...told } = await inspect(
        ChatTokenBuilder.buildUserToken(app_id, certificate, user, 600),
        { args: ['--user', user] },
      );
      assert.deepEqual(told, { kind: 'access-token-2', app_id, user, services: [5], signed: true, problems: [] });
      assert.equal(expires_at - issued_at, 600_000);
    }
  });

  test("verifies and reads the vendor's app tokens", async () => {
    const token = ChatTokenBuilder.buildAppToken(app_id, certificate, 600);
    const { signed, user, problems } = await inspect(token);
    assert.deepEqual({ signed, user, problems }, { signed: true, user: null, problems: [] });
  });

  test('tells of an old token, of another user and of another certificate', async () => {
    const token = vendors('bob', { issued_at: 1_700_000_000, salt: 1, life: 3600 });
    const told = await inspect(token, { args: ['--user', 'alice'], secret: 'f'.repeat(32) });
    assert.equal(told.signed, false);
    assert.equal(told.problems.length, 2);
    assert.match(told.problems[0], /expired/);
    assert.match(told.problems[1], /"bob", not for "alice"/);
  });
});
