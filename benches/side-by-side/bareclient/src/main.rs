//! The minimal hand-written client: the physical limit the library is held
//! against. One task per session; no registry, no actors, no logging.
//!
//! --rt current|multi  --workers N  --ws tungstenite|fast|raw  --decode prost|borrowed
//! --read-buf BYTES

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use common::proto::{borrowed, client};
use common::{Args, Report, Shared, after_login, retry_delay, tls_client, token_of, wire};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const HEARTBEAT: Duration = Duration::from_secs(30);

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, b: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_read(cx, b),
            Stream::Tls(s) => Pin::new(s).poll_read(cx, b),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_write(cx, b),
            Stream::Tls(s) => Pin::new(s).poll_write(cx, b),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_flush(cx),
            Stream::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Stream::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

struct Ctx {
    a: Args,
    s: Arc<Shared>,
    host: String,
    port: u16,
    path: String,
    tls: Option<tokio_rustls::TlsConnector>,
    rest: (String, u16),
    ws: String,
    borrowed: bool,
    read_buf: usize,
}

fn split_url(u: &str) -> (bool, String, u16, String) {
    let (scheme, rest) = u.split_once("://").expect("url");
    let (auth, path) = match rest.split_once('/') {
        Some((a, p)) => (a, format!("/{p}")),
        None => (rest, "/".into()),
    };
    let secure = scheme == "wss" || scheme == "https";
    let (h, p) = match auth.split_once(':') {
        Some((h, p)) => (h, p.parse().expect("port")),
        None => (auth, if secure { 443 } else { 80 }),
    };
    (secure, h.to_string(), p, path)
}

fn main() {
    let a = Args::parse();
    common::raise_nofile();
    let rt = if a.opt("--rt", "current") == "multi" {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(a.opt("--workers", "2").parse().unwrap())
            .enable_all()
            .build()
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    }
    .unwrap();
    // As a spawned task, so that the multi-thread runtime uses its workers.
    rt.block_on(async move { tokio::spawn(run(a)).await.unwrap() });
    rt.shutdown_background();
}

async fn run(a: Args) {
    let s = Arc::new(Shared::default());
    let (secure, host, port, path) = split_url(&a.socket_url);
    let (_, rh, rp, _) = split_url(&a.rest_url);
    let tls = secure.then(|| tokio_rustls::TlsConnector::from(Arc::new(tls_client(a.ca.as_deref().expect("--ca")))));
    let ws = a.opt("--ws", "tungstenite");
    let name = format!("bare-{}-{}", ws, a.opt("--rt", "current"));
    let cx = Arc::new(Ctx {
        host,
        port,
        path,
        tls,
        rest: (rh, rp),
        borrowed: a.opt("--decode", "prost") == "borrowed",
        read_buf: a.opt("--read-buf", "4096").parse().unwrap(),
        ws,
        s: s.clone(),
        a: a.clone(),
    });
    let mut r = Report::start(&a, &name);
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = vec![];
    for _ in 0..a.concurrency.min(a.accounts) {
        workers.push(tokio::spawn(login_worker(cx.clone(), next.clone())));
    }
    for w in workers {
        w.await.unwrap();
    }
    r.logged_in(&s);
    after_login(r, s, tokio::time::sleep).await;
}

/// Logs accounts in one after the other over one REST connection.
async fn login_worker(cx: Arc<Ctx>, next: Arc<AtomicUsize>) {
    let mut rest: Option<TcpStream> = None;
    loop {
        let i = next.fetch_add(1, Relaxed);
        if i >= cx.a.accounts {
            return;
        }
        let t0 = Instant::now();
        let user = cx.a.user(i);
        let token = match token(&cx, &mut rest, &user).await {
            Ok(t) => t,
            Err(_) => {
                rest = None;
                cx.s.failed.fetch_add(1, Relaxed);
                continue;
            }
        };
        let (tx, rx) = oneshot::channel();
        tokio::spawn(session(cx.clone(), i, user, token, tx));
        if rx.await.unwrap_or(false) {
            cx.s.login.push(t0.elapsed());
            cx.s.ok.fetch_add(1, Relaxed);
        } else {
            cx.s.failed.fetch_add(1, Relaxed);
        }
    }
}

async fn token(cx: &Ctx, rest: &mut Option<TcpStream>, user: &str) -> io::Result<String> {
    if rest.is_none() {
        let c = TcpStream::connect((cx.rest.0.as_str(), cx.rest.1)).await?;
        c.set_nodelay(true)?;
        *rest = Some(c);
    }
    let c = rest.as_mut().unwrap();
    let body = cx.a.token_body(user);
    let q = format!(
        "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        cx.a.token_path(),
        cx.rest.0,
        cx.rest.1,
        body.len(),
        body
    );
    c.write_all(q.as_bytes()).await?;
    let mut b = BytesMut::with_capacity(1024);
    loop {
        if c.read_buf(&mut b).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(h) = b.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = std::str::from_utf8(&b[..h]).map_err(io::Error::other)?;
            let n: usize = head
                .lines()
                .filter_map(|l| l.split_once(':'))
                .find(|(k, _)| k.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, v)| v.trim().parse().ok())
                .unwrap_or(0);
            if b.len() >= h + 4 + n {
                return token_of(&b[h + 4..h + 4 + n]).ok_or_else(|| io::Error::other("no token"));
            }
        }
    }
}

async fn connect(cx: &Ctx) -> io::Result<Stream> {
    let c = TcpStream::connect((cx.host.as_str(), cx.port)).await?;
    c.set_nodelay(true)?;
    match &cx.tls {
        None => Ok(Stream::Plain(c)),
        Some(t) => {
            let name = cx.host.clone().try_into().map_err(io::Error::other)?;
            Ok(Stream::Tls(Box::new(t.connect(name, c).await?)))
        }
    }
}

/// Keeps one account's session up; the first result goes to `first`.
async fn session(cx: Arc<Ctx>, i: usize, user: String, token: String, first: oneshot::Sender<bool>) {
    let mut first = Some(first);
    let mut attempt = 0u32;
    let mut lost: Option<Instant> = None;
    let device = format!("{}{}", common::now_ns() / 1_000_000, i);
    loop {
        let up = || {
            cx.s.up.fetch_add(1, Relaxed);
        };
        let mut was_up = false;
        cx.s.attempts.fetch_add(1, Relaxed);
        let r: io::Result<()> = async {
            let p = client::provision(&cx.a.app_key, &user, &token, &device);
            let mut on_up = |ok: bool| {
                if ok {
                    was_up = true;
                    attempt = 0;
                    up();
                    if let Some(t) = lost.take() {
                        cx.s.reconnects.fetch_add(1, Relaxed);
                        cx.s.back.push(t.elapsed());
                    }
                }
                if let Some(f) = first.take() {
                    let _ = f.send(ok);
                }
            };
            match cx.ws.as_str() {
                "raw" => {
                    let c = Box::pin(handshake(&cx)).await?;
                    run_raw(&cx, c, p, &mut on_up).await
                }
                "fast" => {
                    let c = Box::pin(handshake(&cx)).await?;
                    run_fast(&cx, c, p, &mut on_up).await
                }
                _ => {
                    let ws = Box::pin(tungstenite(&cx)).await?;
                    run_tungstenite(&cx, ws, p, &mut on_up).await
                }
            }
        }
        .await;
        let _ = r;
        if was_up {
            cx.s.up.fetch_sub(1, Relaxed);
            cx.s.disconnects.fetch_add(1, Relaxed);
            lost = Some(Instant::now());
        } else if let Some(f) = first.take() {
            let _ = f.send(false);
            return;
        }
        if cx.s.stop.load(Relaxed) {
            return;
        }
        attempt += 1;
        tokio::time::sleep(retry_delay(i as u64 + 1, attempt)).await;
    }
}

type Tungstenite = tokio_tungstenite::WebSocketStream<Stream>;

async fn tungstenite(cx: &Ctx) -> io::Result<Tungstenite> {
    let c = connect(cx).await?;
    let cfg = WebSocketConfig::default().read_buffer_size(cx.read_buf);
    let url = format!("ws://{}:{}{}", cx.host, cx.port, cx.path);
    let (ws, _) = tokio_tungstenite::client_async_with_config(url, c, Some(cfg)).await.map_err(io::Error::other)?;
    Ok(ws)
}

async fn run_tungstenite(
    cx: &Ctx,
    mut ws: Tungstenite,
    provision: Vec<u8>,
    on_up: &mut impl FnMut(bool),
) -> io::Result<()> {
    let e = io::Error::other;
    ws.send(WsMessage::Binary(provision.into())).await.map_err(e)?;
    let mut beat = Box::pin(tokio::time::sleep(HEARTBEAT));
    let (mut seen, mut dirty) = (false, false);
    loop {
        // What is already here first; flush and wait only when nothing is.
        let m = match ws.next().now_or_never() {
            Some(m) => m,
            None => {
                if dirty {
                    ws.flush().await.map_err(e)?;
                    dirty = false;
                }
                tokio::select! {
                    m = ws.next() => m,
                    _ = &mut beat => {
                        if !seen {
                            cx.s.heartbeats.fetch_add(1, Relaxed);
                            ws.send(WsMessage::Binary(client::unread().into())).await.map_err(e)?;
                        }
                        seen = false;
                        beat.as_mut().reset(tokio::time::Instant::now() + HEARTBEAT);
                        continue;
                    }
                }
            }
        };
        seen = true;
        match m {
            Some(Ok(WsMessage::Binary(b))) => match client::on_frame(b, |_, t| cx.s.meter.on_text(t)) {
                client::Action::None => {}
                client::Action::Provisioned(ok) => {
                    on_up(ok);
                    ws.send(WsMessage::Binary(client::unread().into())).await.map_err(e)?;
                }
                client::Action::Reply(r) => {
                    cx.s.replies.fetch_add(1, Relaxed);
                    ws.feed(WsMessage::Binary(r.into())).await.map_err(e)?;
                    dirty = true;
                }
            },
            Some(Ok(WsMessage::Close(_))) | None => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(x)) => return Err(e(x)),
        }
    }
}

/// The WebSocket handshake by hand, for the raw and fastwebsockets variants.
async fn handshake(cx: &Ctx) -> io::Result<Stream> {
    let mut c = connect(cx).await?;
    let q = format!(
        "GET {} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        cx.path, cx.host, cx.port
    );
    c.write_all(q.as_bytes()).await?;
    c.flush().await?;
    let mut b = BytesMut::with_capacity(512);
    loop {
        if c.read_buf(&mut b).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if b.ends_with(b"\r\n\r\n") {
            let ok = b.starts_with(b"HTTP/1.1 101") && b.windows(28).any(|w| w == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            return if ok { Ok(c) } else { Err(io::Error::other("handshake")) };
        }
    }
}

/// Decodes one frame; appends what is to be sent to `out`.
fn on_raw(cx: &Ctx, b: Bytes, out: &mut Vec<u8>, mask: &mut u32, on_up: &mut impl FnMut(bool)) {
    let mut put = |f: &[u8]| wire::put(out, 2, f, Some(wire::mask_key(mask)));
    if cx.borrowed {
        if let Some(s) = borrowed::frame(&b, |t| cx.s.meter.on_text(t.text)) {
            if s.command == 0 {
                if let (Some(k), false) = (s.next_key, s.is_last) {
                    cx.s.replies.fetch_add(1, Relaxed);
                    let mut a = Vec::with_capacity(96);
                    borrowed::ack(&mut a, k, s.queue);
                    put(&a);
                }
                return;
            }
        }
    }
    match client::on_frame(b, |_, t| cx.s.meter.on_text(t)) {
        client::Action::None => {}
        client::Action::Provisioned(ok) => {
            on_up(ok);
            put(&client::unread());
        }
        client::Action::Reply(r) => {
            cx.s.replies.fetch_add(1, Relaxed);
            put(&r);
        }
    }
}

async fn run_raw(cx: &Ctx, mut c: Stream, provision: Vec<u8>, on_up: &mut impl FnMut(bool)) -> io::Result<()> {
    let mut mask = common::now_ns() as u32 | 1;
    let mut out = Vec::new();
    wire::put(&mut out, 2, &provision, Some(wire::mask_key(&mut mask)));
    c.write_all(&out).await?;
    out = Vec::new();
    let mut beat = Box::pin(tokio::time::sleep(HEARTBEAT));
    let mut seen = false;
    // Small while the session is idle; grows while reads fill it.
    let mut want = 1024;
    let mut buf = BytesMut::new();
    loop {
        if buf.capacity() - buf.len() < 256 {
            buf.reserve(want);
        }
        let space = buf.capacity() - buf.len();
        // What is already here first; write and wait only when nothing is, so
        // that the acknowledgements of a burst leave in one write.
        let n = match (out.len() < 64 * 1024).then(|| c.read_buf(&mut buf).now_or_never()).flatten() {
            Some(n) => n?,
            None => {
                if !out.is_empty() {
                    c.write_all(&out).await?;
                    c.flush().await?;
                    if out.capacity() > 4096 {
                        out = Vec::new();
                    }
                    out.clear();
                }
                tokio::select! {
                    n = c.read_buf(&mut buf) => n?,
                    _ = &mut beat => {
                        if !seen {
                            cx.s.heartbeats.fetch_add(1, Relaxed);
                            wire::put(&mut out, 2, &client::unread(), Some(wire::mask_key(&mut mask)));
                        }
                        seen = false;
                        beat.as_mut().reset(tokio::time::Instant::now() + HEARTBEAT);
                        continue;
                    }
                }
            }
        };
        if n == 0 {
            return Ok(());
        }
        seen = true;
        if n < space {
            want = 1024;
        } else if want < 64 * 1024 {
            want *= 8;
        }
        while let Some(h) = wire::head(&buf) {
            if buf.len() < h.head_len + h.len {
                buf.reserve(h.head_len + h.len - buf.len());
                break;
            }
            buf.advance(h.head_len);
            let p = buf.split_to(h.len).freeze();
            match h.op {
                2 => on_raw(cx, p, &mut out, &mut mask, on_up),
                8 => return Ok(()),
                9 => wire::put(&mut out, 10, &p, Some(wire::mask_key(&mut mask))),
                _ => {}
            }
        }
        if buf.is_empty() {
            // Nothing half-read: the memory goes back until there is more.
            buf = BytesMut::new();
        }
    }
}

async fn run_fast(cx: &Ctx, c: Stream, provision: Vec<u8>, on_up: &mut impl FnMut(bool)) -> io::Result<()> {
    use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
    let e = io::Error::other;
    let ws = WebSocket::after_handshake(c, Role::Client);
    let (mut rd, mut wr) = ws.split(tokio::io::split);
    wr.write_frame(Frame::binary(Payload::Owned(provision))).await.map_err(e)?;
    let mut beat = Box::pin(tokio::time::sleep(HEARTBEAT));
    let mut seen = false;
    let mut obliged = |_: Frame<'_>| async { Ok::<_, WebSocketError>(()) };
    loop {
        let f = {
            let read = rd.read_frame(&mut obliged);
            tokio::pin!(read);
            loop {
                tokio::select! {
                    f = &mut read => break f.map_err(e)?,
                    _ = &mut beat => {
                        if !seen {
                            cx.s.heartbeats.fetch_add(1, Relaxed);
                            wr.write_frame(Frame::binary(Payload::Owned(client::unread()))).await.map_err(e)?;
                        }
                        seen = false;
                        beat.as_mut().reset(tokio::time::Instant::now() + HEARTBEAT);
                    }
                }
            }
        };
        seen = true;
        match f.opcode {
            OpCode::Binary => {
                let b: Bytes = match f.payload {
                    Payload::Bytes(b) => b.freeze(),
                    Payload::Owned(v) => v.into(),
                    Payload::Borrowed(s) => Bytes::copy_from_slice(s),
                    Payload::BorrowedMut(s) => Bytes::copy_from_slice(s),
                };
                match client::on_frame(b, |_, t| cx.s.meter.on_text(t)) {
                    client::Action::None => {}
                    client::Action::Provisioned(ok) => {
                        on_up(ok);
                        wr.write_frame(Frame::binary(Payload::Owned(client::unread()))).await.map_err(e)?;
                    }
                    client::Action::Reply(r) => {
                        cx.s.replies.fetch_add(1, Relaxed);
                        wr.write_frame(Frame::binary(Payload::Owned(r))).await.map_err(e)?;
                    }
                }
            }
            OpCode::Close => return Ok(()),
            _ => {}
        }
    }
}
