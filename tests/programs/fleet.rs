//! `agora-chat fleet` as a service: its files, its signals, its output and its exit status.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use agora_chat::{
    Connection, Credentials, EventHandler, Message, Outgoing, UserId,
    local_server::{LocalServer, SessionEnd},
    token::ChatTokenBuilder,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use crate::support::{
    own_process::example,
    program::{LIMIT, Program},
};

const APP_ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";

/// A folder with a configuration and its accounts.
struct Files(TempDir);

impl Files {
    fn new(app_key: &str, rest_url: &str, socket_url: &str, more: &str, accounts: &str) -> Self {
        let files = Files(tempfile::tempdir().unwrap());
        let config = format!(
            "app_key = \"{app_key}\"\nrest_url = \"{rest_url}\"\nsocket_url = \"{socket_url}\"\naccounts = \"accounts.csv\"\n\
             state_dir = \"state\"\n{more}"
        );
        fs::write(files.path("fleet.toml"), config).unwrap();
        files.accounts(accounts);
        files
    }

    fn of(server: &LocalServer, more: &str, accounts: &str) -> Self {
        Self::new(server.app_key(), &server.rest_url(), &server.socket_url(), more, accounts)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn accounts(&self, text: &str) {
        fs::write(self.path("accounts.csv"), text).unwrap();
    }

    fn command(&self, what: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agora-chat"));
        command.args(["fleet", what, "--config"]).arg(self.path("fleet.toml")).args(more);
        // Paths are from the configuration's folder, not from here.
        command.current_dir("/");
        command
    }

    fn ended(&self, what: &str, more: &[&str]) -> (i32, String, String) {
        told(&self.command(what, more).output().unwrap())
    }
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn csv(users: impl IntoIterator<Item = (impl AsRef<str>, &'static str)>) -> String {
    let lines = users.into_iter().map(|(user, password)| format!("{},{password}\n", user.as_ref()));
    std::iter::once("user,password\n".to_owned()).chain(lines).collect()
}

async fn server(users: &[&str]) -> LocalServer {
    let server = LocalServer::start().await.unwrap();
    for user in users {
        server.create_user(user, "secret").unwrap();
    }
    server
}

async fn online(server: &LocalServer, users: &[&str]) {
    let all = |server: &LocalServer| users.iter().all(|user| server.sessions(user).len() == 1);
    server.wait_until(LIMIT, all).await.unwrap();
}

/// Returns how each session of a user ended; `None` for one that has not.
fn ends(server: &LocalServer, user: &str) -> Vec<Option<SessionEnd>> {
    server.session_log().into_iter().filter(|session| session.user == user).map(|session| session.end).collect()
}

/// Reads changes until so many accounts are in a state; fails if they do not follow each other.
struct Followed {
    fleet: Program,
    states: BTreeMap<String, String>,
    epoch: Option<u64>,
    at_ms: HashMap<String, u64>,
}

impl Followed {
    fn new(fleet: Program) -> Self {
        Followed { fleet, states: BTreeMap::new(), epoch: None, at_ms: HashMap::new() }
    }

    async fn next(&mut self) -> bool {
        let Some(line) = self.fleet.line().await else { return false };
        let change: Value = serde_json::from_str(&line).unwrap();
        let members: Vec<_> = change.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["at_ms", "cause", "epoch", "from", "to", "user"]);
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        let (user, from, to) = (text("user"), text("from"), text("to"));
        let before = self.states.insert(user.clone(), to).unwrap_or_else(|| "added".to_owned());
        assert_eq!(before, from, "{line}");
        let at = change["at_ms"].as_u64().unwrap();
        assert!(self.at_ms.insert(user, at).is_none_or(|before| before <= at), "{line}");
        let epoch = change["epoch"].as_u64().unwrap();
        assert_eq!(*self.epoch.get_or_insert(epoch), epoch);
        assert!(epoch <= at, "{line}");
        true
    }

    async fn until(&mut self, state: &str, count: usize) {
        while self.states.values().filter(|known| *known == state).count() < count {
            assert!(self.next().await, "it ended with {:?}", self.states);
        }
    }
}

#[actix::test]
async fn two_hundred_accounts_come_online_once_each_and_sigterm_logs_all_of_them_out() {
    let mut command = Command::new(example("local_server"));
    let mut server = Program::start(command.args(["--port", "0", "--load-users", "200", "--stay"]));
    let listening = server.event("listening").await;
    let address = |name: &str| listening[name].as_str().unwrap().to_owned();
    let accounts = csv((0..200).map(|number| (format!("u{number:06}"), "pw")));
    let pace = "[pace]\nlogins_per_second = 400\n";
    let files = Files::new(&address("app_key"), &address("rest_url"), &address("socket_url"), pace, &accounts);
    let mut fleet = Followed::new(Program::start(&mut files.command("run", &["--json"])));
    fleet.until("online", 200).await;
    fleet.fleet.signal(Signal::SIGTERM);
    fleet.until("released", 200).await;
    assert!(!fleet.next().await, "nothing follows");
    assert_eq!(fleet.fleet.status().await, 0);

    server.write("online-twice\nsession-log\nquit\n");
    let twice: Value = serde_json::from_str(&server.line().await.unwrap()).unwrap();
    assert_eq!(twice["pairs"].as_array().map(Vec::len), Some(0), "{twice}");
    let sessions: Value = serde_json::from_str(&server.line().await.unwrap()).unwrap();
    let sessions = sessions["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 200);
    assert!(sessions.iter().all(|session| session["end"] == "logout"), "{sessions:?}");
}

#[actix::test]
async fn sighup_adds_removes_and_changes_accounts_and_touches_no_other() {
    let server = server(&["stays", "goes", "comes", "changes", "tagged"]).await;
    server.reject_password("changes", true).unwrap();
    let users = ["stays", "goes", "changes", "tagged"];
    let files = Files::of(&server, "[log]\nfile = \"fleet.log\"\n", &csv(users.map(|user| (user, "secret"))));
    let mut fleet = Followed::new(Program::start(&mut files.command("run", &["--json"])));
    fleet.until("online", 3).await;
    fleet.until("failed", 1).await;

    server.reject_password("changes", false).unwrap();
    server.change_password("changes", "other").unwrap();
    fs::rename(files.path("fleet.log"), files.path("fleet.log.old")).unwrap();
    files
        .accounts("user,password,tag,weight\nstays,secret,,\ncomes,secret,,\nchanges,other,,\ntagged,secret,sales,5\n");
    fleet.fleet.signal(Signal::SIGHUP);
    fleet.until("online", 5).await;
    server.wait_until(LIMIT, |server| server.sessions("goes").is_empty()).await.unwrap();
    assert_eq!(ends(&server, "goes"), [Some(SessionEnd::Logout)]);
    assert_eq!((ends(&server, "stays"), ends(&server, "tagged")), (vec![None], vec![None]));
    assert_eq!(server.sessions("changes").len(), 1);
    let log = || fs::read_to_string(files.path("fleet.log")).unwrap_or_default();
    while !log().contains("1 added, 2 changed, 1 removed") {
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }

    // A damaged file changes nothing.
    for (damaged, words) in [
        ("user,password,tag,weight\nstays,CANARY\n", "accounts.csv:2"),
        ("", "the header"),
        ("user,password\nstays,CANARY\nstays,CANARY\n", "accounts.csv:3"),
    ] {
        files.accounts(damaged);
        fleet.fleet.signal(Signal::SIGHUP);
        while !log().contains(words) {
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
    fs::remove_file(files.path("accounts.csv")).unwrap();
    fleet.fleet.signal(Signal::SIGHUP);
    while !log().contains("No such file") {
        actix_rt::time::sleep(Duration::from_millis(20)).await;
    }
    online(&server, &["stays", "comes", "changes", "tagged"]).await;
    assert_eq!(ends(&server, "stays"), [None]);
    fleet.fleet.signal(Signal::SIGINT);
    let (status, stderr) = fleet.fleet.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!(stderr + &log()).contains("CANARY"));
}

#[actix::test]
async fn a_new_token_in_the_file_is_given_to_the_session_as_it_is() {
    let server = server(&["alice"]).await;
    let token = |life| server.issue_token("alice", Some(Duration::from_secs(life))).unwrap();
    let files = Files::of(&server, "", &format!("user,token\nalice,{}\n", token(6)));
    let mut fleet = Followed::new(Program::start(&mut files.command("run", &["--json"])));
    fleet.until("online", 1).await;
    files.accounts(&format!("user,token\nalice,{}\n", token(60)));
    fleet.fleet.signal(Signal::SIGHUP);
    actix_rt::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(ends(&server, "alice"), [None]);
    fleet.fleet.signal(Signal::SIGTERM);
    let (status, stderr) = fleet.fleet.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("YWMt"), "{stderr}");
}

#[actix::test]
async fn a_second_signal_ends_it_at_once_with_130() {
    let server = server(&["alice"]).await;
    let files = Files::of(&server, "", &csv([("alice", "secret")]));
    let fleet = Program::start(&mut files.command("run", &[]));
    online(&server, &["alice"]).await;
    server.set_silent(true);
    fleet.signal(Signal::SIGTERM);
    actix_rt::time::sleep(Duration::from_millis(300)).await;
    fleet.signal(Signal::SIGINT);
    assert_eq!(fleet.status().await, 130);
}

#[actix::test]
async fn a_server_that_does_not_answer_the_logout_does_not_hold_up_the_end() {
    let server = server(&["alice"]).await;
    let files = Files::of(&server, "[drain]\ndeadline = \"500ms\"\n", &csv([("alice", "secret")]));
    let fleet = Program::start(&mut files.command("run", &[]));
    online(&server, &["alice"]).await;
    server.set_silent(true);
    fleet.signal(Signal::SIGTERM);
    let (status, stderr) = fleet.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("not everybody was logged out in order"), "{stderr}");
}

#[actix::test]
async fn when_its_reader_has_gone_it_logs_everybody_out_and_ends_with_6() {
    let server = server(&["alice", "bob"]).await;
    let files = Files::of(&server, "", &csv([("alice", "secret"), ("bob", "secret")]));
    let mut fleet = Program::start(&mut files.command("run", &["--json"]));
    online(&server, &["alice", "bob"]).await;
    fleet.leave().await;
    assert_eq!(fleet.status().await, 6);
    assert_eq!(ends(&server, "alice"), [Some(SessionEnd::Logout)]);
    assert_eq!(ends(&server, "bob"), [Some(SessionEnd::Logout)]);
}

#[actix::test]
async fn a_reader_who_stands_still_delays_nobody_and_hears_the_truth_at_last() {
    let server = server(&[]).await;
    let users: Vec<_> = (0..1000).map(|number| format!("u{number:06}")).collect();
    for user in &users {
        server.create_user(user, "secret").unwrap();
    }
    let accounts = csv(users.iter().map(|user| (user, "secret")));
    let files = Files::of(&server, "[pace]\nlogins_per_second = 5000\nburst = 1000\n", &accounts);
    let fleet = Program::start(&mut files.command("run", &["--json"]));
    server.wait_until(LIMIT, |server| server.all_sessions().len() == 1000).await.unwrap();
    let mut fleet = Followed::new(fleet);
    fleet.until("online", 1000).await;
    fleet.fleet.signal(Signal::SIGTERM);
    fleet.until("released", 1000).await;
    assert_eq!(fleet.fleet.status().await, 0);
}

#[actix::test]
async fn two_processes_do_not_share_a_state_folder() {
    let server = server(&["alice"]).await;
    let files = Files::of(&server, "", &csv([("alice", "secret")]));
    let fleet = Program::start(&mut files.command("run", &[]));
    online(&server, &["alice"]).await;
    let mut command = files.command("run", &[]);
    let second = actix_rt::task::spawn_blocking(move || told(&command.output().unwrap())).await.unwrap();
    assert_eq!(second.0, 1, "{}", second.2);
    assert!(second.2.contains("is in use by process") && second.2.contains("state_dir of its own"), "{}", second.2);
    fleet.signal(Signal::SIGTERM);
    assert_eq!(fleet.status().await, 0);
    assert_eq!(ends(&server, "alice"), [Some(SessionEnd::Logout)]);
    // The folder is free again, and the device the same.
    let fleet = Program::start(&mut files.command("run", &[]));
    online(&server, &["alice"]).await;
    let resources: Vec<_> = server.session_log().into_iter().map(|session| session.resource).collect();
    assert_eq!(resources[0], resources[1]);
    fleet.signal(Signal::SIGTERM);
    assert_eq!(fleet.status().await, 0);
}

/// Somebody who is online and hears messages.
async fn person(server: &LocalServer, user: &str) -> (Connection, UnboundedReceiver<Message>) {
    let connection = Connection::start(server.config().build().unwrap()).unwrap();
    let (tell, heard) = unbounded_channel();
    let handler = EventHandler::new().on_message(move |_, message| drop(tell.send(message.clone())));
    connection.add_event_handler("test", handler).unwrap();
    connection.open(Credentials::password(user, "secret").unwrap()).await.unwrap();
    (connection, heard)
}

#[actix::test]
async fn the_echo_answers_every_text_once_and_neither_itself_nor_another_echo() {
    let server = server(&["alice", "bot-1", "bot-2"]).await;
    let files = Files::of(&server, "[bot]\necho = true\n", &csv([("bot-1", "secret"), ("bot-2", "secret")]));
    let bots = Program::start(&mut files.command("run", &[]));
    online(&server, &["bot-1", "bot-2"]).await;
    let (alice, mut heard) = person(&server, "alice").await;
    for text in ["one", "two"] {
        alice.send(Outgoing::text("bot-1", text).unwrap()).await.unwrap();
        let echo = timeout(LIMIT, heard.recv()).await.unwrap().unwrap();
        assert_eq!((echo.text(), &*echo.from), (Some(text), "bot-1"));
    }
    alice.send_command("bot-1", "no text").await.unwrap();
    // One bot's text is answered by the other, and the answer by nobody.
    server.send_text("bot-1", "bot-2", "hello").unwrap();
    alice.send(Outgoing::text("bot-1", "three").unwrap()).await.unwrap();
    assert_eq!(timeout(LIMIT, heard.recv()).await.unwrap().unwrap().text(), Some("three"));
    actix_rt::time::sleep(Duration::from_millis(500)).await;
    assert!(heard.try_recv().is_err(), "answered twice");
    let texts =
        |to: &str| server.messages_between("bot-1", to).iter().filter_map(|message| message.text()).collect::<Vec<_>>();
    assert_eq!(texts("bot-2"), ["hello", "hello"]);
    bots.signal(Signal::SIGTERM);
    assert_eq!(bots.status().await, 0);

    // What came while nobody was there is answered after the start, and what was answered before is not.
    alice.send(Outgoing::text("bot-1", "four").unwrap()).await.unwrap();
    let bots = Program::start(&mut files.command("run", &[]));
    assert_eq!(timeout(LIMIT, heard.recv()).await.unwrap().unwrap().text(), Some("four"));
    actix_rt::time::sleep(Duration::from_millis(500)).await;
    assert!(heard.try_recv().is_err(), "answered twice");
    bots.signal(Signal::SIGTERM);
    assert_eq!(bots.status().await, 0);
}

/// Answers `POST` with what `answer` makes of its body and key; returns the address.
async fn provider(answer: impl Fn(&Value, Option<&str>) -> (u16, String) + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        loop {
            let (mut link, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let (key, body) = loop {
                link.read_buf(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                assert!(head.starts_with("POST /token?for=fleet HTTP/1.1"), "{head}");
                let header = |name: &str| {
                    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
                };
                if header("content-length").unwrap().parse::<usize>().unwrap() == body.len() {
                    break (header("authorization"), serde_json::from_str::<Value>(body).unwrap());
                }
            };
            let (status, body) = answer(&body, key.as_deref());
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            link.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}/token?for=fleet")
}

/// Waits past the life of the tokens and ends the fleet: nobody has lost the link.
async fn outlives_its_tokens(server: &LocalServer, fleet: Program, users: &[&str]) {
    online(server, users).await;
    actix_rt::time::sleep(Duration::from_secs(8)).await;
    for user in users {
        assert_eq!(ends(server, user), [None], "{user}");
    }
    fleet.signal(Signal::SIGTERM);
    let (status, stderr) = fleet.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("CANARY") && !stderr.contains("for=fleet") && !stderr.contains(CERTIFICATE), "{stderr}");
}

#[actix::test]
async fn accounts_given_by_token_live_on_by_a_provider() {
    let server = server(&["alice", "bob"]).await;
    let issuer = server.clone();
    let (tell, mut asked) = unbounded_channel();
    let address = provider(move |question, key| {
        assert_eq!(key, Some("Bearer CANARY-key"));
        let user = question["user"].as_str().unwrap();
        tell.send((user.to_owned(), question["reason"].as_str().unwrap().to_owned())).unwrap();
        match user {
            "nobody" => (404, "CANARY".to_owned()),
            user => {
                let token = issuer.issue_token(user, Some(Duration::from_secs(4))).unwrap();
                (200, serde_json::json!({"token": token, "expires_in": 4}).to_string())
            }
        }
    })
    .await;
    let tokens = format!("[tokens]\nprovider_url = \"{address}\"\nprovider_key_file = \"key\"\n");
    let first = server.issue_token("alice", Some(Duration::from_secs(4))).unwrap();
    let files = Files::of(&server, &tokens, &format!("user,token\nalice,{first}\nbob,\nnobody,\n"));
    fs::write(files.path("key"), "CANARY-key\n").unwrap();
    let fleet = Program::start(&mut files.command("run", &[]));
    outlives_its_tokens(&server, fleet, &["alice", "bob"]).await;
    let mut reasons: HashMap<_, Vec<_>> = HashMap::new();
    while let Ok((user, reason)) = asked.try_recv() {
        reasons.entry(user).or_default().push(reason);
    }
    assert!(reasons["alice"].iter().all(|reason| reason == "expiring") && !reasons["alice"].is_empty(), "{reasons:?}");
    assert_eq!((reasons["bob"][0].as_str(), reasons["bob"][1].as_str()), ("login", "expiring"));
    assert_eq!(reasons["nobody"], ["login"], "404 is the last word");
}

#[actix::test]
async fn accounts_given_by_token_live_on_by_the_app_certificate() {
    let app = ChatTokenBuilder::new(APP_ID, CERTIFICATE).unwrap();
    let server = LocalServer::builder().app_certificate(app.clone()).start().await.unwrap();
    for user in ["alice", "bob"] {
        server.create_user(user, "secret").unwrap();
    }
    let alice: UserId = "alice".parse().unwrap();
    let first = app.user(&alice, Duration::from_secs(4)).unwrap().build_now();
    let tokens = "[tokens]\napp_certificate_file = \"cert\"\nlife = \"4s\"\n";
    let files = Files::of(&server, tokens, &format!("user,token\nalice,{}\nbob,\n", first.expose()));
    fs::write(files.path("cert"), format!("{APP_ID}\n{CERTIFICATE}\n")).unwrap();
    let fleet = Program::start(&mut files.command("run", &[]));
    outlives_its_tokens(&server, fleet, &["alice", "bob"]).await;
}

#[actix::test]
async fn a_service_manager_hears_that_it_is_ready_alive_and_ending() {
    let server = server(&["alice"]).await;
    let files = Files::of(&server, "[drain]\ndeadline = \"5s\"\n", &csv([("alice", "secret")]));
    let socket = UnixDatagram::bind(files.path("notify")).unwrap();
    socket.set_read_timeout(Some(2 * LIMIT)).unwrap();
    let (tell, messages) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(count) = socket.recv(&mut buffer) {
            let _ = tell.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
    });
    let heard = |wanted: &str| {
        loop {
            let text = messages.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if text.contains(wanted) {
                return text;
            }
        }
    };
    let mut command = files.command("run", &[]);
    command.env("NOTIFY_SOCKET", files.path("notify")).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    let fleet = Program::start(&mut command);
    heard("READY=1");
    heard("WATCHDOG=1");
    online(&server, &["alice"]).await;
    fleet.signal(Signal::SIGHUP);
    assert!(heard("RELOADING=1").contains("MONOTONIC_USEC="));
    heard("READY=1");
    server.set_silent(true);
    fleet.signal(Signal::SIGTERM);
    heard("STOPPING=1");
    heard("EXTEND_TIMEOUT_USEC=");
    heard("WATCHDOG=1");
    assert_eq!(fleet.status().await, 0);
}

#[actix::test]
async fn a_service_manager_that_reads_nothing_holds_nothing_up() {
    let server = server(&["alice"]).await;
    let files = Files::of(&server, "", &csv([("alice", "secret")]));
    let _socket = UnixDatagram::bind(files.path("notify")).unwrap();
    let mut command = files.command("run", &[]);
    command.env("NOTIFY_SOCKET", files.path("notify")).env("WATCHDOG_USEC", "2000").env_remove("WATCHDOG_PID");
    let fleet = Program::start(&mut command);
    online(&server, &["alice"]).await;
    actix_rt::time::sleep(Duration::from_millis(500)).await;
    fleet.signal(Signal::SIGTERM);
    assert_eq!(fleet.status().await, 0);
    assert_eq!(ends(&server, "alice"), [Some(SessionEnd::Logout)]);
}

/// Makes a request to a server on this machine; returns status and body.
async fn http(port: u16, request: &str, more: &str) -> (u16, String) {
    let mut link = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head =
        format!("{request} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: 0\r\n{more}\r\n");
    link.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    link.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[actix::test]
async fn the_admin_interface_tells_and_drains_and_then_the_process_ends_with_0() {
    let server = server(&["alice"]).await;
    let port = free_port().await;
    let admin = format!("node = \"a\"\n[admin]\nlisten = \"127.0.0.1:{port}\"\ntoken_file = \"token\"\n");
    let files = Files::of(&server, &admin, &csv([("alice", "secret")]));
    fs::write(files.path("token"), "CANARY-of-the-operator\n").unwrap();
    let fleet = Program::start(&mut files.command("run", &[]));
    online(&server, &["alice"]).await;
    let bearer = "authorization: Bearer CANARY-of-the-operator\r\n";
    assert_eq!(http(port, "GET /readyz", "").await.0, 200);
    assert_eq!(http(port, "GET /fleet", "").await.0, 401);
    loop {
        let (status, body) = http(port, "GET /fleet", bearer).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &told["node"]), (200, &"a".into()));
        if told["accounts"]["online"] == 1 {
            break;
        }
    }
    // A second one finds the port taken, and logs nobody in.
    let other = Files::of(&server, &admin, &csv([("alice", "secret")]));
    fs::write(other.path("token"), "CANARY-of-the-operator").unwrap();
    let mut command = other.command("run", &[]);
    let (status, _, stderr) = actix_rt::task::spawn_blocking(move || told(&command.output().unwrap())).await.unwrap();
    assert_eq!(status, 1, "{stderr}");
    assert!(stderr.contains(&port.to_string()), "{stderr}");
    assert_eq!(http(port, "POST /fleet/drain", bearer).await.0 / 100, 2);
    let (status, stderr) = fleet.ended().await;
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("CANARY"), "{stderr}");
    assert_eq!(ends(&server, "alice"), [Some(SessionEnd::Logout)]);
}

const RIGHT: &str = "\
app_key = \"org#app\"
rest_url = \"http://127.0.0.1:1\"
socket_url = \"ws://127.0.0.1:1/websocket\"
accounts = \"accounts.csv\"
state_dir = \"state\"
";

#[test]
fn a_wrong_configuration_is_told_with_its_line_and_what_would_be_right() {
    let files = Files(tempfile::tempdir().unwrap());
    files.accounts("user,password\nalice,CANARY\n");
    for (name, content) in [("empty", ""), ("short", "too-short"), ("words", "a b c d"), ("bad.pem", "CANARY")] {
        fs::write(files.path(name), content).unwrap();
    }
    fs::write(files.path("one"), CERTIFICATE).unwrap();
    // (added to the right ones or in place of a line of them, the line of the mistake, what is said of it)
    let with = |more: &str| format!("{RIGHT}{more}\n");
    let instead = |of: &str, line: &str| {
        let known = RIGHT.lines().map(|right| if right.starts_with(of) { line } else { right });
        known.map(|line| format!("{line}\n")).collect::<String>()
    };
    let long = "x".repeat(65);
    let table = [
        // The file itself.
        (String::new(), "1", "app_key"),
        (with("[log"), "6", ""),
        (with("burst"), "6", ""),
        (with("app_key = \"org#app\""), "6", "app_key"),
        // Keys that are not there.
        (with("users = \"x\""), "6", "users"),
        (with("[pace]\nlogins = 3"), "7", "logins_per_second"),
        (with("[bot]\nehco = true"), "7", "echo"),
        (with("[clustr]\nnode = \"a\""), "6", "clustr"),
        (with("password = \"CANARY\""), "6", "password"),
        // What must be there.
        (instead("app_key", ""), "1", "app_key"),
        (instead("accounts", ""), "1", "accounts"),
        (instead("state_dir", ""), "1", "state_dir"),
        (instead("rest_url", ""), "3", "rest_url"),
        (instead("socket_url", ""), "2", "socket_url"),
        // Values.
        (instead("app_key", "app_key = \"org\""), "1", "app_key"),
        (instead("app_key", "app_key = 7"), "1", "string"),
        (instead("rest_url", "rest_url = \"127.0.0.1:1\""), "2", "REST"),
        (instead("rest_url", "rest_url = \"http://10.0.0.1\""), "2", "https"),
        (instead("socket_url", "socket_url = \"http://127.0.0.1:1\""), "3", "scheme"),
        (instead("accounts", "accounts = \"\""), "4", "accounts"),
        (with("discovery_url = \"https://example.com\""), "6", "one or the other"),
        (with("ca_file = \"missing.pem\""), "6", "missing.pem"),
        (with("ca_file = \"bad.pem\""), "6", "ca_file"),
        (with("allow_plaintext = \"yes\""), "6", "boolean"),
        (with(&format!("node = \"{long}\"")), "6", "64 bytes"),
        (with("[log]\nlevel = \"loud\""), "7", "level"),
        (with("[log]\nlevel = 9"), "7", "level"),
        (with("[log]\nfile = true"), "7", "string"),
        (with("[pace]\nlogins_per_second = 0"), "7", "from 0.01 to 10000"),
        (with("[pace]\nlogins_per_second = \"100\""), "7", "logins_per_second"),
        (with("[pace]\nburst = 0"), "7", "from 1 to 10000"),
        (with("[pace]\nburst = -1"), "7", "burst"),
        (with("[pace]\nconcurrent = 10001"), "7", "from 1 to 10000"),
        (with("[kicks]\npolicy = \"fight\""), "7", "take_over"),
        (with("[kicks]\npause = \"60s\""), "7", "retry_after"),
        (with("[kicks]\npolicy = \"retry_after\"\npause = 60"), "8", "with its unit"),
        (with("[kicks]\npolicy = \"retry_after\"\npause = \"soon\""), "8", "90s"),
        (with("[kicks]\npolicy = \"retry_after\"\npause = \"10ms\""), "8", "from 1 s to a day"),
        (with("[kicks]\npolicy = \"take_over\"\ntimes = 0"), "8", "from 1 to 1000"),
        (with("[kicks]\npolicy = \"take_over\"\nwindow = \"3d\""), "8", "from 1 s to a day"),
        (with("[kicks]\npolicy = \"park\"\ntimes = 3"), "8", "take_over"),
        (with("[drain]\ndeadline = \"2h\""), "7", "at most an hour"),
        (with("[admin]\nlisten = \"8080\""), "7", "127.0.0.1:8080"),
        (with("[admin]\nlisten = \"0.0.0.0:8080\""), "7", "token_file"),
        (with("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"empty\""), "8", "empty"),
        (with("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"missing\""), "8", "missing"),
        (with("[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"short\""), "8", "token"),
        (with("[admin]"), "6", "listen"),
        (with("[tokens]"), "6", "app_certificate_file or provider_url"),
        (with("[tokens]\nlife = \"1h\""), "6", "app_certificate_file or provider_url"),
        (with("[tokens]\napp_certificate_file = \"words\""), "7", "App ID"),
        (with("[tokens]\napp_certificate_file = \"one\""), "7", "app_id"),
        (with("[tokens]\napp_certificate_file = \"one\"\napp_id = \"7\""), "7", "32 hex digits"),
        (with(&format!("[tokens]\napp_certificate_file = \"{CERTIFICATE}\"")), "7", "not its content"),
        (with("[tokens]\nprovider_url = \"http://10.0.0.1/t?key=CANARY\""), "7", "https"),
        (with("[tokens]\nprovider_url = \"https://bot:CANARY@example.com\""), "7", "credentials"),
        (with("[tokens]\nprovider_url = \"https://example.com\"\nlife = \"1h\""), "8", "app_certificate_file"),
        (with("[tokens]\napp_certificate_file = \"one\"\nprovider_url = \"https://example.com\""), "8", "one of them"),
        (with("[tokens]\napp_certificate_file = \"one\"\nprovider_key_file = \"one\""), "8", "provider_url"),
        (with("[bot]"), "6", "echo = true"),
        (with("[bot]\necho = \"yes\""), "7", "boolean"),
        (with("[cluster]\nfleet = \"bots\""), "6", "`nats`"),
        (with("[sink]\nstream = \"AGORA_EV\""), "6", "`nats`"),
        (with("[bot]\necho = true\n[sink]\nstream = \"AGORA_EV\""), "8", "[bot]"),
    ];
    assert!(table.len() >= 60);
    for (config, line, words) in &table {
        fs::write(files.path("fleet.toml"), config).unwrap();
        for what in ["check", "run"] {
            let (status, stdout, stderr) = files.ended(what, &[]);
            assert_eq!((status, stdout.as_str()), (2, ""), "{config}\n{stderr}");
            assert!(stderr.contains(&format!("fleet.toml:{line}:")), "{config}\n{stderr}");
            assert!(stderr.contains(words), "{words}\n{config}\n{stderr}");
            assert!(!stderr.contains("CANARY") && !stderr.contains(CERTIFICATE), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
        assert!(!files.path("state").exists(), "{config}");
    }
}

#[test]
fn wrong_accounts_and_command_lines_are_usage_errors() {
    let files = Files(tempfile::tempdir().unwrap());
    fs::write(files.path("fleet.toml"), RIGHT).unwrap();
    let (status, _, stderr) = files.ended("run", &[]);
    assert_eq!(status, 2);
    assert!(stderr.contains("accounts.csv: No such file"), "{stderr}");
    files.accounts("user,password\nalice,CANARY\nbob\nal ice,CANARY\nalice,CANARY\n");
    let (status, _, stderr) = files.ended("run", &[]);
    assert_eq!(status, 2);
    for line in [3, 4, 5] {
        assert!(stderr.contains(&format!("accounts.csv:{line}: ")), "{stderr}");
    }
    assert!(!stderr.contains("CANARY"), "{stderr}");
    assert!(!files.path("state").exists());
    for wrong in [&["--config"][..], &["--jsn"], &["--config", "elsewhere.toml"], &["now"]] {
        assert_eq!(files.ended("run", wrong).0, 2, "{wrong:?}");
    }
    for wrong in [&["fleet"][..], &["fleet", "run"], &["fleet", "walk"], &["flet"], &[]] {
        let output = Command::new(env!("CARGO_BIN_EXE_agora-chat")).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn check_says_what_would_run_and_touches_nothing() {
    let files = Files(tempfile::tempdir().unwrap());
    let more = "[pace]\nlogins_per_second = 0.5\n[kicks]\npolicy = \"take_over\"\ntimes = 3\nwindow = \"10m\"\n[bot]\necho = true\n";
    fs::write(files.path("fleet.toml"), format!("{RIGHT}{more}")).unwrap();
    files.accounts("user,password\nalice,secret\nbob,secret\n");
    let (status, stdout, stderr) = files.ended("check", &[]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    for words in ["2 (0 by token)", "about 4 s", "org#app at http://127.0.0.1:1", "take_over 3 times"] {
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    let (status, stdout, _) = files.ended("check", &["--json"]);
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((status, &told["accounts"], &told["echo"]), (0, &2.into(), &true.into()));
    assert!(!files.path("state").exists());
}

#[test]
fn help_has_the_configuration_and_the_exit_statuses() {
    let output = Command::new(env!("CARGO_BIN_EXE_agora-chat")).args(["fleet", "run", "--help"]).output().unwrap();
    let (status, stdout, _) = told(&output);
    assert_eq!(status, 0);
    for words in ["logins_per_second", "SIGHUP", "Exit status: 0", "130", "WATCHDOG=1", "provider_url"] {
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
}

/// A newcomer counts the lines as rustfmt prints them by default.
#[test]
fn the_whole_programs_have_at_most_40_lines() {
    let page = include_str!("../../docs/fleet.md");
    let (_, block) = page.split_once("```rust,no_run\n").unwrap();
    let (program, _) = block.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rustfmt.toml"), "").unwrap();
    for (name, text) in [("docs.rs", program), ("fleet.rs", include_str!("../../examples/fleet.rs"))] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let formatted = Command::new("rustfmt").args(["--edition", "2024"]).arg(&file).output().unwrap();
        assert!(formatted.status.success(), "{}", told(&formatted).2);
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 40, "{name} has {lines} lines");
    }
}
