//! What the load server and the peers share: the wire schema, the command
//! line, measurements of this process, and the report.

pub mod proto;
pub mod wire;

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

#[inline]
pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_nanos() as u64).unwrap_or(0)
}

/// CPU time of this process, user and system, in nanoseconds.
pub fn cpu_ns() -> (u64, u64) {
    let mut u: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut u) };
    let t = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1_000;
    (t(u.ru_utime), t(u.ru_stime))
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Mem {
    pub rss_kb: u64,
    pub pss_kb: u64,
    /// Pages held by the process alone and written to: what it really adds.
    pub anon_kb: u64,
}

pub fn mem() -> Mem {
    let mut m = Mem::default();
    if let Ok(s) = std::fs::read_to_string("/proc/self/smaps_rollup") {
        for l in s.lines() {
            let num = || l.split_whitespace().nth(1).and_then(|v| v.parse().ok()).unwrap_or(0);
            if l.starts_with("Rss:") {
                m.rss_kb = num();
            } else if l.starts_with("Pss:") {
                m.pss_kb = num();
            } else if l.starts_with("Anonymous:") {
                m.anon_kb = num();
            }
        }
    }
    m
}

pub fn raise_nofile() -> u64 {
    unsafe {
        let mut l: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut l);
        l.rlim_cur = l.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &l);
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut l);
        l.rlim_cur
    }
}

// ---------------------------------------------------------------- histogram

const SUB: usize = 32; // steps per power of two: 3 % resolution
const BUCKETS: usize = 64 * SUB;

/// A log-linear histogram with one writer and any readers.
pub struct Hist {
    n: Box<[AtomicU64]>,
    pub count: AtomicU64,
    pub first_ns: AtomicU64,
    pub last_ns: AtomicU64,
    pub max: AtomicU64,
}

impl Default for Hist {
    fn default() -> Self {
        Hist {
            n: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicU64::new(0),
            first_ns: AtomicU64::new(0),
            last_ns: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }
}

#[inline]
fn bucket(v: u64) -> usize {
    if v < SUB as u64 {
        return v as usize;
    }
    let exp = 63 - v.leading_zeros() as usize;
    let sub = (v >> (exp - 5)) as usize & (SUB - 1);
    (exp - 4) * SUB + sub
}

fn bucket_value(b: usize) -> u64 {
    if b < SUB {
        return b as u64;
    }
    let exp = b / SUB + 4;
    let sub = (b % SUB) as u64;
    (1u64 << exp) + (sub << (exp - 5)) + (1u64 << (exp - 5)) / 2
}

impl Hist {
    #[inline]
    pub fn record_at(&self, now: u64, v: u64) {
        let b = &self.n[bucket(v)];
        b.store(b.load(Relaxed) + 1, Relaxed);
        let c = self.count.load(Relaxed);
        if c == 0 {
            self.first_ns.store(now, Relaxed);
        }
        self.count.store(c + 1, Relaxed);
        self.last_ns.store(now, Relaxed);
        if v > self.max.load(Relaxed) {
            self.max.store(v, Relaxed);
        }
    }
}

thread_local! {
    static LOCAL: UnsafeCell<Option<Arc<Hist>>> = const { UnsafeCell::new(None) };
}

/// Counts messages over all threads; each thread writes its own histogram.
#[derive(Default, Clone)]
pub struct Meter {
    all: Arc<Mutex<Vec<Arc<Hist>>>>,
}

impl Meter {
    /// One delivered text message: its body starts with the server's clock in
    /// nanoseconds, 19 digits.
    #[inline]
    pub fn on_text(&self, text: &str) {
        let now = now_ns();
        let sent = text
            .as_bytes()
            .get(..19)
            .map(|d| d.iter().fold(0u64, |a, c| a * 10 + (c.wrapping_sub(b'0')) as u64))
            .unwrap_or(now);
        LOCAL.with(|l| {
            let l = unsafe { &mut *l.get() };
            let h = l.get_or_insert_with(|| {
                let h = Arc::new(Hist::default());
                self.all.lock().unwrap().push(h.clone());
                h
            });
            h.record_at(now, now.saturating_sub(sent));
        })
    }

    pub fn count(&self) -> u64 {
        self.all.lock().unwrap().iter().map(|h| h.count.load(Relaxed)).sum()
    }

    pub fn span_ns(&self) -> u64 {
        let g = self.all.lock().unwrap();
        let used = || g.iter().filter(|h| h.count.load(Relaxed) > 0);
        let first = used().map(|h| h.first_ns.load(Relaxed)).min().unwrap_or(0);
        let last = used().map(|h| h.last_ns.load(Relaxed)).max().unwrap_or(0);
        last.saturating_sub(first)
    }

    pub fn of(h: Arc<Hist>) -> Value {
        Meter { all: Arc::new(Mutex::new(vec![h])) }.latency()
    }

    pub fn latency(&self) -> Value {
        let g = self.all.lock().unwrap();
        let mut n = vec![0u64; BUCKETS];
        let mut max = 0;
        for h in g.iter() {
            for (a, b) in n.iter_mut().zip(h.n.iter()) {
                *a += b.load(Relaxed);
            }
            max = max.max(h.max.load(Relaxed));
        }
        quantiles(&n, max)
    }
}

fn quantiles(n: &[u64], max: u64) -> Value {
    let total: u64 = n.iter().sum();
    let q = |p: f64| -> f64 {
        if total == 0 {
            return 0.0;
        }
        let want = ((total as f64 * p).ceil() as u64).max(1);
        let mut seen = 0;
        for (b, c) in n.iter().enumerate() {
            seen += c;
            if seen >= want {
                return (bucket_value(b).min(max)) as f64 / 1000.0;
            }
        }
        max as f64 / 1000.0
    };
    json!({"p50": r1(q(0.5)), "p99": r1(q(0.99)), "p999": r1(q(0.999)), "max": r1(max as f64 / 1000.0)})
}

pub fn r1(v: f64) -> f64 {
    (v * 10.0).round() / 10.0
}

pub fn r3(v: f64) -> f64 {
    (v * 1000.0).round() / 1000.0
}

/// Durations in nanoseconds, for the figures taken a few thousand times.
#[derive(Default)]
pub struct Durations(Mutex<Vec<u64>>);

impl Durations {
    pub fn push(&self, d: Duration) {
        self.0.lock().unwrap().push(d.as_nanos() as u64);
    }
    pub fn json_ms(&self) -> Value {
        let mut v = self.0.lock().unwrap().clone();
        v.sort_unstable();
        let q = |p: f64| {
            if v.is_empty() {
                0.0
            } else {
                v[((v.len() as f64 * p).ceil() as usize).clamp(1, v.len()) - 1] as f64 / 1e6
            }
        };
        json!({"p50": r3(q(0.5)), "p99": r3(q(0.99)), "max": r3(q(1.0))})
    }
    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

// ------------------------------------------------------------- command line

#[derive(Clone, Debug)]
pub struct Args {
    pub rest_url: String,
    pub socket_url: String,
    pub app_key: String,
    pub accounts: usize,
    pub scenario: String,
    pub duration: f64,
    pub expect: u64,
    pub concurrency: usize,
    pub prefix: String,
    pub ca: Option<String>,
    pub extra: Vec<(String, String)>,
}

impl Args {
    pub fn parse() -> Args {
        let mut a = Args {
            rest_url: "http://127.0.0.1:17000".into(),
            socket_url: "ws://127.0.0.1:17000/websocket".into(),
            app_key: "org#app".into(),
            accounts: 1,
            scenario: "login".into(),
            duration: 5.0,
            expect: 0,
            concurrency: 64,
            prefix: "u".into(),
            ca: None,
            extra: vec![],
        };
        let mut it = std::env::args().skip(1);
        while let Some(k) = it.next() {
            let v = it.next().unwrap_or_default();
            match k.as_str() {
                "--rest-url" => a.rest_url = v,
                "--socket-url" => a.socket_url = v,
                "--app-key" => a.app_key = v,
                "--accounts" => a.accounts = v.parse().expect("--accounts"),
                "--scenario" => a.scenario = v,
                "--duration" => a.duration = v.parse().expect("--duration"),
                "--expect" => a.expect = v.parse().expect("--expect"),
                "--concurrency" => a.concurrency = v.parse().expect("--concurrency"),
                "--prefix" => a.prefix = v,
                "--ca" => a.ca = Some(v),
                _ => a.extra.push((k, v)),
            }
        }
        a
    }

    pub fn opt(&self, name: &str, default: &str) -> String {
        self.extra.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()).unwrap_or_else(|| default.into())
    }

    pub fn user(&self, i: usize) -> String {
        format!("{}{:06}", self.prefix, i)
    }

    pub fn token_path(&self) -> String {
        let (org, app) = self.app_key.split_once('#').expect("app key is org#app");
        format!("/{org}/{app}/token")
    }

    pub fn token_body(&self, user: &str) -> String {
        format!(
            "{{\"grant_type\":\"password\",\"username\":\"{user}\",\"password\":\"pw\",\"timestamp\":{}}}",
            now_ns() / 1_000_000
        )
    }
}

/// The TLS client settings: only the load server's own certificate is trusted.
pub fn tls_client(ca: &str) -> rustls::ClientConfig {
    let pem = std::fs::read(ca).expect("read --ca");
    let mut roots = rustls::RootCertStore::empty();
    for c in rustls_pemfile::certs(&mut &pem[..]) {
        roots.add(c.expect("certificate")).expect("trust");
    }
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

// ------------------------------------------------------------------- report

/// What the sessions count while they run.
#[derive(Default)]
pub struct Shared {
    pub ok: AtomicU64,
    pub failed: AtomicU64,
    /// Sessions up now.
    pub up: AtomicU64,
    pub disconnects: AtomicU64,
    pub reconnects: AtomicU64,
    pub attempts: AtomicU64,
    pub replies: AtomicU64,
    pub heartbeats: AtomicU64,
    pub meter: Meter,
    pub login: Durations,
    /// Time from the loss of a connection until it is up again.
    pub back: Durations,
    pub stop: std::sync::atomic::AtomicBool,
}

pub struct Report {
    args: Args,
    name: String,
    start: Instant,
    cpu0: (u64, u64),
    mem0: Mem,
    pub out: serde_json::Map<String, Value>,
}

fn secs(ns: u64) -> f64 {
    ns as f64 / 1e9
}

impl Report {
    /// To be made just before the first login.
    pub fn start(args: &Args, name: &str) -> Report {
        let mem0 = mem();
        Report {
            args: args.clone(),
            name: name.into(),
            cpu0: cpu_ns(),
            start: Instant::now(),
            mem0,
            out: Default::default(),
        }
    }

    /// To be called when every login has ended.
    pub fn logged_in(&mut self, s: &Shared) {
        let wall = self.start.elapsed().as_secs_f64();
        let c = cpu_ns();
        let (u, k) = (c.0 - self.cpu0.0, c.1 - self.cpu0.1);
        let ok = s.ok.load(Relaxed);
        let cpu = secs(u + k);
        self.out.insert(
            "login".into(),
            json!({
                "ok": ok, "failed": s.failed.load(Relaxed), "wall_s": r3(wall),
                "cpu_user_s": r3(secs(u)), "cpu_sys_s": r3(secs(k)), "cpu_s": r3(cpu),
                "per_s": r1(ok as f64 / wall),
                "per_cpu_s": r1(ok as f64 / cpu.max(1e-9)),
                "cpu_us_each": r1(cpu * 1e6 / ok.max(1) as f64),
                "latency_ms": s.login.json_ms(),
            }),
        );
        eprintln!("READY {ok}");
    }

    pub fn memory(&mut self) {
        let m = mem();
        let n = self.args.accounts.max(1) as f64;
        let d = |a: u64, b: u64| (a.saturating_sub(b) as f64 * 1024.0 / n).round();
        self.out.insert(
            "memory".into(),
            json!({
                "rss_before_kb": self.mem0.rss_kb, "rss_after_kb": m.rss_kb,
                "pss_before_kb": self.mem0.pss_kb, "pss_after_kb": m.pss_kb,
                "rss_per_conn_b": d(m.rss_kb, self.mem0.rss_kb),
                "pss_per_conn_b": d(m.pss_kb, self.mem0.pss_kb),
                "anon_per_conn_b": d(m.anon_kb, self.mem0.anon_kb),
            }),
        );
    }

    pub fn finish(mut self) {
        self.out.insert("client".into(), json!(self.name));
        self.out.insert("scenario".into(), json!(self.args.scenario));
        self.out.insert("accounts".into(), json!(self.args.accounts));
        println!("{}", Value::Object(self.out));
    }
}

/// Runs the part of a scenario that follows the logins, the same for every
/// Rust peer. `sleep` is the runtime's own timer.
pub async fn after_login<F, Fut>(mut r: Report, s: Arc<Shared>, sleep: F)
where
    F: Fn(Duration) -> Fut,
    Fut: std::future::Future<Output = ()>,
{
    let a = r.args.clone();
    let start = Instant::now();
    let limit = Duration::from_secs_f64(a.duration);
    match a.scenario.as_str() {
        "idle" => {
            sleep(Duration::from_secs_f64(1.0)).await;
            let c0 = cpu_ns();
            let h0 = s.heartbeats.load(Relaxed);
            sleep(limit).await;
            let c1 = cpu_ns();
            r.memory();
            let cpu = secs(c1.0 + c1.1 - c0.0 - c0.1);
            r.out.insert(
                "idle".into(),
                json!({"duration_s": a.duration, "cpu_s": r3(cpu),
                       "cpu_percent_of_core": r3(cpu / a.duration * 100.0),
                       "up": s.up.load(Relaxed),
                       "heartbeats": s.heartbeats.load(Relaxed) - h0}),
            );
        }
        "messages" => {
            let c0 = cpu_ns();
            while s.meter.count() < a.expect && start.elapsed() < limit {
                sleep(Duration::from_millis(10)).await;
            }
            // The replies still under way belong to the messages.
            sleep(Duration::from_millis(50)).await;
            let c1 = cpu_ns();
            let (u, k) = (c1.0 - c0.0, c1.1 - c0.1);
            let n = s.meter.count();
            let span = s.meter.span_ns();
            r.memory();
            r.out.insert(
                "messages".into(),
                json!({
                    "received": n, "expected": a.expect, "wall_s": r3(secs(span)),
                    "cpu_user_s": r3(secs(u)), "cpu_sys_s": r3(secs(k)), "cpu_s": r3(secs(u + k)),
                    "per_s": (n as f64 / secs(span).max(1e-9)).round(),
                    "cpu_ns_each": ((u + k) as f64 / n.max(1) as f64).round(),
                    "cpu_user_ns_each": (u as f64 / n.max(1) as f64).round(),
                    "replies": s.replies.load(Relaxed),
                    "latency_us": s.meter.latency(),
                }),
            );
        }
        "storm" => {
            let n = a.accounts as u64;
            let c0 = cpu_ns();
            // Until each session has been lost once and all are up again.
            while start.elapsed() < limit {
                if s.reconnects.load(Relaxed) >= n && s.up.load(Relaxed) >= n {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
            let c1 = cpu_ns();
            let cpu = secs(c1.0 + c1.1 - c0.0 - c0.1);
            r.memory();
            r.out.insert(
                "storm".into(),
                json!({
                    "disconnects": s.disconnects.load(Relaxed),
                    "reconnected": s.reconnects.load(Relaxed), "up": s.up.load(Relaxed),
                    "attempts": s.attempts.load(Relaxed),
                    "cpu_s": r3(cpu), "cpu_us_each": r1(cpu * 1e6 / n.max(1) as f64),
                    "back_ms": s.back.json_ms(),
                }),
            );
        }
        _ => {}
    }
    s.stop.store(true, Relaxed);
    r.finish();
}

/// The reconnect delay of the official SDK's first attempts: one to two
/// seconds, uniform, then three to six. `seed` spreads the sessions.
pub fn retry_delay(seed: u64, attempt: u32) -> Duration {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add((attempt as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    x ^= x >> 31;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^= x >> 29;
    let f = (x >> 11) as f64 / (1u64 << 53) as f64;
    if attempt <= 5 { Duration::from_secs_f64(1.0 + f) } else { Duration::from_secs_f64(3.0 + 3.0 * f) }
}

/// The access token in a token call's JSON.
pub fn token_of(body: &[u8]) -> Option<String> {
    let v: Value = serde_json::from_slice(body).ok()?;
    Some(v.get("access_token")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_keep_order_and_resolution() {
        let mut last = 0;
        for e in 0..50u32 {
            for k in 0..100u64 {
                let v = (1u64 << e) + k * (1u64 << e) / 100;
                let b = bucket(v);
                assert!(b >= last || v < 64);
                last = last.max(b);
                let back = bucket_value(b) as f64;
                assert!((back - v as f64).abs() <= v as f64 * 0.04 + 1.0, "{v} {back}");
            }
        }
    }

    #[test]
    fn borrowed_agrees_with_prost() {
        use proto::*;
        let q = Jid { name: Some("bot".into()), ..Default::default() };
        let metas: Vec<_> =
            (0..3).map(|i| text_meta("o#a", 5 + i, "alice", "bot", 7, &format!("hello {i} é"))).collect();
        let f = sync_dl(metas, Some(99), q.clone(), false, 8);
        let mut got = vec![];
        let s = borrowed::frame(&f, |t| got.push((t.id, t.text.to_string(), t.from.name.to_string()))).unwrap();
        assert_eq!(got.len(), 3);
        assert_eq!(got[2], (7, "hello 2 é".into(), "alice".into()));
        assert_eq!(s.next_key, Some(99));
        let mut ack = vec![];
        borrowed::ack(&mut ack, 99, s.queue);
        assert_eq!(ack, client::sync(q, Some(99)));
        let mut texts = vec![];
        match client::on_frame(f.into(), |_, t| texts.push(t.to_string())) {
            client::Action::Reply(r) => assert_eq!(r, ack),
            _ => panic!(),
        }
        assert_eq!(texts.len(), 3);
    }
}
