// Runs every peer through every scenario against a fresh load server each, one
// after the other, and writes results/peers.json and results/peers.md.
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const argv = process.argv.slice(2);
const opt = (k, d) => {
  const i = argv.indexOf('--' + k);
  return i >= 0 ? argv[i + 1] : d;
};
const flag = (k) => argv.includes('--' + k);
if (flag('help')) {
  console.log(`node drive.mjs [--ours "COMMAND ..."] [--ours-name NAME] [--peers a,b] [--scenarios a,b]
               [--reps 3] [--out results/peers.json]
               [--short]   a few minutes for each repetition: four peers, six scenarios
               [--merge]   keep the scenarios that FILE has and this run leaves out`);
  process.exit(0);
}

const bin = (n) => path.join(process.env.CARGO_TARGET_DIR ?? 'target', 'release', n);
let peers = {
  'js-sdk': ['node', '--expose-gc', 'js/jsclient.mjs'],
  'awc-actix': [bin('awcclient')],
  'bare-tungstenite': [bin('bareclient'), '--ws', 'tungstenite'],
  'bare-tungstenite-mt': [bin('bareclient'), '--ws', 'tungstenite', '--rt', 'multi'],
  'bare-fastws': [bin('bareclient'), '--ws', 'fast'],
  'bare-raw': [bin('bareclient'), '--ws', 'raw'],
  'bare-raw-borrowed': [bin('bareclient'), '--ws', 'raw', '--decode', 'borrowed'],
};
const ours = opt('ours');
if (ours) peers = { [opt('ours-name', 'ours')]: ours.split(/\s+/).filter(Boolean), ...peers };
const pick = opt('peers', flag('short') ? [opt('ours-name', 'ours'), 'awc-actix', 'bare-tungstenite', 'js-sdk'].join(',') : undefined);
if (pick) peers = Object.fromEntries(Object.entries(peers).filter(([k]) => pick.split(',').includes(k)));

const REPS = +opt('reps', 3);
// name, the client's scenario, accounts, seconds, what the server is asked to do
let scenarios = [
  { name: 'login2000', scenario: 'login', n: 2000, reps: REPS },
  { name: 'login1000tls', scenario: 'login', n: 1000, tls: true, reps: REPS },
  { name: 'msg1', scenario: 'messages', n: 1, each: 200000, push: 'batch=1', reps: REPS },
  { name: 'msg1b50', scenario: 'messages', n: 1, each: 200000, push: 'batch=50', reps: REPS },
  { name: 'msg1000', scenario: 'messages', n: 1000, each: 200, push: 'batch=1', reps: REPS },
  { name: 'rate1000', scenario: 'messages', n: 1000, each: 20, push: 'batch=1&rate=2', reps: REPS },
  { name: 'rate1000tls', scenario: 'messages', n: 1000, each: 20, push: 'batch=1&rate=2', tls: true, reps: 1 },
  // The SDK's heartbeat timer ticks each 30 s and finds the login's own frames
  // 29.99 s old the first time: an idle session beats once a minute.
  { name: 'idle1000', scenario: 'idle', n: 1000, duration: 62, beats: true, reps: 1 },
  { name: 'idle5000', scenario: 'idle', n: 5000, duration: 3, reps: flag('short') ? REPS : 1 },
  { name: 'idle1000tls', scenario: 'idle', n: 1000, duration: 3, tls: true, reps: 1 },
  { name: 'storm2000', scenario: 'storm', n: 2000, down: 3000, reps: flag('short') ? REPS : Math.min(2, REPS) },
];
const everything = scenarios;
const only = opt('scenarios', flag('short') ? 'login2000,msg1,msg1b50,msg1000,idle5000,storm2000' : undefined);
if (only) scenarios = scenarios.filter((s) => only.split(',').includes(s.name));

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
fs.mkdirSync('results/raw', { recursive: true });

function ctl(port, what) {
  return new Promise((ok, no) => {
    const q = http.get({ host: '127.0.0.1', port, path: '/_ctl/' + what, agent: false, timeout: 5000 }, (r) => {
      let b = '';
      r.on('data', (d) => (b += d));
      r.on('end', () => {
        try {
          ok(JSON.parse(b));
        } catch (e) {
          no(e);
        }
      });
    });
    q.on('error', no);
    q.on('timeout', () => q.destroy(new Error('control timed out')));
  });
}

/** TCP sockets in TIME_WAIT on this machine; many of them make connects dearer. */
const timeWait = () => +(fs.readFileSync('/proc/net/sockstat', 'utf8').match(/ tw (\d+)/)?.[1] ?? 0);

/** CPU seconds and peak memory of a living process, as the kernel counts them. */
function outside(pid) {
  try {
    const f = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
    const hwm = +(fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)?.[1] ?? 0);
    return { cpu: (+f[11] + +f[12]) / 100, hwm };
  } catch {
    return null;
  }
}

function start(cmd, args, onErr) {
  const c = spawn(cmd, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  c.out = '';
  c.err = '';
  c.stdout.on('data', (d) => (c.out += d));
  c.stderr.on('data', (d) => {
    c.err = (c.err + d).slice(-4000);
    onErr?.(String(d));
  });
  c.ended = new Promise((r) => {
    c.on('error', (e) => r({ code: -1, e }));
    c.on('exit', (code, sig) => r({ code, sig }));
  });
  return c;
}

async function one(sc, name, cmd) {
  for (let i = 0; i < 130 && timeWait() > 300; i++) await sleep(500);
  const load0 = os.loadavg()[0];
  const server = start(bin('loadserver'), ['--ca-out', 'results/ca.pem']);
  for (let i = 0; i < 250 && !server.out.includes('\n'); i++) await sleep(20);
  const [, plain, tls, control] = server.out.match(/^LISTENING (\d+) (\d+) (\d+) /) ?? [];
  if (!control) throw new Error(`the load server does not listen: ${server.err}`);
  const args = [
    ...cmd.slice(1),
    '--rest-url', `http://127.0.0.1:${plain}`,
    '--socket-url', sc.tls ? `wss://127.0.0.1:${tls}/websocket` : `ws://127.0.0.1:${plain}/websocket`,
    '--app-key', 'org#app', '--accounts', String(sc.n), '--scenario', sc.scenario,
    '--duration', String(sc.duration ?? 60), '--concurrency', '64',
  ];
  if (sc.tls) args.push('--ca', 'results/ca.pem');
  if (sc.each) args.push('--expect', String(sc.n * sc.each));
  const client = start(cmd[0], args);
  let seen = null;
  const watch = setInterval(() => {
    const o = outside(client.pid);
    if (o) seen = { cpu: o.cpu, hwm: Math.max(o.hwm, seen?.hwm ?? 0) };
  }, 50);
  let over = false;
  client.ended.then(() => (over = true));
  const limit = setTimeout(() => client.kill('SIGKILL'), 180000);
  let before = null;
  let note = '';
  try {
    if (sc.each || sc.down) {
      for (let i = 0; i < 1200 && !over; i++) {
        if ((await ctl(control, 'stats')).up >= sc.n) break;
        await sleep(50);
      }
      // The client takes its own first reading meanwhile.
      await sleep(700);
      await ctl(control, 'reset');
      before = await ctl(control, 'stats');
      if (sc.each) await ctl(control, `push?messages=${sc.each}&${sc.push}`);
      if (sc.down) await ctl(control, `drop?down_ms=${sc.down}`);
    }
    await client.ended;
  } catch (e) {
    note = String(e.message ?? e);
  }
  clearTimeout(limit);
  clearInterval(watch);
  let stats = {};
  try {
    await sleep(150);
    stats = await ctl(control, 'stats');
    await ctl(control, 'quit');
  } catch {}
  await Promise.race([server.ended, sleep(2000)]);
  server.kill('SIGKILL');
  let r = null;
  try {
    r = JSON.parse(client.out.trim().split('\n').pop());
  } catch {
    note ||= 'no JSON: ' + client.err.slice(-300);
  }
  const bad = [];
  if (!r) bad.push(note);
  else {
    if (r.login?.ok !== sc.n) bad.push(`logged in ${r.login?.ok} of ${sc.n}`);
    if (sc.each && r.messages?.received !== sc.n * sc.each) bad.push(`received ${r.messages?.received}`);
    if (sc.each && stats.acks !== stats.frames) bad.push(`acknowledged ${stats.acks} of ${stats.frames}`);
    if (sc.down && r.storm?.reconnected < sc.n) bad.push(`reconnected ${r.storm?.reconnected}`);
    if (sc.beats && stats.unreads < 2 * sc.n) bad.push(`${stats.unreads} heartbeats`);
    if (sc.scenario === 'idle' && r.idle?.up !== sc.n) bad.push(`up ${r.idle?.up}`);
  }
  return {
    bad, load: [load0, os.loadavg()[0]], client: r, outside: seen,
    server: {
      cpu_s: before ? stats.cpu_s - before.cpu_s : stats.cpu_s, acks: stats.acks, frames: stats.frames,
      rest: stats.rest, unreads: stats.unreads, statistics: stats.statistics,
      ack_latency_us: stats.ack_latency_us,
      attempts_100ms: sc.down ? stats.attempts_100ms : undefined,
      provisions_100ms: sc.down ? stats.provisions_100ms : undefined,
    },
  };
}

function flat(o, p = '', to = {}) {
  for (const [k, v] of Object.entries(o ?? {})) {
    if (typeof v === 'number') to[p + k] = v;
    else if (v && typeof v === 'object' && !Array.isArray(v)) flat(v, p + k + '.', to);
  }
  return to;
}
const mid = (v) => [...v].sort((a, b) => a - b)[v.length >> 1];

function fold(runs) {
  const good = runs.filter((r) => !r.bad.length);
  const all = {};
  for (const r of good) {
    const f = { ...flat(r.client), ...flat({ server: r.server }) };
    if (r.outside) f['outside.cpu_s'] = r.outside.cpu;
    if (r.outside) f['outside.peak_rss_kb'] = r.outside.hwm;
    for (const [k, v] of Object.entries(f)) (all[k] ??= []).push(v);
  }
  const o = { runs: runs.length, good: good.length, faults: runs.flatMap((r) => r.bad) };
  o.metrics = Object.fromEntries(
    Object.entries(all).map(([k, v]) => [k, v.length > 1 ? { median: mid(v), min: Math.min(...v), max: Math.max(...v) } : { median: v[0] }]),
  );
  const s = good.at(-1)?.server;
  if (s?.attempts_100ms) o.last_storm = { attempts_100ms: s.attempts_100ms, provisions_100ms: s.provisions_100ms };
  return o;
}

const COLS = {
  login: [['login.cpu_us_each', 'CPU µs/login'], ['login.per_cpu_s', 'logins/CPU-s'], ['login.per_s', 'logins/s (wall)'], ['login.latency_ms.p99', 'p99 ms'], ['server.cpu_s', 'server CPU s']],
  messages: [['messages.cpu_ns_each', 'CPU ns/msg'], ['messages.per_s', 'msg/s (wall)'], ['messages.latency_us.p50', 'p50 µs'], ['messages.latency_us.p99', 'p99 µs'], ['messages.latency_us.p999', 'p99.9 µs'], ['memory.rss_per_conn_b', 'RSS B/conn after'], ['server.cpu_s', 'server CPU s']],
  idle: [['memory.rss_per_conn_b', 'RSS B/conn'], ['memory.pss_per_conn_b', 'PSS B/conn'], ['memory.anon_per_conn_b', 'anon B/conn'], ['memory.rss_before_kb', 'RSS before KiB'], ['memory.rss_after_kb', 'RSS after KiB'], ['idle.cpu_percent_of_core', 'idle CPU %']],
  storm: [['storm.cpu_us_each', 'CPU µs/conn'], ['storm.cpu_s', 'CPU s'], ['storm.attempts', 'connects'], ['storm.back_ms.p50', 'back p50 ms'], ['storm.back_ms.p99', 'back p99 ms'], ['storm.back_ms.max', 'back max ms'], ['peak', 'peak connects/100 ms']],
};

function table(res) {
  let t = '';
  const base = 'bare-tungstenite';
  for (const sc of everything) {
    const rows = res.scenarios[sc.name];
    if (!rows) continue;
    const cols = COLS[sc.scenario];
    t += `\n### ${sc.name}\n\n| peer | ${cols.map((c) => c[1]).join(' | ')} | least | most | × ${base} | good runs |\n|---|${cols.map(() => '---:').join('|')}|---:|---:|---:|---:|\n`;
    const val = (r, k) => (k === 'peak' ? Math.max(0, ...(r.last_storm?.attempts_100ms ?? [0])) : r.metrics[k]?.median);
    for (const [name, r] of Object.entries(rows)) {
      const lead = cols[0][0];
      const ratio = val(r, lead) / (rows[base] ? val(rows[base], lead) : NaN);
      const figure = (v) =>
        v === undefined ? '–' : v >= 100 ? Math.round(v).toLocaleString('en').replace(/,/g, ' ') : String(Math.round(v * 1000) / 1000);
      const { median, min = median, max = median } = r.metrics[lead] ?? {};
      t += `| ${name} | ${cols.map(([k]) => figure(val(r, k))).join(' | ')} | ${figure(min)} | ${figure(max)} | ${Number.isFinite(ratio) ? ratio.toFixed(2) : '–'} | ${r.good}/${r.runs} |\n`;
    }
  }
  return t;
}

const out = opt('out', 'results/peers.json');
const res = {
  machine: { cpu: os.cpus()[0].model, cores: os.cpus().length, mem_gb: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(), node: process.version, rustc: execFileSync('rustc', ['--version']).toString().trim() },
  load_average: { start: os.loadavg() },
  parameters: scenarios,
  scenarios: {},
};
if (flag('merge') && fs.existsSync(out)) {
  const old = JSON.parse(fs.readFileSync(out));
  res.scenarios = old.scenarios;
  res.parameters = everything;
  // With nothing to run (--scenarios none) only the tables are written anew.
  if (scenarios.length) res.load_average.kept = old.load_average.kept ?? old.load_average;
  else res.load_average = old.load_average;
}
for (const sc of scenarios) {
  const runs = Object.fromEntries(Object.keys(peers).map((k) => [k, []]));
  // The peers take turns, so that a change of the machine's load hits all alike.
  for (let r = 0; r < sc.reps; r++) {
    for (const [name, cmd] of Object.entries(peers)) {
      const x = await one(sc, name, cmd);
      runs[name].push(x);
      const m = x.client ?? {};
      const lead = m[sc.scenario];
      console.error(
        `${sc.name} ${name} ${r + 1}/${sc.reps} load ${x.load[0].toFixed(1)} ` +
          (x.bad.length ? 'BAD ' + x.bad.join('; ') : JSON.stringify(sc.scenario === 'idle' ? m.memory : lead).slice(0, 230)),
      );
    }
  }
  fs.writeFileSync(`results/raw/${sc.name}.json`, JSON.stringify(runs, null, 1));
  res.scenarios[sc.name] = Object.fromEntries(Object.entries(runs).map(([k, v]) => [k, { ...fold(v), load: v.map((x) => +x.load[0].toFixed(2)) }]));
}
if (scenarios.length) res.load_average.end = os.loadavg();
fs.writeFileSync(out, JSON.stringify(res, null, 1) + '\n');

let md = `# Peers\n\n${res.machine.cpu}, ${res.machine.cores} cores, Linux ${res.machine.kernel}, ${res.machine.rustc}, node ${res.machine.node}. Load average ${res.load_average.start.map((v) => v.toFixed(2)).join(' ')} at the start, ${res.load_average.end.map((v) => v.toFixed(2)).join(' ')} at the end${res.load_average.kept ? ' (of the last run, which kept other scenarios of an earlier one)' : ''}.\n\nMedians; the least and the most are those of the first column, and the factor is it against bare-tungstenite in the same run.\n${table(res)}`;
fs.writeFileSync(out.replace(/\.json$/, '') + '.md', md);
console.log(md);
if (scenarios.some((sc) => Object.values(res.scenarios[sc.name] ?? {}).some((r) => r.faults.length))) process.exitCode = 1;
