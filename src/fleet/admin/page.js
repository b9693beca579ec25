// The fleet's page. What comes from the network is put into the page as text only.

const STATES = ["online", "waiting", "logging_in", "reconnecting", "parked", "failed", "paused", "draining", "released", "added"];
const [LEAST, POINTS] = [60, 300];
const PAGE = 100;
const $ = (id) => document.getElementById(id);
const words = (name) => name.replaceAll("_", " ");

// Calls.

let token = sessionStorage.getItem("agora-fleet-token");

/** Calls the admin interface beside this page; throws an error with the message that it gave. */
async function call(method, path, body, stream) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) {
    askForToken(token ? "That token is not the right one." : "");
    throw new Error("a token is needed");
  }
  if (stream && answer.ok) return answer.body;
  const text = await answer.text();
  const told = text && answer.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : null;
  if (!answer.ok) throw new Error(told?.error?.message ?? `${answer.status} ${answer.statusText}`);
  return told;
}

function askForToken(why) {
  $("login-said").textContent = why;
  if (!$("login").open) $("login").showModal();
}

$("login").addEventListener("cancel", (event) => event.preventDefault());
$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("agora-fleet-token", token);
  $("token").value = "";
  $("login").close();
  wake();
  refresh();
});

/** Asks before something is done; resolves to true or false. */
function confirmed(what) {
  $("confirm-what").textContent = what;
  $("confirm").showModal();
  $("confirm-no").focus();
  return new Promise((resolve) => {
    const done = (answer) => () => {
      $("confirm").close();
      for (const [id, event, heard] of heards) $(id).removeEventListener(event, heard);
      resolve(answer);
    };
    const heards = [["confirm-yes", "click", done(true)], ["confirm-no", "click", done(false)], ["confirm", "cancel", done(false)]];
    for (const [id, event, heard] of heards) $(id).addEventListener(event, heard);
  });
}

// Words.

function ago(ms) {
  const seconds = Math.max(0, Math.round((Date.now() - ms) / 1000));
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${name}`;
  }
  return `${seconds} s`;
}

const at = (ms) => new Date(ms).toLocaleString();

function duration(ms) {
  return ms < 1000 ? `${ms} ms` : ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
}

function element(name, text, classes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

const badge = (state) => element("span", words(state), `badge s-${STATES.includes(state) ? state : "added"}`);

function facts(list, pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => {
    const row = element("div");
    row.append(element("dt", name), element("dd", value));
    return row;
  });
  list.replaceChildren(...rows);
}

// The fleet.

let fleet = null;
const foreign = [];

const tiles = new Map(STATES.map((state) => {
  const button = element("button", undefined, `s-${state}`);
  button.type = "button";
  button.dataset.state = state;
  const count = element("span", "0", "count");
  button.append(count, element("span", words(state), "label"));
  button.addEventListener("click", () => {
    $("state").value = $("state").value === state ? "" : state;
    filtered();
  });
  const item = element("li");
  item.append(button);
  $("states").append(item);
  $("state").append(new Option(words(state), state));
  return [state, { button, count, item }];
}));

function showFleet(now) {
  fleet = now;
  $("name").textContent = now.name;
  $("node").textContent = now.node;
  document.title = `${now.accounts.online ?? 0} of ${now.total} online · ${now.name}`;
  for (const [state, { count, item }] of tiles) {
    const number = now.accounts[state] ?? 0;
    count.textContent = number.toLocaleString();
    item.hidden = number === 0 && ["draining", "released", "added"].includes(state);
  }
  $("total").textContent = `${now.total.toLocaleString()} of at most ${now.limit.toLocaleString()}`;
  $("breaker").textContent = words(now.breaker) + (now.breaker_cause ? `: ${now.breaker_cause}` : "");
  $("queue").textContent = now.queue.length ? `${now.queue.length.toLocaleString()}, about ${duration(now.queue.eta_ms)}` : "empty";
  $("logins").textContent = `${now.logins.done.toLocaleString()}, ${now.logins.failed.toLocaleString()}`;
  const cause = $("cause").value;
  const causes = Object.keys(now.causes);
  if (cause && !causes.includes(cause)) causes.push(cause);
  const options = causes.sort().map((name) => new Option(`${words(name)} (${now.causes[name] ?? 0})`, name, false, name === cause));
  // A list that is open is left alone.
  if (document.activeElement !== $("cause")) $("cause").replaceChildren(new Option("any", ""), ...options);
  showAlarms();
}

function showAlarms() {
  const alarms = [];
  const { accounts, breaker } = fleet;
  if (!fleet.live) alarms.push(["A thread of this process has not run for half a minute: start the process again."]);
  for (const by of foreign) alarms.push([by]);
  if (breaker !== "closed") alarms.push([`Logins are held back (${words(breaker)})${fleet.breaker_cause ? `: ${fleet.breaker_cause}` : ""}.`, breaker === "recovering"]);
  if (accounts.failed) alarms.push([`${accounts.failed} refused: somebody has to act. Look at the state “failed”.`]);
  if (accounts.parked) alarms.push([`${accounts.parked} parked after a kick. Look at the state “parked”.`, true]);
  if (fleet.draining) alarms.push(["The fleet is being drained.", true]);
  const told = JSON.stringify(alarms);
  if (told === $("alarms").dataset.told) return;
  $("alarms").dataset.told = told;
  $("alarms").replaceChildren(...alarms.map(([text, mild]) => element("p", text, mild ? "mild" : "")));
}

// The charts: one point a second.

const points = [];
const SVG = "http://www.w3.org/2000/svg";

function paths(svg, classes) {
  return classes.map((name) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
    return path;
  });
}

const areas = paths($("chart-states"), STATES.map((state) => `s-${state}`));
const lines = paths($("chart-logins"), ["done", "failed"]);

function draw() {
  if (!fleet) return;
  const last = points.at(-1);
  points.push({ accounts: fleet.accounts, logins: fleet.logins, total: fleet.total });
  if (points.length > POINTS) points.shift();
  // What is shown grows from a minute to five.
  const span = Math.max(LEAST, points.length);
  const x = (place) => ((600 * (span - points.length + place)) / (span - 1)).toFixed(1);
  const top = Math.max(1, ...points.map((point) => point.total));
  const below = points.map(() => 0);
  STATES.forEach((state, place) => {
    const lower = points.map((_, i) => `${x(i)} ${(140 - (140 * below[i]) / top).toFixed(1)}`);
    points.forEach((point, i) => { below[i] += point.accounts[state] ?? 0; });
    const upper = points.map((_, i) => `${x(i)} ${(140 - (140 * below[i]) / top).toFixed(1)}`);
    areas[place].setAttribute("d", `M${upper.join("L")}L${lower.reverse().join("L")}Z`);
  });
  const rates = points.map((point, i) => {
    const before = points[i - 1]?.logins ?? point.logins;
    return [Math.max(0, point.logins.done - before.done), Math.max(0, point.logins.failed - before.failed)];
  });
  const most = Math.max(1, ...rates.flat());
  lines.forEach((line, place) => {
    line.setAttribute("d", `M${rates.map((rate, i) => `${x(i)} ${(137 - (132 * rate[place]) / most).toFixed(1)}`).join("L")}`);
  });
  for (const from of document.querySelectorAll("[data-from]")) from.textContent = span < 120 ? `${span} s ago` : `${Math.floor(span / 60)} min ago`;
  $("chart-states-top").textContent = `top: ${top.toLocaleString()}`;
  $("chart-logins-top").textContent = `top: ${most.toLocaleString()} a second`;
  if (last?.accounts !== fleet.accounts) {
    const text = STATES.filter((state) => fleet.accounts[state]).map((state) => `${fleet.accounts[state]} ${words(state)}`).join(", ");
    $("chart-states").setAttribute("aria-label", `Accounts by state over the last five minutes; now ${text || "none"}`);
  }
}

// The list.

let before = [];
let next = null;
let asked = 0;

function query(extra) {
  const given = { search: $("search").value.trim(), state: $("state").value, cause: $("cause").value, tag: $("tag").value.trim(), ...extra };
  return new URLSearchParams(Object.entries(given).filter(([, value]) => value)).toString();
}

async function list() {
  const mine = ++asked;
  const told = await call("GET", `accounts?${query({ after: before.at(-1), limit: PAGE })}`);
  // A later one is under way.
  if (mine !== asked) return;
  next = told.next;
  const focused = document.activeElement?.dataset?.user;
  $("rows").replaceChildren(...told.accounts.map(row));
  if (focused) $("rows").querySelector(`[data-user="${CSS.escape(focused)}"]`)?.focus();
  $("previous").disabled = before.length === 0;
  $("next").disabled = next === null;
  const first = before.length * PAGE;
  $("shown").textContent = told.accounts.length ? `${first + 1} to ${first + told.accounts.length}, by user id` : "No account is of this kind.";
  for (const [state, { button }] of tiles) button.setAttribute("aria-pressed", String($("state").value === state));
}

function row(account) {
  const made = element("tr");
  made.dataset.row = account.user;
  made.dataset.is = account.state;
  const open = element("button", account.user);
  open.type = "button";
  open.dataset.user = account.user;
  open.addEventListener("click", () => show(account.user));
  const cells = Array.from({ length: 6 }, () => element("td"));
  cells[0].append(open);
  cells[1].append(badge(account.state));
  cells[2].textContent = ago(account.since_ms);
  cells[2].title = at(account.since_ms);
  cells[3].textContent = account.cause ? words(account.cause) + (account.code === null ? "" : ` (${account.code})`) : "";
  cells[3].title = account.message ?? "";
  cells[4].textContent = account.advice ?? "";
  cells[5].textContent = account.tag ?? "";
  made.append(...cells);
  return made;
}

function filtered() {
  before = [];
  refresh();
}

let typing = null;
for (const id of ["search", "tag"]) {
  $(id).addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(filtered, 200);
  });
}
for (const id of ["state", "cause"]) $(id).addEventListener("change", filtered);
$("filter").addEventListener("submit", (event) => { event.preventDefault(); filtered(); });
$("next").addEventListener("click", () => { if (next) { before.push(next); refresh(); } });
$("previous").addEventListener("click", () => { before.pop(); refresh(); });

// What changed is looked at again once a second at most, however much changes.
let stale = false;
let listing = false;

async function refresh() {
  stale = true;
  if (listing) return;
  listing = true;
  while (stale) {
    stale = false;
    try {
      await list();
      if (shown) await details();
    } catch (error) {
      $("shown").textContent = String(error.message ?? error);
    }
    if (stale) await new Promise((done) => setTimeout(done, 300));
  }
  listing = false;
}

// One account.

let shown = null;

async function show(user) {
  shown = user;
  $("account-said").textContent = "";
  try {
    await details();
    $("account").showModal();
  } catch (error) {
    shown = null;
    $("shown").textContent = String(error.message ?? error);
  }
}

async function details() {
  const user = shown;
  const told = await call("GET", `accounts/${encodeURIComponent(user)}`);
  if (user !== shown) return;
  $("account-user").textContent = told.user;
  $("account-state").replaceChildren(badge(told.state), ` for ${ago(told.since_ms)}, since ${at(told.since_ms)}`);
  const by = told.by && (told.by.node ? `node ${told.by.node}, process ${told.by.pid}` : told.by.ext ?? "a login that does not say who it is");
  facts($("account-facts"), [
    ["Cause", told.cause && `${words(told.cause)}${told.code === null ? "" : ` (${told.code})`}`],
    ["In words", told.message],
    ["What to do", told.advice],
    ["The other login", by],
    ["Waits for", told.state === "waiting" ? words(told.why) : null],
    ["Paused because", told.state === "paused" ? told.why : null],
    ["Step", told.step && words(String(told.step))],
    ["Next attempt", told.attempt && `no. ${told.attempt}, ${at(told.at_ms)}`],
    ["Until", told.until_ms && at(told.until_ms)],
    ["Tag", told.tag],
    ["Node", told.node],
  ]);
  $("account-transitions").replaceChildren(...told.transitions.toReversed().map((move) => {
    const item = element("li");
    const when = element("time", at(move.at_ms));
    when.dateTime = new Date(move.at_ms).toISOString();
    const why = move.cause ? `, ${words(move.cause)}${move.code === null ? "" : ` (${move.code})`}` : "";
    item.append(when, `${words(move.from)} → ${words(move.to)}${why}`);
    return item;
  }));
  facts($("account-health"), Object.entries(told.health ?? {}).filter(([name]) => !["user", "state"].includes(name))
    .map(([name, value]) => [words(name), typeof value === "number" ? value.toLocaleString() : value]));
}

$("account").addEventListener("close", () => { shown = null; });
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", async () => {
    const [user, act] = [shown, button.dataset.act];
    const what = { pause: "Pause", resume: "Resume", restart: "Restart", remove: "Log out and forget" }[act];
    if (!user || !(await confirmed(`${what} ${user}?`))) return;
    try {
      if (act === "remove") {
        await call("DELETE", `accounts/${encodeURIComponent(user)}`);
        $("account").close();
      } else {
        await call("POST", `accounts/${encodeURIComponent(user)}/${act}`, act === "pause" ? { why: "paused on the page" } : undefined);
        $("account-said").textContent = `${what}: done.`;
      }
    } catch (error) {
      $("account-said").textContent = String(error.message ?? error);
    }
    refresh();
  });
}

for (const button of document.querySelectorAll("[data-many]")) {
  button.addEventListener("click", () => many(`accounts/${button.dataset.many}`, query({}), words(button.dataset.many)));
}
for (const button of document.querySelectorAll("[data-fleet]")) {
  button.addEventListener("click", async () => {
    if (button.dataset.fleet !== "drain") return many(`fleet/${button.dataset.fleet}`, "", words(button.dataset.fleet));
    if (!(await confirmed("Log all accounts out and end the fleet? It does not begin again by itself."))) return;
    await said(call("POST", "fleet/drain"), () => "The fleet is being drained.");
  });
}

async function many(path, parameters, verb) {
  const of = (extra) => `${path}?${new URLSearchParams([...new URLSearchParams(parameters), ...extra])}`;
  let found;
  try {
    found = await call("POST", of([["dry_run", "1"]]));
  } catch (error) {
    $("shown").textContent = String(error.message ?? error);
    return;
  }
  const which = found.taken === 1 ? `account ${found.users[0]}` : `${found.taken.toLocaleString()} accounts`;
  if (!found.taken) {
    $("shown").textContent = `There is no account to ${verb}.`;
    return;
  }
  if (!(await confirmed(`${verb[0].toUpperCase()}${verb.slice(1)} ${which}?`))) return;
  await said(call("POST", of([])), (told) => `${told.done.toLocaleString()} of ${told.taken.toLocaleString()} done.`);
}

async function said(calling, what) {
  try {
    const told = await calling;
    await refresh();
    $("shown").textContent = what(told);
  } catch (error) {
    $("shown").textContent = String(error.message ?? error);
  }
}

// The events: a stream that is read by hand, for an EventSource cannot say a token.

let wake = () => {};
const heard = {
  fleet: (now) => { showFleet(now); },
  account: () => later(),
  missed: () => later(),
  breaker: () => {},
  foreign_fleet: ({ by, accounts }) => {
    const who = by.node ? `process ${by.pid} of node ${by.node}` : by.ext ?? "a login that does not say who it is";
    foreign.push(`Another program takes this fleet's accounts (${accounts} so far): ${who}`);
    foreign.splice(0, foreign.length - 5);
    if (fleet) showAlarms();
  },
  draining: () => {},
  drained: () => { later(); },
};

let due = null;
/** Looks at the list again soon; many changes at once are one look. */
function later() {
  due ??= setTimeout(() => { due = null; refresh(); }, 250);
}

function linked(state, text) {
  $("link").dataset.link = state;
  $("link").textContent = text;
}

async function listen() {
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15_000)) {
    try {
      const stream = (await call("GET", "events", undefined, true)).pipeThrough(new TextDecoderStream()).getReader();
      linked("live", "live");
      pause = 500;
      refresh();
      let text = "";
      for (;;) {
        const { value, done } = await stream.read();
        if (done) break;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
          const [, name] = /^event: (.*)$/m.exec(event) ?? [];
          const [, data] = /^data: (.*)$/m.exec(event) ?? [];
          if (name in heard && data) heard[name](JSON.parse(data));
        }
      }
      linked("ended", "the server has ended the stream; trying again…");
    } catch (error) {
      linked("connecting", `${error.message ?? error}; trying again…`);
    }
    await new Promise((done) => { wake = done; setTimeout(done, pause); });
  }
}

setInterval(draw, 1000);
setInterval(() => { if (!document.hidden) refresh(); }, 5000);
refresh();
listen();
