//! The floor of our own stack: awc's WebSocket and one actix actor per
//! session, with as little code as that takes.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use actix::io::{SinkWrite, WriteHandler};
use actix::prelude::*;
use actix_codec::Framed;
use awc::BoxedSocket;
use awc::ws::{Codec, Frame, Message as WsMessage};
use common::proto::client;
use common::{Args, Report, Shared, after_login, retry_delay, tls_client, token_of};
use futures_util::stream::{SplitSink, StreamExt};
use tokio::sync::oneshot;

const HEARTBEAT: Duration = Duration::from_secs(30);

struct Cx {
    a: Args,
    s: Arc<Shared>,
    http: awc::Client,
    ws: awc::Client,
}

type Sink = SinkWrite<WsMessage, SplitSink<Framed<BoxedSocket, Codec>, WsMessage>>;

struct Conn {
    cx: Rc<Cx>,
    i: usize,
    user: String,
    token: String,
    device: String,
    first: Option<oneshot::Sender<bool>>,
    sink: Option<Sink>,
    attempt: u32,
    up: bool,
    seen: bool,
    lost: Option<Instant>,
}

impl Actor for Conn {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        self.connect(ctx);
        ctx.run_interval(HEARTBEAT, |me, _| {
            if !me.seen && me.up {
                me.cx.s.heartbeats.fetch_add(1, Relaxed);
                me.send(client::unread());
            }
            me.seen = false;
        });
    }
}

impl Conn {
    fn connect(&mut self, ctx: &mut Context<Self>) {
        self.cx.s.attempts.fetch_add(1, Relaxed);
        let cx = self.cx.clone();
        let f = async move { cx.ws.ws(&cx.a.socket_url).connect().await };
        ctx.spawn(f.into_actor(self).map(|r, me, ctx| match r {
            Ok((_, framed)) => {
                let (sink, stream) = framed.split();
                me.sink = Some(SinkWrite::new(sink, ctx));
                ctx.add_stream(stream);
                me.send(client::provision(&me.cx.a.app_key, &me.user, &me.token, &me.device));
            }
            Err(e) => {
                if me.i == 0 && me.attempt < 2 {
                    eprintln!("connect: {e}");
                }
                me.again(ctx)
            }
        }));
    }

    fn send(&mut self, b: Vec<u8>) {
        if let Some(s) = self.sink.as_mut() {
            let _ = s.write(WsMessage::Binary(b.into()));
        }
    }

    fn again(&mut self, ctx: &mut Context<Self>) {
        if self.sink.take().is_some() || self.lost.is_none() {
            if self.up {
                self.up = false;
                self.cx.s.up.fetch_sub(1, Relaxed);
                self.cx.s.disconnects.fetch_add(1, Relaxed);
                self.lost = Some(Instant::now());
            } else if let Some(f) = self.first.take() {
                let _ = f.send(false);
                ctx.stop();
                return;
            }
        }
        self.attempt += 1;
        ctx.run_later(retry_delay(self.i as u64 + 1, self.attempt), |me, ctx| me.connect(ctx));
    }
}

impl WriteHandler<awc::error::WsProtocolError> for Conn {
    fn error(&mut self, _: awc::error::WsProtocolError, _: &mut Self::Context) -> Running {
        Running::Continue
    }
    fn finished(&mut self, _: &mut Self::Context) {}
}

impl StreamHandler<Result<Frame, awc::error::WsProtocolError>> for Conn {
    fn handle(&mut self, f: Result<Frame, awc::error::WsProtocolError>, _: &mut Self::Context) {
        self.seen = true;
        if let Ok(Frame::Binary(b)) = f {
            let s = &self.cx.s;
            match client::on_frame(b, |_, t| s.meter.on_text(t)) {
                client::Action::None => {}
                client::Action::Provisioned(ok) => {
                    if ok {
                        self.up = true;
                        self.attempt = 0;
                        s.up.fetch_add(1, Relaxed);
                        if let Some(t) = self.lost.take() {
                            s.reconnects.fetch_add(1, Relaxed);
                            s.back.push(t.elapsed());
                        }
                    }
                    if let Some(f) = self.first.take() {
                        let _ = f.send(ok);
                    }
                    self.send(client::unread());
                }
                client::Action::Reply(r) => {
                    s.replies.fetch_add(1, Relaxed);
                    self.send(r);
                }
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        self.again(ctx);
    }
}

fn main() {
    let a = Args::parse();
    common::raise_nofile();
    // One arbiter: everything on one thread.
    System::new().block_on(run(a));
}

async fn run(a: Args) {
    let s = Arc::new(Shared::default());
    let connector = || {
        let c = awc::Connector::new().limit(0);
        match &a.ca {
            Some(ca) => c.rustls_0_23(Arc::new(tls_client(ca))),
            None => c,
        }
    };
    let client = |c| awc::Client::builder().connector(c).timeout(Duration::from_secs(15)).finish();
    let cx = Rc::new(Cx {
        http: client(connector()),
        // No `max_http_version` here: awc 3.11 then builds its own TLS settings
        // and drops the ones given («SSL is not supported»).
        ws: client(connector()),
        s: s.clone(),
        a: a.clone(),
    });
    let mut r = Report::start(&a, "awc-actix");
    let next = Rc::new(Cell::new(0usize));
    let mut workers = vec![];
    for _ in 0..a.concurrency.min(a.accounts) {
        let (cx, next) = (cx.clone(), next.clone());
        workers.push(actix_rt::spawn(async move {
            loop {
                let i = next.replace(next.get() + 1);
                if i >= cx.a.accounts {
                    return;
                }
                let t0 = Instant::now();
                let user = cx.a.user(i);
                let ok = match token(&cx, &user).await {
                    None => false,
                    Some(token) => {
                        let (tx, rx) = oneshot::channel();
                        Conn {
                            cx: cx.clone(),
                            i,
                            device: format!("{}{}", common::now_ns() / 1_000_000, i),
                            user,
                            token,
                            first: Some(tx),
                            sink: None,
                            attempt: 0,
                            up: false,
                            seen: false,
                            lost: None,
                        }
                        .start();
                        rx.await.unwrap_or(false)
                    }
                };
                if ok {
                    cx.s.login.push(t0.elapsed());
                    cx.s.ok.fetch_add(1, Relaxed);
                } else {
                    cx.s.failed.fetch_add(1, Relaxed);
                }
            }
        }));
    }
    for w in workers {
        let _ = w.await;
    }
    r.logged_in(&s);
    after_login(r, s, actix_rt::time::sleep).await;
    System::current().stop();
}

async fn token(cx: &Cx, user: &str) -> Option<String> {
    let url = format!("{}{}", cx.a.rest_url, cx.a.token_path());
    let mut r = cx
        .http
        .post(url)
        .insert_header(("Content-Type", "application/json"))
        .send_body(cx.a.token_body(user))
        .await
        .ok()?;
    token_of(&r.body().await.ok()?)
}
