//! Programs that are told to stop, as processes, against the local server: what the server sees of their end.
//!
//! A whole `cargo test` builds the example; with `--test` or `--tests`, build it first:
//! `cargo build --example actix_web_app`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests may fail loudly, and this one is a program as well"
)]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::own_process;
use actix_rt::{
    Arbiter,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};
use actix_web::{App, HttpServer};
use agora_chat::{
    Config, Connection, Credentials, EventHandler,
    connection::Closed,
    local_server::{Cut, FrameKind, LocalServer},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::mpsc::unbounded_channel;

const LIMIT: Duration = Duration::from_secs(20);

/// What a program that does nothing wrong needs at most to stop, with slack.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A program and what it prints.
struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Program { child, lines }
    }

    /// The example, for user `web`.
    fn web_app(server: &LocalServer) -> Self {
        server.create_user("web", "password").unwrap();
        let test = env::current_exe().unwrap();
        let program: PathBuf = test.parent().unwrap().parent().unwrap().join("examples/actix_web_app");
        assert!(program.exists(), "{} is not there; `cargo build --example actix_web_app` first", program.display());
        let mut command = Command::new(program);
        command.args(["--port", "0", "--app-key", server.app_key()]);
        command.args(["--rest-url", &server.rest_url(), "--socket-url", &server.socket_url()]);
        Self::start(command.env("AGORA_CHAT_TOKEN", server.issue_token("web", None).unwrap()))
    }

    /// What follows the words on the first line that has them.
    async fn says(self, words: &'static str) -> (Self, String) {
        let heard = spawn_blocking(move || {
            let mut this = self;
            let mut line = String::new();
            loop {
                line.clear();
                assert!(this.lines.read_line(&mut line).unwrap() > 0, "it ended and never said {words:?}");
                if let Some((_, rest)) = line.split_once(words) {
                    return (this, rest.trim().to_owned());
                }
            }
        });
        tokio::time::timeout(LIMIT, heard).await.expect(words).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Its status, and how long it took to end.
    async fn ends(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let ended = spawn_blocking(move || self.child.wait().unwrap());
        let status = tokio::time::timeout(LIMIT, ended).await.expect("an end").unwrap();
        (status.code(), began.elapsed())
    }
}

fn log_outs(server: &LocalServer, user: &str) -> usize {
    server.sent_by(user).iter().filter(|frame| frame.kind == FrameKind::Logout).count()
}

#[actix::test]
async fn the_web_app_logs_out_at_a_signal() {
    for stop in [Signal::SIGTERM, Signal::SIGINT] {
        let server = LocalServer::start().await.unwrap();
        let (app, _) = Program::web_app(&server).says("listening on").await;
        assert_eq!(server.online(), 1);
        app.signal(stop);
        let (status, took) = app.ends().await;
        assert_eq!(status, Some(0), "{stop}");
        assert!(took < AT_ONCE, "{stop}: {took:?}");
        assert_eq!((server.online(), log_outs(&server, "web")), (0, 1), "{stop}");
    }
}

#[actix::test]
async fn the_web_app_stops_at_once_while_it_logs_in() {
    let server = LocalServer::start().await.unwrap();
    server.set_silent(true);
    let app = Program::web_app(&server);
    server.wait_until(LIMIT, |server| server.connects() > 0).await.unwrap();
    app.signal(Signal::SIGTERM);
    let (status, took) = app.ends().await;
    assert_eq!(status, Some(0));
    assert!(took < AT_ONCE, "{took:?}");
}

#[actix::test]
async fn the_web_app_stops_at_once_with_a_message_that_waits_for_the_link_and_answers_for_it() {
    let server = LocalServer::start().await.unwrap();
    let (app, address) = Program::web_app(&server).says("listening on http://").await;
    server.stop_listening().await.unwrap();
    server.drop_links("web", Cut::Rst);
    let ask = |path: String, body: &'static str| {
        let address = address.clone();
        spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(
                stream,
                "{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
    };
    while !ask("GET /state".into(), "").await.unwrap().contains("reconnecting") {}
    let waits = ask("POST /send".into(), r#"{"to":"bob","text":"hello"}"#);
    // It is being handled once another request behind it is.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waits.is_finished(), "it is kept");
    app.signal(Signal::SIGTERM);
    let (status, took) = app.ends().await;
    assert_eq!(status, Some(0));
    assert!(took < AT_ONCE, "{took:?}");
    let answer = waits.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

/// How many accounts the fleet has, and over how many arbiters.
const FLEET: usize = 60;
const ARBITERS: usize = 3;

/// Set for the fleet's process: the server's addresses, and how it stops.
const AS_FLEET: &str = "AGORA_CHAT_TEST_FLEET";

/// A fleet beside an HTTP server: it closes before the server stops, or leaves the signal to the server.
async fn be_a_fleet(told: &str) {
    let mut told = told.lines().map(str::to_owned);
    let mut next = || told.next().unwrap();
    let (app_key, rest, socket, way) = (next(), next(), next(), next());
    let config = std::sync::Arc::new(Config::builder(&*app_key).addresses(rest, socket).build().unwrap());
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let arbiters: Vec<_> = (0..ARBITERS).map(|_| Arbiter::new()).collect();
    let (tell, mut heard) = unbounded_channel();
    let mut connections = Vec::new();
    for nth in 0..FLEET {
        let connection = Connection::start_on(&arbiters[nth % ARBITERS].handle(), config.clone());
        let tell = tell.clone();
        let handler = EventHandler::new()
            .on_disconnected(move |_, reason| tell.send(reason.to_string()).unwrap())
            .in_arbiter(&Arbiter::current());
        connection.add_event_handler("fleet", handler).unwrap();
        connection.open(Credentials::password(&format!("user{nth}"), "password").unwrap()).await.unwrap();
        connections.push(connection);
    }
    let http = HttpServer::new(App::new).workers(1);
    let http = if way == "own" { http } else { http.disable_signals() };
    let server = http.bind(("127.0.0.1", 0)).unwrap().run();
    let handle = server.handle();
    let close_all = || {
        let closing: Vec<_> = connections
            .iter()
            .map(|connection| {
                let connection = connection.clone();
                actix_rt::spawn(async move { connection.close().await })
            })
            .collect();
        async move {
            let mut closed = Vec::new();
            for one in closing {
                closed.push(one.await.unwrap());
            }
            closed
        }
    };
    let serving = actix_rt::spawn(server);
    // The server listens to signals from its first turn on.
    for _ in 0..10 {
        actix_rt::task::yield_now().await;
    }
    println!("ready");
    let closed = if way == "own" {
        serving.await.unwrap().unwrap();
        close_all().await
    } else {
        terminate.recv().await;
        let closed = close_all().await;
        handle.stop(true).await;
        serving.await.unwrap().unwrap();
        closed
    };
    let mut reasons = Vec::new();
    while reasons.len() < FLEET {
        let reason = tokio::time::timeout(LIMIT, heard.recv()).await.expect("Disconnected for each").unwrap();
        reasons.push(reason);
    }
    let of = |wanted: Closed| closed.iter().filter(|closed| **closed == wanted).count();
    println!(
        "closed {} {} {}",
        of(Closed::LoggedOut),
        of(Closed::ActorGone),
        reasons.iter().filter(|reason| reason.contains("arbiter")).count()
    );
}

/// Plays a fleet that is told to stop; what it says then, and the server.
async fn stopped_fleet(test: &str, way: &str) -> (LocalServer, Vec<usize>) {
    let server = LocalServer::start().await.unwrap();
    for nth in 0..FLEET {
        server.create_user(&format!("user{nth}"), "password").unwrap();
    }
    let told = [server.app_key().to_owned(), server.rest_url(), server.socket_url(), way.to_owned()].join("\n");
    let mut command = own_process::command(&own_process::full_name(module_path!(), test));
    command.env(AS_FLEET, told);
    let (fleet, _) = Program::start(&mut command).says("ready").await;
    assert_eq!(server.online(), FLEET);
    fleet.signal(Signal::SIGTERM);
    let (fleet, counts) = fleet.says("closed ").await;
    assert_eq!(fleet.ends().await.0, Some(0));
    (server, counts.split(' ').map(|count| count.parse().unwrap()).collect())
}

#[test]
fn a_fleet_that_closes_before_its_http_server_stops_is_logged_out_to_the_last_account() {
    actix::System::new().block_on(async {
        if let Ok(told) = env::var(AS_FLEET) {
            return be_a_fleet(&told).await;
        }
        let (server, counts) = stopped_fleet(
            "a_fleet_that_closes_before_its_http_server_stops_is_logged_out_to_the_last_account",
            "before",
        )
        .await;
        assert_eq!(counts, [FLEET, 0, 0]);
        assert_eq!(server.online(), 0);
        for nth in 0..FLEET {
            assert_eq!(log_outs(&server, &format!("user{nth}")), 1);
        }
    });
}

#[test]
fn a_fleet_whose_http_server_stops_the_system_is_told_so_by_close_and_by_disconnected() {
    actix::System::new().block_on(async {
        if let Ok(told) = env::var(AS_FLEET) {
            return be_a_fleet(&told).await;
        }
        let (server, counts) =
            stopped_fleet("a_fleet_whose_http_server_stops_the_system_is_told_so_by_close_and_by_disconnected", "own")
                .await;
        assert_eq!(counts, [0, FLEET, FLEET], "nobody is told that it was clean");
        // The goodbyes went out, though nobody waited for the answers.
        server.wait_until(LIMIT, |server| server.online() == 0).await.unwrap();
        for nth in 0..FLEET {
            assert_eq!(log_outs(&server, &format!("user{nth}")), 1);
        }
    });
}
