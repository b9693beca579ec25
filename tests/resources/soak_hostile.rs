//! A server that sends the costliest valid frames without end: the client's memory stays bounded, its heartbeat is on time,
//! and other accounts on its thread are not held up.
//!
//! The client is a process of its own, whose memory is told from the server's. It has a slow message handler that fails now and
//! then, a slow closure on another arbiter, and a log output that nobody reads. `.ci/long soak-hostile` runs it for two
//! minutes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests may fail loudly, and say what they measured"
)]

use std::{
    collections::VecDeque,
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use actix::{Arbiter, System};
use agora_chat::{
    Config, Connection, Credentials, DeadLetters, Delivery, EventHandler, LogConfig, LogHandle, LogLevel,
    MessageHandler,
    logger::Terminal,
    wire::{
        CommSyncDl, CommSyncUl, CommUnreadDl, Content, Jid, KeyValue, MSync, MessageBody, Meta, MetaQueue, Provision,
        Status, Upward, encode, key_value::Value, meta::NameSpace, msync::Command as Cmd,
    },
};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};
use tungstenite::handshake::derive_accept_key;

use crate::support::own_process::{self, done_alone};

const APP: &str = "local#test";

/// After so long without any frame from the server a heartbeat is due.
const IDLE: Duration = Duration::from_millis(500);

/// How much later than due it may be: what still lies in the buffers of the socket is read first.
const SLACK: Duration = Duration::from_millis(1000);

/// How late other accounts on the thread may be in the long run; three times as much in the short one, which shares the
/// machine with other tests.
const LATE: Duration = Duration::from_millis(50);

/// How much longer everything may take in a build that is not optimised.
const UNOPTIMISED: u32 = 20;

/// How much more memory the client may take than before the first frame.
const MEMORY_KIB: u64 = 96 << 10;

const OTHERS: usize = 3;

/// The largest frame of the default limits.
const FRAME: usize = 4 << 20;

/// Some room for what is around the content of a frame.
const AROUND: usize = 64 << 10;

fn long() -> Option<Duration> {
    env::var("AGORA_CHAT_SOAK_SECONDS").ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()))
}

/// A page's messages from the id on.
type Page = Box<dyn Fn(&mut u64) -> Vec<Meta>>;

fn next(id: &mut u64) -> Option<u64> {
    *id += 1;
    Some(*id)
}

fn chat(id: &mut u64, text: &str, ext: Vec<KeyValue>) -> Meta {
    let content = Content { r#type: Some(0), text: Some(text.to_owned()), ..Content::default() };
    let body = MessageBody { r#type: Some(1), contents: vec![content], ext, ..MessageBody::default() };
    Meta {
        id: next(id),
        from: Some(Jid::user(APP, "mallory")),
        to: Some(Jid::user(APP, "alice")),
        timestamp: Some(5),
        ns: Some(NameSpace::Chat as i32),
        payload: Some(encode(&body)),
        ..Meta::default()
    }
}

fn attribute(json: &str) -> KeyValue {
    KeyValue { key: Some("a".to_owned()), r#type: Some(8), value: Some(Value::String(json.to_owned())) }
}

fn notify(id: &mut u64, payload: &Bytes) -> Meta {
    Meta { id: next(id), ns: Some(NameSpace::Notify as i32), payload: Some(payload.clone()), ..Meta::default() }
}

/// An array of as many of these as fit.
fn array(of: &str, bytes: usize) -> String {
    format!("[{}]", vec![of; (bytes - 2) / (of.len() + 1)].join(","))
}

/// The kinds of page that cost a client most for their bytes.
fn pages() -> Vec<(&'static str, Page)> {
    let mut pages: Vec<(&'static str, Page)> = Vec::new();
    let small = array("{\"\":0}", 3 << 10);
    pages.push((
        "100 messages with 3 KiB of JSON",
        Box::new(move |id| (0..100).map(|_| chat(id, "x", vec![attribute(&small)])).collect()),
    ));
    let large = array("{\"\":0}", (256 << 10) - 64);
    pages.push((
        "15 messages with 256 KiB of JSON",
        Box::new(move |id| (0..15).map(|_| chat(id, "x", vec![attribute(&large)])).collect()),
    ));
    for (name, kind, key, element) in [
        ("presence of 85 000 users", "presence", "values", r#"{"uid":"user-0000001","last_time":"1"}"#),
        ("presence of users without anything", "presence", "values", "{}"),
        ("silent modes", "user_notification_mute", "values", "{}"),
        ("reactions", "reaction", "", "{}"),
    ] {
        let elements = array(element, FRAME - AROUND);
        let data = if key.is_empty() { elements } else { format!("{{\"{key}\":{elements}}}") };
        let payload = Bytes::from(format!("{{\"type\":\"{kind}\",\"data\":{data}}}"));
        pages.push((name, Box::new(move |id| vec![notify(id, &payload)])));
    }
    pages.push(("10 000 messages", Box::new(|id| (0..9_999).map(|_| chat(id, "x", Vec::new())).collect())));
    let text = "x".repeat(FRAME - AROUND);
    pages.push(("a text of 4 MiB", Box::new(move |id| vec![chat(id, &text, Vec::new())])));
    let number = |n: u32| KeyValue { key: Some(format!("{n}")), r#type: Some(2), value: Some(Value::Varint(1)) };
    pages.push(("60 000 attributes", Box::new(move |id| vec![chat(id, "x", (0..60_000).map(number).collect())])));
    let raw = Bytes::from(vec![b'x'; FRAME - AROUND]);
    pages.push(("what nobody knows", Box::new(move |id| vec![Meta { ns: Some(99), ..notify(id, &raw) }])));
    pages
}

/// A frame the server sends, unmasked.
fn binary(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        middle @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn ok() -> Option<Status> {
    Some(Status { error_code: Some(0), ..Status::default() })
}

fn page(queue: &Jid, key: Option<u64>, metas: Vec<Meta>) -> Vec<u8> {
    let page = CommSyncDl {
        status: ok(),
        queue: Some(queue.clone()),
        metas,
        next_key: key,
        is_last: Some(false),
        ..CommSyncDl::default()
    };
    let frame = MSync::from_server(Cmd::Sync, &page).to_bytes();
    assert!(frame.len() <= FRAME, "{} bytes", frame.len());
    binary(&frame)
}

/// What the client says on one link, each with the moment it came.
async fn hear(
    mut from: OwnedReadHalf,
    mut read: Vec<u8>,
    heard: tokio::sync::mpsc::UnboundedSender<(Instant, Upward)>,
) {
    loop {
        while let Some((opcode, payload)) = masked(&mut read) {
            if opcode == 2 {
                let upward = MSync::decode_frame(payload.into(), 1 << 20).unwrap().upward().unwrap();
                if heard.send((Instant::now(), upward)).is_err() {
                    return;
                }
            }
        }
        if !matches!(from.read_buf(&mut read).await, Ok(1..)) {
            return;
        }
    }
}

fn masked(read: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let [first, second, ..] = read[..] else { return None };
    let (len, at) = match second & 0x7f {
        126 => (u16::from_be_bytes(read.get(2..4)?.try_into().unwrap()) as usize, 4),
        127 => (u64::from_be_bytes(read.get(2..10)?.try_into().unwrap()) as usize, 10),
        short => (short as usize, 2),
    };
    let mask: [u8; 4] = read.get(at..at + 4)?.try_into().unwrap();
    let payload =
        read.get(at + 4..at + 4 + len)?.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    read.drain(..at + 4 + len);
    Some((first & 0x0f, payload))
}

/// One link, logged in.
struct Peer {
    to: OwnedWriteHalf,
    heard: UnboundedReceiver<(Instant, Upward)>,
    /// Pulls that are not answered yet: the queue, and the key it was pulled with.
    pulls: VecDeque<(Jid, Option<u64>)>,
}

impl Peer {
    async fn login(mut stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|four: &[u8]| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(stream.read_buf(&mut read).await.unwrap() > 0);
        };
        let head = String::from_utf8(read.drain(..end).collect()).unwrap();
        let is_key = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case("sec-websocket-key");
        let (_, key) = head.lines().filter_map(|line| line.split_once(": ")).find(is_key).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (from, to) = stream.into_split();
        let (tell, heard) = unbounded_channel();
        drop(actix_rt::spawn(hear(from, read, tell)));
        let mut peer = Peer { to, heard, pulls: VecDeque::new() };
        let (_, upward) = peer.heard.recv().await.unwrap();
        assert!(matches!(upward, Upward::Provision(_)), "{upward:?}");
        peer.send(&binary(
            &MSync::from_server(Cmd::Provision, &Provision { status: ok(), ..Provision::default() }).to_bytes(),
        ))
        .await;
        peer
    }

    /// Keeps a pull to be answered; whether it is a heartbeat.
    fn takes_note(&mut self, upward: Upward) -> bool {
        match upward {
            Upward::Unread(_) => return true,
            Upward::Sync(sync) => {
                let CommSyncUl { queue, key, .. } = *sync;
                self.pulls.extend(queue.map(|queue| (queue, key)));
            }
            _ => {}
        }
        false
    }

    async fn send(&mut self, bytes: &[u8]) {
        timeout(Duration::from_secs(30), self.to.write_all(bytes))
            .await
            .expect("the client reads")
            .expect("it is there");
    }
}

fn queues() -> Vec<Jid> {
    (0..16).map(|n| Jid::user(APP, &format!("mallory-{n}"))).collect()
}

fn unread(queues: &[Jid]) -> Vec<u8> {
    let unread = queues.iter().map(|queue| MetaQueue { queue: Some(queue.clone()), n: Some(1_000_000) }).collect();
    binary(
        &MSync::from_server(Cmd::Unread, &CommUnreadDl { status: ok(), unread, ..CommUnreadDl::default() }).to_bytes(),
    )
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Tells an account the time, again and again, and answers its heartbeats.
async fn tell_the_time(mut peer: Peer) {
    let (queue, mut id) = (Jid::user(APP, "clock"), 1 << 40);
    loop {
        while let Ok((_, upward)) = peer.heard.try_recv() {
            match upward {
                Upward::Unread(_) => peer.send(&unread(&[])).await,
                Upward::Logout(_) => return,
                _ => {}
            }
        }
        let meta = chat(&mut id, &now_ns().to_string(), Vec::new());
        let meta = Meta { from: Some(Jid::user(APP, "clock")), ..meta };
        let frame = page(&queue, None, vec![meta]);
        if peer.to.write_all(&frame).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// What became of one kind of page.
struct Phase {
    name: &'static str,
    sent: usize,
    bytes: usize,
    peak_kib: u64,
    heartbeat: Duration,
    /// What the client says.
    report: serde_json::Value,
}

impl Phase {
    /// How late other accounts on the thread were, by whichever of two measures says less: what is due on the thread, without the
    /// time that other processes had and the one turn in a thousand that a pause of the whole machine falls into; and what
    /// they are told from outside, which other processes add to. A thread that is held up shows in both.
    fn late(&self) -> Duration {
        let [turns, told] = ["late_us_p999", "told_late_us"].map(|measure| self.report[measure].as_u64().unwrap());
        Duration::from_micros(turns.min(told))
    }
}

/// Sends one kind of page for a while, as answers to pulls and unasked, then nothing until the client's heartbeat.
async fn flood(
    peer: &mut Peer,
    name: &'static str,
    make: &Page,
    id: &mut u64,
    time: Duration,
    peak: &AtomicU64,
) -> Phase {
    let (queues, began) = (queues(), Instant::now());
    let pushed = Jid::user(APP, "mallory");
    let mut phase =
        Phase { name, sent: 0, bytes: 0, peak_kib: 0, heartbeat: Duration::ZERO, report: serde_json::Value::Null };
    peak.store(0, Ordering::SeqCst);
    peer.send(&unread(&queues)).await;
    while began.elapsed() < time {
        let mut answer = None;
        while let Ok((_, upward)) = peer.heard.try_recv() {
            if peer.takes_note(upward) {
                answer = Some(unread(&queues));
            }
        }
        let answer = match (answer, peer.pulls.pop_front()) {
            (Some(answer), pull) => {
                peer.pulls.extend(pull);
                answer
            }
            (None, Some((queue, key))) => page(&queue, Some(key.unwrap_or(0) + 1), make(id)),
            (None, None) => page(&pushed, None, make(id)),
        };
        peer.send(&answer).await;
        phase.sent += 1;
        phase.bytes += answer.len();
        // The links of the other accounts are served by this thread, too.
        sleep(Duration::from_millis(1)).await;
    }
    let last = Instant::now();
    loop {
        let heard =
            timeout(IDLE + 10 * SLACK, peer.heard.recv()).await.unwrap_or_else(|_| panic!("{name}: no heartbeat"));
        let (at, upward) = heard.unwrap_or_else(|| panic!("{name}: the link is lost"));
        if peer.takes_note(upward) && at > last {
            phase.heartbeat = at - last;
            peer.send(&unread(&[])).await;
            break;
        }
    }
    phase.peak_kib = peak.load(Ordering::SeqCst);
    phase
}

fn resident_kib(process: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4)
}

/// The client as a process: it ends with this.
struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Client {
    fn start(port: u16) -> Self {
        let mut command = own_process::command(&own_process::full_name(module_path!(), "client"));
        command.env("AGORA_CHAT_SOAK_PORT", port.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (tell, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some((_, line)) = line.split_once("SOAK ") {
                    let _ = tell.send(line.to_owned());
                }
            }
        });
        Client { stdin: child.stdin.take().unwrap(), child, lines }
    }

    async fn report(&mut self) -> serde_json::Value {
        self.stdin.write_all(b"next\n").unwrap();
        serde_json::from_str(&self.line().await).unwrap()
    }

    async fn line(&self) -> String {
        let began = Instant::now();
        loop {
            match self.lines.try_recv() {
                Ok(line) => return line,
                Err(error) => {
                    assert!(error == mpsc::TryRecvError::Empty && began.elapsed() < Duration::from_secs(60), "{error}")
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_costliest_frames_without_end_leave_memory_the_heartbeat_and_other_accounts_as_they_are() {
    if done_alone() {
        return;
    }
    System::new().block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut client = Client::start(listener.local_addr().unwrap().port());
        let process = client.child.id();
        let mut victim = None;
        for n in 0..=OTHERS {
            let (stream, _) = timeout(Duration::from_secs(30), listener.accept()).await.unwrap().unwrap();
            let mut peer = Peer::login(stream).await;
            // The first one to log in is the one that is flooded.
            if n == 0 {
                let (_, upward) = peer.heard.recv().await.unwrap();
                assert!(matches!(upward, Upward::Unread(_)), "{upward:?}");
                peer.send(&unread(&[])).await;
                victim = Some(peer);
            } else {
                drop(actix_rt::spawn(tell_the_time(peer)));
            }
        }
        assert_eq!(client.line().await, "ready");
        let (peak, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        sleep(Duration::from_millis(200)).await;
        let before = resident_kib(process).unwrap();
        let watching = std::thread::spawn({
            let (peak, over) = (Arc::clone(&peak), Arc::clone(&over));
            move || {
                while !over.load(Ordering::SeqCst) {
                    peak.fetch_max(resident_kib(process).unwrap_or(0), Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let (mut pages, mut victim, mut id) = (pages(), victim.unwrap(), 1);
        if let Ok(only) = env::var("AGORA_CHAT_SOAK_ONLY") {
            pages.retain(|(name, _)| name.contains(&only));
        }
        let each = long()
            .map_or(Duration::from_millis(500), |all| (all / u32::try_from(pages.len()).unwrap()).saturating_sub(IDLE));
        let mut phases = Vec::new();
        for (name, make) in &pages {
            let mut phase = flood(&mut victim, name, make, &mut id, each, &peak).await;
            phase.report = client.report().await;
            println!(
                "{name}: {} frames of {} MiB; memory {} MiB; heartbeat after {} ms; others {:.1} ms late; {}",
                phase.sent,
                phase.bytes >> 20,
                phase.peak_kib.saturating_sub(before) >> 10,
                phase.heartbeat.as_millis(),
                phase.late().as_secs_f64() * 1000.0,
                phase.report,
            );
            phases.push(phase);
        }
        over.store(true, Ordering::SeqCst);
        watching.join().unwrap();
        println!("before: {} MiB", before >> 10);
        let most_late = match long() {
            _ if cfg!(debug_assertions) => UNOPTIMISED * LATE,
            None => 3 * LATE,
            Some(_) => LATE,
        };
        for phase in &phases {
            let more = phase.peak_kib.saturating_sub(before);
            assert!(more <= MEMORY_KIB, "{}: {} MiB more memory", phase.name, more >> 10);
            assert!(phase.heartbeat <= IDLE + SLACK, "{}: the heartbeat came after {:?}", phase.name, phase.heartbeat);
            assert!(phase.late() <= most_late, "{}: other accounts were {:?} late", phase.name, phase.late());
            // Unoptimised, the costliest take half a second each.
            let least = if cfg!(debug_assertions) { 2 } else { 4 };
            assert!(phase.sent >= least, "{}: only {} frames were sent", phase.name, phase.sent);
            let told = phase.report["told"].as_u64().unwrap();
            assert!(told > 20, "{}: other accounts were told the time {told} times", phase.name);
            assert_eq!(phase.report["connected"], 1, "{}: the link was lost", phase.name);
        }
    });
}

/// How long this thread was ready to run and did not, as far as the system knows: it ran something else, or the machine is a
/// virtual one and its host did.
fn kept_from_running() -> Duration {
    let waited = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = Duration::from_nanos(waited.split(' ').nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0));
    // Of all processors, in hundredths of a second.
    let stolen = fs::read_to_string("/proc/stat").unwrap_or_default();
    let stolen = stolen.lines().next().and_then(|all| all.split_ascii_whitespace().nth(8)?.parse().ok()).unwrap_or(0);
    waited + Duration::from_millis(10 * stolen)
}

/// A log output that takes some and then nothing.
fn stuck() -> (io::PipeReader, LogHandle) {
    let (reader, writer) = io::pipe().unwrap();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(writer);
    (reader, LogHandle::start(log).unwrap())
}

#[test]
#[ignore = "the client of the test above, which starts it"]
fn client() {
    let Ok(port) = env::var("AGORA_CHAT_SOAK_PORT") else { return };
    System::new().block_on(async {
        let (_nobody_reads, log) = stuck();
        let config = || {
            let config = Config::builder(APP).allow_plaintext();
            let socket = format!("ws://127.0.0.1:{port}/websocket");
            let config = config.addresses(format!("http://127.0.0.1:{port}"), socket);
            config.heartbeat(IDLE, Duration::from_secs(20)).logger(log.slog())
        };
        let open = async |connection: &Connection, user: &str| {
            connection.open(Credentials::token(user, "YWMtsoak").unwrap()).await.unwrap();
        };
        let alice = Connection::start(config().build().unwrap()).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        // Between two kinds of page what is left of the first is handled at once.
        let hurries = Arc::new(AtomicBool::new(false));
        let (handled, hurry) = (Arc::clone(&count), Arc::clone(&hurries));
        let handler = MessageHandler::new(move |_: Delivery| {
            let (n, hurry) = (handled.fetch_add(1, Ordering::SeqCst), hurry.load(Ordering::SeqCst));
            async move {
                if hurry {
                    return Ok(());
                }
                sleep(Duration::from_millis(5)).await;
                if n % 3 == 0 { Err("on purpose") } else { Ok(()) }
            }
        });
        let letters = DeadLetters::new().dropping_oldest();
        let handler = handler.attempts(1).unwrap().dead_letters(letters.clone());
        alice.set_message_handler(handler);
        let connected = Arc::new(AtomicU64::new(0));
        let (slow, heard) = (Arbiter::new(), Arc::new(AtomicU64::new(0)));
        let times = Arc::clone(&connected);
        let counts = EventHandler::new().on_connected(move |_| _ = times.fetch_add(1, Ordering::SeqCst));
        alice.add_event_handler("counts", counts).unwrap();
        let phase = Arc::new(AtomicUsize::new(0));
        // One for each kind of page, so that every kind finds nothing before it.
        let add_slow = |n: usize| {
            let (seen, of) = (Arc::clone(&heard), Arc::clone(&phase));
            let closure = EventHandler::new().on_event(move |_| {
                seen.fetch_add(1, Ordering::SeqCst);
                // One that is removed hears what is in its mailbox, and is not to count any more.
                if of.load(Ordering::SeqCst) == n {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            alice.add_event_handler(format!("slow-{n}"), closure.in_arbiter(&slow.handle())).unwrap();
        };
        add_slow(0);
        open(&alice, "alice").await;
        let late = Arc::new(Mutex::new(Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap()));
        let mut others = Vec::new();
        for n in 0..OTHERS {
            let other = Connection::start(config().build().unwrap()).unwrap();
            let late = Arc::clone(&late);
            let closure = EventHandler::new().on_message(move |_, message| {
                let sent: u64 = message.text().unwrap().parse().unwrap();
                late.lock().unwrap().saturating_record(now_ns().saturating_sub(sent) / 1000);
            });
            other.add_event_handler("clock", closure).unwrap();
            open(&other, &format!("other-{n}")).await;
            others.push(other);
        }
        // How late the thread is for whatever is due on it, without what other processes kept it from running.
        let turns = Arc::new(Mutex::new(Histogram::<u64>::new_with_bounds(1, 60_000_000, 3).unwrap()));
        let taken = Arc::clone(&turns);
        drop(actix_rt::spawn(async move {
            const PAUSE: Duration = Duration::from_millis(2);
            loop {
                let (due, kept) = (Instant::now() + PAUSE, kept_from_running());
                sleep(PAUSE).await;
                let late = due.elapsed().saturating_sub(kept_from_running().saturating_sub(kept));
                taken.lock().unwrap().saturating_record(u64::try_from(late.as_micros()).unwrap());
            }
        }));
        println!("\nSOAK ready");
        let (tell, mut told) = unbounded_channel();
        std::thread::spawn(move || io::stdin().lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        // Each line asks how it went since the one before.
        while told.recv().await.is_some() {
            let report = {
                let mut late = late.lock().unwrap();
                let mut turns = turns.lock().unwrap();
                let report = serde_json::json!({
                    "late_us": turns.max(), "late_us_p999": turns.value_at_quantile(0.999),
                    "told": late.len(), "told_late_us": late.max(), "told_late_us_p999": late.value_at_quantile(0.999),
                    "handled": count.swap(0, Ordering::SeqCst), "heard": heard.swap(0, Ordering::SeqCst),
                    "connected": connected.load(Ordering::SeqCst), "letters": letters.len(),
                });
                late.reset();
                turns.reset();
                report
            };
            let last = phase.fetch_add(1, Ordering::SeqCst);
            alice.remove_subscriber(format!("slow-{last}")).unwrap();
            add_slow(last + 1);
            hurries.store(true, Ordering::SeqCst);
            loop {
                let before = count.load(Ordering::SeqCst);
                sleep(Duration::from_millis(100)).await;
                if count.load(Ordering::SeqCst) == before {
                    break;
                }
            }
            hurries.store(false, Ordering::SeqCst);
            count.store(0, Ordering::SeqCst);
            println!("\nSOAK {report}");
        }
        // The log's thread stands still.
        std::process::exit(0);
    });
}
