// The fleet's page in Chromium, against a fleet at the local server.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { Program, until } from './lib/program.mjs';

const ACCOUNTS = 120;
const TOKEN = 'a-token-for-the-browser-test';
const SHOTS = process.env.AGORA_CHAT_SCREENSHOTS;

let folder, local, fleet, browser;
const trouble = [];

/** Opens the page at a size, and notes whatever the browser complains of. */
async function open(url, { width = 1280, height = 800, dark = false } = {}) {
  const page = await browser.newPage();
  await page.setViewport({ width, height, isMobile: width < 600, hasTouch: width < 600 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  page.on('console', (message) => { if (message.type() === 'error') trouble.push(message.text()); });
  page.on('pageerror', (error) => trouble.push(String(error)));
  await page.goto(url);
  return page;
}

async function shot(page, name) {
  if (!SHOTS) return;
  await mkdir(SHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
}

/** Waits for a function in the page to be true. */
const holds = (page, seen, ...given) => page.waitForFunction(seen, { timeout: 20_000, polling: 100 }, ...given);
const rows = (page) => page.$$eval('#rows tr', (all) => all.map((row) => [row.dataset.row, row.dataset.is]));
const sessions = async () => (await (await fetch(`${local.rest}/_control/sessions`)).json()).sessions;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'agora-chat-page-'));
  local = await Program.localServer(['--load-users', String(ACCOUNTS)]);
  const lines = Array.from({ length: ACCOUNTS }, (_, n) => `u${String(n).padStart(6, '0')},pw,${n % 3 ? 'sales' : 'support'}`);
  await writeFile(path.join(folder, 'accounts.csv'), `${lines.join('\n')}\n`);
  await writeFile(path.join(folder, 'token'), `${TOKEN}\n`);
  fleet = await Program.fleet(local, path.join(folder, 'accounts.csv'), ['--logins-per-second', '100']);
  browser = await puppeteer.launch({
    executablePath: process.env.AGORA_CHAT_CHROMIUM ?? '/usr/bin/chromium',
    // In a container there is no sandbox to be had as root, and little shared memory.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    userDataDir: path.join(folder, 'profile'),
  });
  await until(async () => (await (await fetch(`${fleet.admin}fleet`)).json()).accounts.online === ACCOUNTS, 'all accounts online');
});

after(async () => {
  await browser?.close();
  await fleet?.stop();
  await local?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

describe('the page of a fleet', () => {
  test('shows the accounts, a page at a time', async () => {
    const page = await open(fleet.admin);
    await holds(page, () => document.querySelectorAll('#rows tr').length === 100);
    await holds(page, () => document.querySelector('#link').dataset.link === 'live');
    assert.equal(await page.$eval('[data-state=online] .count', (count) => count.textContent), String(ACCOUNTS));
    assert.match(await page.title(), new RegExp(`^${ACCOUNTS} of ${ACCOUNTS} online`));
    await page.click('#next');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 20);
    assert.equal((await rows(page))[0][0], 'u000100');
    await page.click('#previous');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 100);
    await page.close();
  });

  test('finds by search, tag, state', async () => {
    const page = await open(fleet.admin);
    await holds(page, () => document.querySelectorAll('#rows tr').length === 100);
    await page.type('#search', 'U00001');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 10);
    await page.type('#tag', 'support');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 3);
    assert.deepEqual((await rows(page)).map(([user]) => user), ['u000012', 'u000015', 'u000018']);
    await page.select('#state', 'failed');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 0);
    assert.match(await page.$eval('#shown', (shown) => shown.textContent), /No account/);
    // A click on the tile of a state takes its filter away again.
    await page.click('[data-state=failed]');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 3);
    await page.close();
  });

  test('pauses an account by its button, as the service sees, and resumes it', async () => {
    const page = await open(fleet.admin);
    await page.waitForSelector('[data-user=u000005]');
    await page.click('[data-user=u000005]');
    await page.waitForSelector('#account[open]');
    assert.equal(await page.$eval('#account-user', (user) => user.textContent), 'u000005');
    await page.click('[data-act=pause]');
    await page.waitForSelector('#confirm[open]');
    assert.equal(await page.$eval('#confirm-what', (what) => what.textContent), 'Pause u000005?');
    // Whoever only presses Enter has said no.
    await page.keyboard.press('Enter');
    await holds(page, () => !document.querySelector('#confirm').open);
    assert.equal((await sessions()).find(({ user }) => user === 'u000005').end, null);
    await page.click('[data-act=pause]');
    await page.waitForSelector('#confirm[open]');
    await page.click('#confirm-yes');
    await until(async () => (await sessions()).find(({ user }) => user === 'u000005').end === 'logout', 'a logout');
    await holds(page, () => document.querySelector('#account-state').textContent.startsWith('paused'));
    await holds(page, () => document.querySelector('#account-transitions li').textContent.includes('online → paused'));
    assert.match(await page.$eval('#account-facts', (facts) => facts.textContent), /paused on the page/);
    await page.click('[data-act=resume]');
    await page.waitForSelector('#confirm[open]');
    await page.click('#confirm-yes');
    await holds(page, () => document.querySelector('#account-state').textContent.startsWith('online'));
    await page.keyboard.press('Escape');
    await holds(page, () => !document.querySelector('#account').open);
    await page.close();
  });

  test('can be used by the keyboard alone', async () => {
    const page = await open(fleet.admin);
    await page.waitForSelector('[data-user=u000000]');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    await page.focus('[data-user=u000007]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#account[open]');
    assert.equal(await page.evaluate(() => document.querySelector('#account').contains(document.activeElement)), true);
    await page.keyboard.press('Escape');
    await holds(page, () => document.activeElement.dataset.user === 'u000007');
    // Each control has a name.
    const names = await page.$$eval('button, input, select', (all) => all.map((one) => one.ariaLabel || one.textContent || one.labels?.[0]?.textContent));
    assert.ok(names.every(Boolean), JSON.stringify(names));
    await page.close();
  });

  test('shows why a kicked account is away and what to do', async () => {
    const page = await open(fleet.admin);
    await page.waitForSelector('[data-user=u000003]');
    const before = await page.$eval('#chart-states .s-parked', (path) => path.getAttribute('d'));
    await local.command('kick u000003 206 <b>somebody</b>');
    await local.command('kick u000004 217');
    // The row and the counts change by themselves.
    await page.waitForSelector('[data-row=u000003][data-is=parked]');
    await holds(page, () => document.querySelector('[data-state=parked] .count').textContent === '2');
    await holds(page, () => document.querySelector('#alarms').textContent.includes('2 parked'));
    const row = await page.$eval('[data-row=u000003]', (row) => row.textContent);
    assert.match(row, /kicked elsewhere \(206\)/);
    assert.match(row, /find the other program or person/);
    // The chart has an area of them now, and moves on.
    await holds(page, (before) => document.querySelector('#chart-states .s-parked').getAttribute('d') !== before, before);
    const moved = await page.$eval('#chart-states .s-online', (path) => path.getAttribute('d'));
    await holds(page, (moved) => document.querySelector('#chart-states .s-online').getAttribute('d') !== moved, moved);
    await holds(page, () => [...document.querySelector('#cause').options].some((option) => option.value === 'kicked_elsewhere'));
    await page.select('#cause', 'kicked_elsewhere');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 1);
    await page.click('[data-user=u000003]');
    await page.waitForSelector('#account[open]');
    const facts = await page.$eval('#account-facts', (facts) => facts.textContent);
    // What another login says of itself is text, whatever it looks like.
    assert.match(facts, /<b>somebody<\/b>/);
    assert.equal(await page.$('#account b'), null);
    await shot(page, 'account-1280');
    await page.close();
  });

  test('acts on those of a filter together', async () => {
    const page = await open(fleet.admin);
    await page.waitForSelector('[data-user=u000003]');
    await page.select('#state', 'parked');
    await holds(page, () => document.querySelectorAll('#rows tr').length === 2);
    await page.click('[data-many=resume]');
    await page.waitForSelector('#confirm[open]');
    assert.equal(await page.$eval('#confirm-what', (what) => what.textContent), 'Resume 2 accounts?');
    await page.click('#confirm-yes');
    await holds(page, (all) => document.querySelector('[data-state=online] .count').textContent === all, String(ACCOUNTS));
    await page.close();
  });

  test('fits a telephone and a desk, light and dark', async () => {
    await local.command('kick u000003 206');
    await local.command('reject-password u000001 on');
    await fetch(`${fleet.admin}accounts/u000001/restart`, { method: 'POST' });
    await fetch(`${fleet.admin}accounts/u000002/pause`, { method: 'POST' });
    for (const [width, height] of [[1280, 800], [390, 844]]) {
      for (const dark of [false, true]) {
        const page = await open(fleet.admin, { width, height, dark });
        await holds(page, () => document.querySelectorAll('#rows tr').length === 100);
        await holds(page, () => document.querySelector('#alarms').textContent.includes('parked'));
        await new Promise((done) => setTimeout(done, 2500));
        const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(wide[0] <= wide[1], `${wide[0]} px wide in ${wide[1]} px`);
        // No control lies over another.
        const over = await page.$$eval('header button, #states button, #filter input, #filter select, #filter button', (all) => {
          const boxes = all.filter((one) => one.offsetParent).map((one) => [one.textContent || one.id, one.getBoundingClientRect()]);
          return boxes.flatMap(([a, x], i) => boxes.slice(i + 1)
            .filter(([, y]) => x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1)
            .map(([b]) => `${a} over ${b}`));
        });
        assert.deepEqual(over, []);
        await shot(page, `page-${width}-${dark ? 'dark' : 'light'}`);
        await page.evaluate(() => document.querySelector('#accounts').scrollIntoView());
        await shot(page, `list-${width}-${dark ? 'dark' : 'light'}`);
        if (width === 390) {
          await page.click('[data-user=u000003]');
          await page.waitForSelector('#account[open]');
          await shot(page, `account-${width}-${dark ? 'dark' : 'light'}`);
        }
        await page.close();
      }
    }
  });

  test('a page of another origin neither reads nor acts', async () => {
    const before = trouble.length;
    const foreign = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>foreign</title>'));
    await new Promise((done) => foreign.listen(0, '127.0.0.1', done));
    const page = await open(`http://127.0.0.1:${foreign.address().port}/`);
    const did = await page.evaluate(async (admin) => {
      const tried = {};
      const attempt = async (name, doing) => {
        try { tried[name] = await doing(); } catch (error) { tried[name] = `failed: ${error.name}`; }
      };
      await attempt('read', async () => (await fetch(`${admin}fleet`)).status);
      await attempt('opaque', async () => (await fetch(`${admin}accounts/u000009/pause`, { method: 'POST', mode: 'no-cors' })).type);
      await attempt('json', async () => (await fetch(`${admin}accounts/u000009/pause`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).status);
      await attempt('remove', async () => (await fetch(`${admin}accounts/u000009`, { method: 'DELETE' })).status);
      await attempt('script', () => new Promise((done) => {
        const script = document.createElement('script');
        script.src = `${admin}fleet`;
        script.onload = () => done('loaded');
        script.onerror = () => done('failed: script');
        document.body.append(script);
      }));
      await attempt('frame', () => new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.src = admin;
        frame.onload = () => { try { done(frame.contentDocument ? 'readable' : 'failed: frame'); } catch { done('failed: frame'); } };
        document.body.append(frame);
      }));
      await attempt('form', () => new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.name = 'target';
        const form = document.createElement('form');
        form.method = 'POST';
        form.target = 'target';
        form.action = `${admin}accounts/u000009/pause`;
        document.body.append(frame, form);
        frame.onload = () => done('failed: form sent');
        form.submit();
      }));
      return tried;
    }, fleet.admin);
    assert.match(did.read, /^failed/);
    assert.match(did.json, /^failed/);
    assert.match(did.remove, /^failed/);
    assert.match(did.script, /^failed/);
    assert.match(did.frame, /^failed/);
    await new Promise((done) => setTimeout(done, 500));
    assert.equal((await sessions()).filter(({ user }) => user === 'u000009').length, 1);
    assert.equal((await (await fetch(`${fleet.admin}accounts/u000009`)).json()).state, 'online');
    await page.close();
    foreign.close();
    // What the browser said of it was meant to be said.
    trouble.splice(before);
  });

  test('asks for the token where there is one, also for the events', async () => {
    const before = trouble.length;
    const other = await Program.fleet(local, path.join(folder, 'none.csv'), ['--admin-token-file', path.join(folder, 'token')]);
    try {
      const page = await open(other.admin);
      await page.waitForSelector('#login[open]');
      await shot(page, 'login-1280');
      await page.type('#token', 'not the right one');
      await page.keyboard.press('Enter');
      await holds(page, () => document.querySelector('#login-said').textContent.includes('not the right one'));
      await page.type('#token', TOKEN);
      await page.keyboard.press('Enter');
      await holds(page, () => document.querySelector('#link').dataset.link === 'live');
      assert.equal(await page.evaluate(() => document.querySelector('#login').open), false);
      await page.reload();
      await holds(page, () => document.querySelector('#link').dataset.link === 'live');
      await page.close();
    } finally {
      await other.stop();
    }
    trouble.splice(before);
  });

  test('the browser complained of nothing', () => {
    assert.deepEqual(trouble, []);
  });
});

test('ten thousand accounts do not freeze the page', async () => {
  const idle = path.join(folder, 'idle.csv');
  await writeFile(idle, `${Array.from({ length: 10_000 }, (_, n) => `idle-${n},pw`).join('\n')}\n`);
  const many = await Program.fleet(local, idle, ['--logins-per-second', '1']);
  try {
    const page = await open(many.admin);
    await holds(page, () => document.querySelectorAll('#rows tr').length === 100);
    await holds(page, () => document.querySelector('[data-state=waiting] .count').textContent.replace(/\D/g, '') > 9000);
    // Everything changes at once; meanwhile the page draws on.
    await page.evaluate(() => {
      window.longest = 0;
      let last = performance.now();
      const look = (now) => { window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(look); };
      requestAnimationFrame(look);
    });
    await fetch(`${many.admin}fleet/pause`, { method: 'POST' });
    await holds(page, () => document.querySelector('[data-state=paused] .count').textContent.replace(/\D/g, '') > 9000);
    await holds(page, () => [...document.querySelectorAll('#rows tr')].every((row) => row.dataset.is === 'paused'));
    const longest = await page.evaluate(() => window.longest);
    assert.ok(longest < 1500, `nothing was drawn for ${longest} ms`);
    await page.close();
  } finally {
    await many.stop();
  }
});
