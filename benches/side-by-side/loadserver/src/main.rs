//! A fast stand-in for the vendor's REST and MSYNC servers, for load only: it
//! checks nothing a correctness test would, and is built to cost less per
//! message than any client does.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::{Buf, Bytes, BytesMut};
use common::proto::borrowed::{Val, field};
use common::proto::*;
use common::{Hist, Meter, cpu_ns, mem, now_ns, r1, wire};
use prost::Message;
use serde_json::json;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

const BUCKETS: usize = 6000; // ten minutes of 100 ms

enum Cmd {
    Raw(Vec<u8>),
    Push(Arc<Push>, usize, usize),
    /// The client pulled, or acknowledged a batch, of the queue.
    Pull,
    Drop(bool),
}

#[derive(Clone, Debug)]
struct Push {
    messages: u64,
    batch: usize,
    rate: f64,
    text: usize,
    ack: bool,
    notice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Down {
    until: Option<Instant>,
    refuse: bool,
}

struct State {
    next_id: AtomicU64,
    meta_id: AtomicU64,
    sockets: Mutex<HashMap<u64, mpsc::UnboundedSender<Cmd>>>,
    up: Mutex<HashMap<u64, mpsc::UnboundedSender<Cmd>>>,
    tcp: AtomicU64,
    rest: AtomicU64,
    provisions: AtomicU64,
    unreads: AtomicU64,
    statistics: AtomicU64,
    pulls: AtomicU64,
    sends: AtomicU64,
    acks: AtomicU64,
    pushed: AtomicU64,
    frames: AtomicU64,
    pushing: AtomicU64,
    heartbeat_bytes: AtomicU64,
    ack_lat: Mutex<Arc<Hist>>,
    t0: Mutex<Instant>,
    attempts: Vec<AtomicU32>,
    provisioned: Vec<AtomicU32>,
    down: watch::Sender<Down>,
    quit: AtomicBool,
    app_key: Mutex<String>,
    threads: usize,
}

impl State {
    fn bump(&self, v: &[AtomicU32]) {
        let i = self.t0.lock().unwrap().elapsed().as_millis() as usize / 100;
        if let Some(b) = v.get(i) {
            b.fetch_add(1, Relaxed);
        }
    }
    fn down(&self) -> bool {
        self.down.borrow().until.is_some_and(|u| Instant::now() < u)
    }
    fn reset_buckets(&self) {
        *self.t0.lock().unwrap() = Instant::now();
        for b in self.attempts.iter().chain(self.provisioned.iter()) {
            b.store(0, Relaxed);
        }
    }
}

fn series(v: &[AtomicU32]) -> Vec<u32> {
    let mut o: Vec<u32> = v.iter().map(|b| b.load(Relaxed)).collect();
    while o.last() == Some(&0) {
        o.pop();
    }
    o
}

fn opt(name: &str, default: &str) -> String {
    let a: Vec<String> = std::env::args().collect();
    a.iter().position(|x| x == name).and_then(|i| a.get(i + 1).cloned()).unwrap_or_else(|| default.into())
}

fn main() {
    let threads: usize = opt("--threads", "1").parse().unwrap();
    let rt = if threads <= 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
    }
    .unwrap();
    rt.block_on(run(threads));
}

async fn run(threads: usize) {
    let nofile = common::raise_nofile();
    let port: u16 = opt("--port", "0").parse().unwrap();
    let addrs: u8 = opt("--addrs", "4").parse().unwrap();
    let ca_out = opt("--ca-out", "");

    let names: Vec<String> =
        std::iter::once("localhost".to_string()).chain((1..=addrs.max(8)).map(|i| format!("127.0.0.{i}"))).collect();
    let key = rcgen::generate_simple_self_signed(names).unwrap();
    if !ca_out.is_empty() {
        std::fs::write(&ca_out, key.cert.pem()).unwrap();
    }
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()),
        )
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));

    let zeros = || (0..BUCKETS).map(|_| AtomicU32::new(0)).collect::<Vec<_>>();
    let (down, _) = watch::channel(Down { until: None, refuse: false });
    let st = Arc::new(State {
        next_id: AtomicU64::new(1),
        meta_id: AtomicU64::new(now_ns()),
        sockets: Default::default(),
        up: Default::default(),
        tcp: AtomicU64::new(0),
        rest: AtomicU64::new(0),
        provisions: AtomicU64::new(0),
        unreads: AtomicU64::new(0),
        statistics: AtomicU64::new(0),
        pulls: AtomicU64::new(0),
        sends: AtomicU64::new(0),
        acks: AtomicU64::new(0),
        pushed: AtomicU64::new(0),
        frames: AtomicU64::new(0),
        pushing: AtomicU64::new(0),
        heartbeat_bytes: AtomicU64::new(0),
        ack_lat: Mutex::new(Default::default()),
        t0: Mutex::new(Instant::now()),
        attempts: zeros(),
        provisioned: zeros(),
        down,
        quit: AtomicBool::new(false),
        app_key: Mutex::new("org#app".into()),
        threads,
    });

    let (mut ports, next) = (Vec::new(), |port: u16, by| if port == 0 { 0 } else { port + by });
    // Plain, TLS and, on one address, control.
    for (by, addrs, acceptor) in [(0, addrs, None), (1, addrs, Some(tls)), (2, 1, None)] {
        let listeners = listen_on_all(addrs, next(port, by)).expect("listen");
        ports.push(listeners[0].local_addr().unwrap().port().to_string());
        for listener in listeners {
            let at = listener.local_addr().unwrap();
            // The control port never goes away.
            tokio::spawn(accept(listener, at, acceptor.clone(), st.clone(), by < 2));
        }
    }
    println!("LISTENING {} nofile {nofile}", ports.join(" "));
    while !st.quit.load(Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One port on 127.0.0.1, 127.0.0.2, …; with 0, one that is free on all of them.
fn listen_on_all(addrs: u8, port: u16) -> std::io::Result<Vec<TcpListener>> {
    let mut tries = 0;
    loop {
        let first = listen(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let free = first.local_addr()?.port();
        let others = (2..=addrs).map(|i| listen(SocketAddr::from(([127, 0, 0, i], free))));
        match std::iter::once(Ok(first)).chain(others).collect() {
            Err(_) if port == 0 && tries < 20 => tries += 1,
            listeners => return listeners,
        }
    }
}

fn listen(at: SocketAddr) -> std::io::Result<TcpListener> {
    let s = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    s.set_reuse_address(true)?;
    s.set_nonblocking(true)?;
    s.bind(&at.into())?;
    s.listen(4096)?;
    TcpListener::from_std(s.into())
}

async fn accept(
    first: TcpListener,
    at: SocketAddr,
    tls: Option<tokio_rustls::TlsAcceptor>,
    st: Arc<State>,
    load: bool,
) {
    let mut listener = Some(first);
    let mut down = st.down.subscribe();
    loop {
        let d = *down.borrow_and_update();
        if load && d.refuse {
            if let Some(u) = d.until {
                if Instant::now() < u {
                    listener = None;
                    tokio::time::sleep_until(u.into()).await;
                }
            }
        }
        if listener.is_none() {
            match listen(at) {
                Ok(l) => listener = Some(l),
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            }
        }
        let l = listener.as_ref().unwrap();
        let got = tokio::select! {
            g = l.accept() => g,
            _ = down.changed(), if load => continue,
        };
        let sock = match got {
            Ok((s, _)) => s,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
        };
        if load {
            st.tcp.fetch_add(1, Relaxed);
            st.bump(&st.attempts);
            if st.down() {
                linger0(sock.as_raw_fd());
                continue;
            }
        }
        let _ = sock.set_nodelay(true);
        let st = st.clone();
        let tls = tls.clone();
        tokio::spawn(async move {
            let fd = sock.as_raw_fd();
            match tls {
                None => http::<TcpStream>(sock, fd, st, load).await,
                Some(t) => {
                    if let Ok(s) = t.accept(sock).await {
                        http(s, fd, st, load).await
                    }
                }
            }
        });
    }
}

fn linger0(fd: RawFd) {
    let l = libc::linger { l_onoff: 1, l_linger: 0 };
    unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            &l as *const _ as *const _,
            std::mem::size_of::<libc::linger>() as u32,
        );
    }
}

struct Req {
    method: String,
    path: String,
    upgrade: Option<String>,
    body: Vec<u8>,
    close: bool,
}

async fn read_req<S: AsyncRead + Unpin>(s: &mut S, buf: &mut BytesMut) -> Option<Req> {
    loop {
        let mut hs = [httparse::EMPTY_HEADER; 48];
        let mut r = httparse::Request::new(&mut hs);
        match r.parse(buf) {
            Ok(httparse::Status::Complete(n)) => {
                let mut len = 0usize;
                let mut chunked = false;
                let mut q = Req {
                    method: r.method.unwrap_or("").into(),
                    path: r.path.unwrap_or("").into(),
                    upgrade: None,
                    body: vec![],
                    close: false,
                };
                for h in r.headers.iter() {
                    let v = std::str::from_utf8(h.value).unwrap_or("");
                    if h.name.eq_ignore_ascii_case("content-length") {
                        len = v.parse().unwrap_or(0);
                    } else if h.name.eq_ignore_ascii_case("transfer-encoding") {
                        chunked = v.to_ascii_lowercase().contains("chunked");
                    } else if h.name.eq_ignore_ascii_case("sec-websocket-key") {
                        q.upgrade = Some(v.into());
                    } else if h.name.eq_ignore_ascii_case("connection") {
                        q.close = v.eq_ignore_ascii_case("close");
                    }
                }
                buf.advance(n);
                if chunked {
                    loop {
                        if let Some((body, used)) = dechunk(buf) {
                            q.body = body;
                            buf.advance(used);
                            return Some(q);
                        }
                        if s.read_buf(buf).await.ok()? == 0 {
                            return None;
                        }
                    }
                }
                while buf.len() < len {
                    if s.read_buf(buf).await.ok()? == 0 {
                        return None;
                    }
                }
                q.body = buf.split_to(len).to_vec();
                return Some(q);
            }
            Ok(httparse::Status::Partial) => {}
            Err(_) => return None,
        }
        if buf.len() > 65536 || s.read_buf(buf).await.ok()? == 0 {
            return None;
        }
    }
}

fn dechunk(b: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut out = vec![];
    let mut i = 0;
    loop {
        let e = b[i..].windows(2).position(|w| w == b"\r\n")? + i;
        let n = usize::from_str_radix(std::str::from_utf8(&b[i..e]).ok()?.trim(), 16).ok()?;
        i = e + 2;
        if b.len() < i + n + 2 {
            return None;
        }
        out.extend_from_slice(&b[i..i + n]);
        i += n + 2;
        if n == 0 {
            return Some((out, i));
        }
    }
}

async fn http<S>(mut s: S, fd: RawFd, st: Arc<State>, load: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut buf = BytesMut::with_capacity(1024);
    while let Some(q) = read_req(&mut s, &mut buf).await {
        if let Some(key) = q.upgrade {
            let mut h = Sha1::new();
            h.update(key.as_bytes());
            h.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
            let accept = base64::engine::general_purpose::STANDARD.encode(h.finalize());
            let r = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            if s.write_all(r.as_bytes()).await.is_ok() {
                session(s, fd, st, buf).await;
            }
            return;
        }
        if load && st.down() {
            linger0(fd);
            return;
        }
        let body = if q.path.starts_with("/_ctl/") {
            control(&q.path, &st)
        } else {
            st.rest.fetch_add(1, Relaxed);
            rest(&q.method, &q.path, &q.body)
        };
        let conn = if q.close { "close" } else { "keep-alive" };
        let r = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\nConnection: {conn}\r\nCache-Control: no-store\r\n\r\n{body}",
            body.len()
        );
        if s.write_all(r.as_bytes()).await.is_err() || s.flush().await.is_err() || q.close {
            return;
        }
    }
    linger0(fd);
}

fn rest(_method: &str, path: &str, body: &[u8]) -> String {
    let v: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let ms = now_ns() / 1_000_000;
    let tail = path.split('?').next().unwrap_or("").rsplit('/').next().unwrap_or("");
    let uuid = |u: &str| {
        let h = u.bytes().fold(0xcbf2_9ce4_8422_2325u64, |a, b| (a ^ b as u64).wrapping_mul(0x100_0000_01b3));
        format!("{:08x}-{:04x}-11ee-{:04x}-{:012x}", h as u32, (h >> 32) as u16, (h >> 48) as u16, h & 0xffff_ffff_ffff)
    };
    let user = v["username"].as_str().unwrap_or("user");
    match tail {
        "token" => format!(
            "{{\"access_token\":\"YWMt{0}{0}{0}{0}\",\"expires_in\":5184000,\"user\":{{\"uuid\":\"{1}\",\"type\":\"user\",\"created\":{2},\"modified\":{2},\"username\":\"{3}\",\"activated\":true}}}}",
            uuid(user).replace('-', ""),
            uuid(user),
            ms,
            user
        ),
        "users" => format!(
            "{{\"action\":\"post\",\"application\":\"{0}\",\"path\":\"/users\",\"uri\":\"https://a1.example.com/org/app/users\",\"entities\":[{{\"uuid\":\"{1}\",\"type\":\"user\",\"created\":{2},\"modified\":{2},\"username\":\"{3}\",\"activated\":true}}],\"timestamp\":{2},\"duration\":3,\"organization\":\"org\",\"applicationName\":\"app\"}}",
            uuid("app"),
            uuid(user),
            ms,
            user
        ),
        _ => format!("{{\"action\":\"get\",\"timestamp\":{ms},\"duration\":1,\"entities\":[],\"data\":{{}}}}"),
    }
}

fn param<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    path.split_once('?')?.1.split('&').find_map(|kv| kv.split_once('=').filter(|(k, _)| *k == name).map(|(_, v)| v))
}

fn control(path: &str, st: &Arc<State>) -> String {
    let num = |n: &str, d: f64| param(path, n).and_then(|v| v.parse().ok()).unwrap_or(d);
    match path.split('?').next().unwrap_or("") {
        "/_ctl/stats" => stats(st).to_string(),
        "/_ctl/reset" => {
            st.reset_buckets();
            for a in [
                &st.tcp,
                &st.rest,
                &st.provisions,
                &st.unreads,
                &st.statistics,
                &st.pulls,
                &st.sends,
                &st.acks,
                &st.pushed,
                &st.frames,
                &st.heartbeat_bytes,
            ] {
                a.store(0, Relaxed);
            }
            *st.ack_lat.lock().unwrap() = Default::default();
            "{}".into()
        }
        "/_ctl/push" => {
            let p = Arc::new(Push {
                messages: num("messages", 1.0) as u64,
                batch: (num("batch", 1.0) as usize).max(1),
                rate: num("rate", 0.0),
                text: (num("text", 100.0) as usize).max(19),
                ack: num("ack", 1.0) != 0.0,
                notice: param(path, "mode") == Some("notice"),
            });
            let all: Vec<_> = st.up.lock().unwrap().values().cloned().collect();
            let n = (num("sessions", all.len() as f64) as usize).min(all.len());
            for (i, tx) in all.into_iter().take(n).enumerate() {
                st.pushing.fetch_add(1, Relaxed);
                if tx.send(Cmd::Push(p.clone(), i, n)).is_err() {
                    st.pushing.fetch_sub(1, Relaxed);
                }
            }
            json!({"sessions": n, "total": n as u64 * p.messages}).to_string()
        }
        "/_ctl/drop" => {
            let ms = num("down_ms", 0.0);
            let rst = param(path, "how") != Some("fin");
            st.reset_buckets();
            if ms > 0.0 {
                let _ = st.down.send(Down {
                    until: Some(Instant::now() + Duration::from_secs_f64(ms / 1000.0)),
                    refuse: param(path, "mode") == Some("refuse"),
                });
            }
            let all: Vec<_> = st.sockets.lock().unwrap().values().cloned().collect();
            let n = all.len();
            for tx in all {
                let _ = tx.send(Cmd::Drop(rst));
            }
            json!({"dropped": n}).to_string()
        }
        "/_ctl/quit" => {
            st.quit.store(true, Relaxed);
            "{}".into()
        }
        _ => "{\"error\":\"no such control\"}".into(),
    }
}

fn stats(st: &State) -> serde_json::Value {
    let c = cpu_ns();
    let m = mem();
    let h = st.ack_lat.lock().unwrap().clone();
    json!({
        "threads": st.threads,
        "sockets": st.sockets.lock().unwrap().len(),
        "up": st.up.lock().unwrap().len(),
        "tcp": st.tcp.load(Relaxed), "rest": st.rest.load(Relaxed),
        "provisions": st.provisions.load(Relaxed), "unreads": st.unreads.load(Relaxed),
        "statistics": st.statistics.load(Relaxed), "pulls": st.pulls.load(Relaxed),
        "sends": st.sends.load(Relaxed), "acks": st.acks.load(Relaxed),
        "pushed": st.pushed.load(Relaxed), "frames": st.frames.load(Relaxed),
        "pushing": st.pushing.load(Relaxed),
        "ack_latency_us": Meter::of(h),
        "attempts_100ms": series(&st.attempts),
        "provisions_100ms": series(&st.provisioned),
        "cpu_s": (c.0 + c.1) as f64 / 1e9, "cpu_user_s": c.0 as f64 / 1e9,
        "rss_mb": r1(m.rss_kb as f64 / 1024.0),
    })
}

struct Gone {
    id: u64,
    st: Arc<State>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.st.sockets.lock().unwrap().remove(&self.id);
        self.st.up.lock().unwrap().remove(&self.id);
    }
}

async fn session<S>(s: S, fd: RawFd, st: Arc<State>, mut buf: BytesMut)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (tx, rx) = mpsc::unbounded_channel();
    let id = st.next_id.fetch_add(1, Relaxed);
    st.sockets.lock().unwrap().insert(id, tx.clone());
    let _gone = Gone { id, st: st.clone() };
    let (mut rd, wr) = tokio::io::split(s);
    let sess = Arc::new(Sess::default());
    let reader = async {
        loop {
            while let Some(h) = wire::head(&buf) {
                if buf.len() < h.head_len + h.len {
                    buf.reserve(h.head_len + h.len - buf.len());
                    break;
                }
                buf.advance(h.head_len);
                let mut p = buf.split_to(h.len);
                if let Some(k) = h.mask {
                    wire::unmask(&mut p, k);
                }
                match h.op {
                    0x2 => on_frame(&st, id, &tx, &sess, p.freeze()),
                    0x8 => {
                        let mut o = vec![];
                        wire::put(&mut o, 0x8, &p, None);
                        let _ = tx.send(Cmd::Raw(o));
                        tokio::task::yield_now().await;
                        return;
                    }
                    0x9 => {
                        let mut o = vec![];
                        wire::put(&mut o, 0xa, &p, None);
                        let _ = tx.send(Cmd::Raw(o));
                    }
                    _ => {}
                }
            }
            if buf.is_empty() && buf.capacity() < 512 {
                buf.reserve(2048);
            }
            match rd.read_buf(&mut buf).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
    };
    let writer = writer(wr, rx, st.clone(), sess.clone());
    let reset = tokio::select! {
        // The client closed first: a reset spares its side TIME_WAIT, which
        // would make the next run's connects dearer.
        _ = reader => true,
        rst = writer => rst,
    };
    if reset {
        linger0(fd);
    }
}

fn frame(out: &mut Vec<u8>, m: MSync) {
    wire::put(out, 2, &m.encode_to_vec(), None);
}

fn reply(cmd: i32, payload: Vec<u8>) -> Vec<u8> {
    let mut o = vec![];
    frame(&mut o, MSync { version: Some(0), command: Some(cmd), payload: Some(payload.into()), ..Default::default() });
    o
}

fn ok() -> Option<Status> {
    Some(Status { error_code: Some(0), reason: None })
}

/// The answer to a pull of an empty queue.
fn nothing_more() -> Vec<u8> {
    let dl = CommSyncDl {
        status: ok(),
        queue: Some(queue_jid()),
        is_last: Some(true),
        timestamp: Some(now_ns() / 1_000_000),
        ..Default::default()
    };
    reply(CMD_SYNC, dl.encode_to_vec())
}

#[derive(Default)]
struct Sess {
    user: Mutex<String>,
    /// A push in the notice way is under way.
    notice: AtomicBool,
}

fn on_frame(st: &Arc<State>, id: u64, tx: &mpsc::UnboundedSender<Cmd>, sess: &Sess, b: Bytes) {
    // The acknowledgements are the hot path: read in place.
    let (mut command, mut payload): (u64, &[u8]) = (0, &[]);
    let mut i = 0;
    while i < b.len() {
        match field(&b, &mut i) {
            Some((8, Val::V(v))) => command = v,
            Some((9, Val::B(s))) => payload = s,
            Some(_) => {}
            None => return,
        }
    }
    match command as i32 {
        CMD_SYNC => {
            let (mut key, mut queue, mut meta) = (None, false, None);
            let mut i = 0;
            while i < payload.len() {
                match field(payload, &mut i) {
                    Some((1, Val::B(s))) => meta = Some(s),
                    Some((2, Val::V(v))) => key = Some(v),
                    Some((3, Val::B(_))) => queue = true,
                    Some(_) => {}
                    None => return,
                }
            }
            if let Some(m) = meta {
                let m = match Meta::decode(m) {
                    Ok(m) => m,
                    Err(_) => return,
                };
                if m.ns.unwrap_or(0) == 0 {
                    st.statistics.fetch_add(1, Relaxed);
                    return;
                }
                st.sends.fetch_add(1, Relaxed);
                let dl = CommSyncDl {
                    status: ok(),
                    meta_id: m.id,
                    server_id: Some(st.meta_id.fetch_add(1, Relaxed)),
                    is_last: Some(true),
                    timestamp: Some(now_ns() / 1_000_000),
                    ..Default::default()
                };
                let _ = tx.send(Cmd::Raw(reply(CMD_SYNC, dl.encode_to_vec())));
            } else if queue {
                if let Some(k) = key.filter(|k| *k > 0) {
                    let now = now_ns();
                    let h = st.ack_lat.lock().unwrap();
                    h.record_at(now, now.saturating_sub(k));
                    st.acks.fetch_add(1, Relaxed);
                } else {
                    st.pulls.fetch_add(1, Relaxed);
                }
                if sess.notice.load(Relaxed) {
                    let _ = tx.send(Cmd::Pull);
                } else if key.is_none() {
                    let _ = tx.send(Cmd::Raw(nothing_more()));
                }
            }
        }
        CMD_UNREAD => {
            st.unreads.fetch_add(1, Relaxed);
            let dl = CommUnreadDl { status: ok(), unread: vec![], timestamp: Some(now_ns() / 1_000_000) };
            let _ = tx.send(Cmd::Raw(reply(CMD_UNREAD, dl.encode_to_vec())));
        }
        CMD_PROVISION => {
            let m = MSync::decode(b.clone()).unwrap_or_default();
            let p = Provision::decode(payload).unwrap_or_default();
            let j = m.guid.unwrap_or_default();
            if let Some(a) = j.app_key {
                *st.app_key.lock().unwrap() = a;
            }
            *sess.user.lock().unwrap() = j.name.unwrap_or_default();
            let r = Provision {
                status: ok(),
                resource: p.resource,
                auth_token: Some(format!("{{\"expires_in\":{}}}", now_ns() / 1_000_000 + 86_400_000)),
                ..Default::default()
            };
            let _ = tx.send(Cmd::Raw(reply(CMD_PROVISION, r.encode_to_vec())));
            st.up.lock().unwrap().insert(id, tx.clone());
            st.provisions.fetch_add(1, Relaxed);
            st.bump(&st.provisioned);
        }
        _ => {}
    }
}

/// A frame of `n` messages, with where to write the clock, the ids and the key.
struct Template {
    bytes: Vec<u8>,
    clocks: Vec<usize>,
    ids: Vec<usize>,
    key: Option<usize>,
    n: usize,
}

const FROM: &str = "perf-sender";
const CLOCK: &str = "7777777777777777777";
const ID0: u64 = 0x2aaa_5555_1234_0000;
const KEY0: u64 = 0x2bbb_6666_4321_0000;

fn varint9(v: u64) -> [u8; 9] {
    let mut o = [0u8; 9];
    let mut v = v;
    for b in o.iter_mut() {
        *b = v as u8 | 0x80;
        v >>= 7;
    }
    o[8] &= 0x7f;
    o
}

fn find(b: &[u8], what: &[u8], from: usize) -> usize {
    b[from..].windows(what.len()).position(|w| w == what).map(|p| p + from).expect("placeholder")
}

fn queue_jid() -> Jid {
    Jid { name: Some(FROM.into()), domain: Some("easemob.com".into()), ..Default::default() }
}

fn template(app_key: &str, user: &str, n: usize, text_len: usize, ack: bool) -> Template {
    let pad = " the quick brown fox jumps over the lazy dog";
    let mut text = String::from(CLOCK);
    while text.len() < text_len {
        let left = text_len - text.len();
        text.push_str(&pad[..left.min(pad.len())]);
    }
    let ms = now_ns() / 1_000_000;
    let metas = (0..n).map(|i| text_meta(app_key, ID0 + i as u64, FROM, user, ms, &text)).collect();
    let body = sync_dl(metas, ack.then_some(KEY0), queue_jid(), !ack, ms);
    let mut bytes = vec![];
    wire::put(&mut bytes, 2, &body, None);
    let (mut clocks, mut ids, mut at) = (vec![], vec![], 0);
    for i in 0..n {
        at = find(&bytes, &varint9(ID0 + i as u64), at);
        ids.push(at);
        at = find(&bytes, CLOCK.as_bytes(), at);
        clocks.push(at);
    }
    let key = ack.then(|| find(&bytes, &varint9(KEY0), at));
    Template { bytes, clocks, ids, key, n }
}

impl Template {
    fn put(&self, out: &mut Vec<u8>, now: u64, id: u64, key: u64) {
        let at = out.len();
        out.extend_from_slice(&self.bytes);
        let b = &mut out[at..];
        let mut digits = [0u8; 19];
        let mut v = now;
        for d in digits.iter_mut().rev() {
            *d = b'0' + (v % 10) as u8;
            v /= 10;
        }
        for c in &self.clocks {
            b[*c..*c + 19].copy_from_slice(&digits);
        }
        for (i, p) in self.ids.iter().enumerate() {
            b[*p..*p + 9].copy_from_slice(&varint9(id + i as u64));
        }
        if let Some(k) = self.key {
            b[k..k + 9].copy_from_slice(&varint9(key));
        }
    }
}

/// One push under way on a session.
struct Job {
    p: Arc<Push>,
    whole: Template,
    rest: Option<Template>,
    left: u64,
    start: Instant,
    done_batches: u64,
    // In the notice way: messages waiting to be pulled.
    pending: u64,
    noticed: bool,
}

async fn writer<W: AsyncWrite + Unpin>(
    mut wr: W,
    mut rx: mpsc::UnboundedReceiver<Cmd>,
    st: Arc<State>,
    sess: Arc<Sess>,
) -> bool {
    let mut job: Option<Job> = None;
    let mut out: Vec<u8> = Vec::new();
    let mut key = 0u64;
    loop {
        let mut pulls = 0u32;
        // Wait for a command, or the next moment of the push.
        let first = match &job {
            None => match rx.recv().await {
                Some(c) => Some(c),
                None => return false,
            },
            Some(j) if j.p.rate > 0.0 && j.left > 0 => {
                let due = j.start + Duration::from_secs_f64(j.done_batches as f64 * j.p.batch as f64 / j.p.rate);
                tokio::select! {
                    c = rx.recv() => match c { Some(c) => Some(c), None => return false },
                    _ = tokio::time::sleep_until(due.into()) => None,
                }
            }
            Some(j) if j.p.notice && (j.noticed || j.left == 0) => match rx.recv().await {
                Some(c) => Some(c),
                None => return false,
            },
            Some(_) => rx.try_recv().ok(),
        };
        let mut next = first;
        while let Some(c) = next {
            match c {
                Cmd::Raw(b) => out.extend_from_slice(&b),
                Cmd::Pull => pulls += 1,
                Cmd::Drop(rst) => {
                    if job.is_some() {
                        st.pushing.fetch_sub(1, Relaxed);
                    }
                    return rst;
                }
                Cmd::Push(p, i, n) => {
                    let (a, u) = (st.app_key.lock().unwrap().clone(), sess.user.lock().unwrap().clone());
                    sess.notice.store(p.notice, Relaxed);
                    let b = p.batch.min(p.messages as usize).max(1);
                    let rest = (p.messages as usize) % b;
                    let offset = if p.rate > 0.0 { b as f64 / p.rate * i as f64 / n as f64 } else { 0.0 };
                    let ack = p.ack || p.notice;
                    job = Some(Job {
                        whole: template(&a, &u, b, p.text, ack),
                        rest: (rest > 0).then(|| template(&a, &u, rest, p.text, ack)),
                        left: p.messages,
                        start: Instant::now() + Duration::from_secs_f64(offset),
                        done_batches: 0,
                        pending: 0,
                        noticed: false,
                        p,
                    });
                }
            }
            next = rx.try_recv().ok();
        }
        let mut ended = false;
        if let Some(j) = job.as_mut() {
            if j.p.notice {
                // New messages reach the queue; the client is told once.
                let before = j.pending;
                if j.p.rate > 0.0 {
                    while j.left > 0 && due(j) {
                        let n = j.left.min(j.p.batch as u64);
                        j.left -= n;
                        j.pending += n;
                        j.done_batches += 1;
                    }
                } else {
                    j.pending += std::mem::take(&mut j.left);
                }
                if j.pending > before && !j.noticed {
                    j.noticed = true;
                    let n = CommNotice { queue: Some(queue_jid()) };
                    out.extend_from_slice(&reply(CMD_NOTICE, n.encode_to_vec()));
                }
                for _ in 0..pulls {
                    if j.pending > 0 {
                        let n = j.pending.min(j.whole.n as u64);
                        let a;
                        let t = if n == j.whole.n as u64 {
                            &j.whole
                        } else {
                            a = template(
                                &st.app_key.lock().unwrap().clone(),
                                &sess.user.lock().unwrap().clone(),
                                n as usize,
                                j.p.text,
                                true,
                            );
                            &a
                        };
                        let now = now_ns();
                        key = now.max(key + 1);
                        t.put(&mut out, now, st.meta_id.fetch_add(n, Relaxed), key);
                        j.pending -= n;
                        st.pushed.fetch_add(n, Relaxed);
                        st.frames.fetch_add(1, Relaxed);
                    } else {
                        j.noticed = false;
                        out.extend_from_slice(&nothing_more());
                        ended |= j.left == 0;
                    }
                }
            } else {
                while j.left > 0 && out.len() < 32 * 1024 && (j.p.rate == 0.0 || due(j)) {
                    let t = if j.left >= j.whole.n as u64 { &j.whole } else { j.rest.as_ref().unwrap_or(&j.whole) };
                    let n = t.n as u64;
                    let now = now_ns();
                    key = now.max(key + 1);
                    t.put(&mut out, now, st.meta_id.fetch_add(n, Relaxed), key);
                    j.left -= n.min(j.left);
                    j.done_batches += 1;
                    st.pushed.fetch_add(n, Relaxed);
                    st.frames.fetch_add(1, Relaxed);
                }
                ended = j.left == 0;
            }
        }
        if !out.is_empty() {
            if wr.write_all(&out).await.is_err() || wr.flush().await.is_err() {
                if job.is_some() {
                    st.pushing.fetch_sub(1, Relaxed);
                }
                return false;
            }
            out.clear();
            if job.is_none() && out.capacity() > 4096 {
                out = Vec::new();
            }
        }
        if ended {
            job = None;
            out = Vec::new();
            st.pushing.fetch_sub(1, Relaxed);
        } else if job.is_some() {
            tokio::task::yield_now().await;
        }
    }
}

fn due(j: &Job) -> bool {
    Instant::now() >= j.start + Duration::from_secs_f64(j.done_batches as f64 * j.p.batch as f64 / j.p.rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_decodes_with_its_clock_ids_and_key() {
        for ack in [true, false] {
            let t = template("o#a", "bot", 3, 100, ack);
            let mut out = vec![];
            t.put(&mut out, 1_800_000_000_123_456_789, ID0 + 9, KEY0 + 4);
            let h = wire::head(&out).unwrap();
            assert_eq!(h.head_len + h.len, out.len());
            let mut got = vec![];
            let s = borrowed::frame(&out[h.head_len..], |m| {
                assert_eq!(m.text.len(), 100);
                got.push((m.id, m.text[..19].to_string()))
            })
            .unwrap();
            assert_eq!(got.len(), 3);
            assert_eq!(got[1], (ID0 + 10, "1800000000123456789".into()));
            assert_eq!(s.next_key, ack.then_some(KEY0 + 4));
            assert_eq!(s.is_last, !ack);
        }
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(dechunk(b"3\r\nabc\r\n0\r\n\r\n").unwrap().0, b"abc");
        assert!(dechunk(b"3\r\nab").is_none());
    }
}
