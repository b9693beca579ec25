//! The other examples as parts of a pipe and of a service; `connect` has tests of its own, in `connect.rs`.

use std::{
    fs,
    process::{Command, Stdio},
};

use agora_chat::local_server::{FrameKind, LocalServer};
use nix::sys::signal::Signal;
use program::{LIMIT, Program, command};
use serde_json::{Value, json};

use crate::support::program;

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

async fn server() -> LocalServer {
    let server = LocalServer::builder().queue_limit(100_000).start().await.unwrap();
    for user in ["alice", "bob"] {
        server.create_user(user, "secret").unwrap();
    }
    server
}

fn as_alice(example: &str, server: &LocalServer) -> Command {
    let mut command = command(example, server);
    command.args(["--user", "alice"]).env("AGORA_CHAT_PASSWORD", "secret");
    command
}

fn took_leave(server: &LocalServer) -> bool {
    server.sent_by("alice").iter().any(|frame| frame.kind == FrameKind::Logout)
}

fn said_to_bob(server: &LocalServer) -> usize {
    server.messages_between("alice", "bob").iter().filter(|message| message.from == "alice").count()
}

#[actix::test]
async fn every_signal_has_the_echo_bot_and_json_client_log_out_and_end_with_0() {
    for example in ["echo_bot", "json_client"] {
        for signal in SIGNALS {
            let server = server().await;
            let program = Program::start(&mut as_alice(example, &server));
            let is_online =
                |server: &LocalServer| server.sent_by("alice").iter().any(|frame| frame.kind == FrameKind::Unread);
            server.wait_until(LIMIT, is_online).await.unwrap();
            program.signal(signal);
            assert_eq!(program.status().await, 0, "{example}, {signal}");
            assert!(took_leave(&server), "{example}, {signal}");

            server.set_silent(true);
            let links = server.stats().connects;
            let program = Program::start(&mut as_alice(example, &server));
            server.wait_until(LIMIT, |server| server.stats().connects > links).await.unwrap();
            program.signal(signal);
            assert_eq!(program.status().await, 0, "{example} logging in, {signal}");
        }
    }
}

#[actix::test]
async fn errors_are_told_in_words() {
    let server = server().await;
    let mut wrong = as_alice("echo_bot", &server);
    let failing = Program::start(wrong.env("AGORA_CHAT_PASSWORD", "wrong"));
    let (status, told) = failing.ended().await;
    assert_eq!(status.code(), Some(1));
    let error = told.lines().find(|line| line.starts_with("Error: ")).unwrap_or_else(|| panic!("{told}"));
    assert!(error.contains("login of user alice") && !error.contains(" { "), "{error}");

    let absent = Program::start(as_alice("echo_bot", &server).env("AGORA_CHAT_PASSWORD", ""));
    assert!(absent.ended().await.1.contains("Error: set AGORA_CHAT_PASSWORD"));

    let mut token = Command::new(program::path("chat_token"));
    let (status, told) = Program::start(token.args(["app", "60"]).env_remove("AGORA_APP_ID")).ended().await;
    assert_eq!((status.code(), &*told), (Some(1), "Error: AGORA_APP_ID is not set\n"));
}

#[actix::test]
async fn a_program_that_cannot_write_does_not_panic() {
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut token = Command::new(program::path("chat_token"));
    token.args(["app", "60"]).env("AGORA_APP_ID", "a".repeat(32)).env("AGORA_APP_CERTIFICATE", "b".repeat(32));
    let (status, told) = Program::start_to(&mut token, full()).ended().await;
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.starts_with("Error: No space left"), "{told}");
    let (status, told) = Program::start_to(&mut Command::new(program::path("quickstart")), full()).ended().await;
    assert_eq!(status.code(), Some(0), "the story is told to nobody: {told}");
}

#[actix::test]
async fn when_its_reader_has_gone_json_client_logs_out_and_ends_with_6() {
    let server = server().await;
    let mut alice = Program::start(&mut as_alice("json_client", &server));
    alice.leave().await;
    assert_eq!(alice.status().await, 6);
    server.wait_until(LIMIT, |server| server.sessions("alice").is_empty()).await.unwrap();
    assert!(took_leave(&server));
}

#[actix::test]
async fn json_client_takes_all_requests_in_their_order_and_its_end_waits_for_them() {
    let server = server().await;
    let mut alice = Program::start(&mut as_alice("json_client", &server));
    let request = |number: u32| {
        let to = json!({"kind": "user", "id": "bob"});
        json!({"do": "send", "to": to, "body": {"type": "text", "text": number.to_string()}, "ref": number}).to_string()
    };
    alice.write(b"\xff\xfe\n");
    alice.write((0..2000).map(|number| request(number) + "\n").collect::<String>());
    alice.end_stdin();
    let rest = alice.rest().await;
    let error = rest.iter().find(|line| line["event"] == "error").unwrap();
    assert!(error["message"].as_str().unwrap().contains("UTF-8"), "{error}");
    let sent: Vec<&Value> = rest.iter().filter(|line| line["event"] == "sent").collect();
    assert_eq!(sent.len(), 2000);
    let mut ids: Vec<(u64, u64)> = sent
        .iter()
        .map(|line| (line["ref"].as_u64().unwrap(), line["server_id"].as_str().unwrap().parse().unwrap()))
        .collect();
    ids.sort_unstable();
    assert!(ids.is_sorted_by_key(|(_, server)| *server), "taken in the order of the lines");
    assert_eq!(alice.status().await, 0);
}

#[actix::test]
async fn the_local_server_says_over_stdin_and_its_port_who_was_online_and_who_twice() {
    let mut server = Program::start(&mut local_server_command(&["--duplicate", "keep-both"]));
    let listening: Value = serde_json::from_str(&server.first_line().await).unwrap();
    let (rest, socket) = (listening["rest_url"].as_str().unwrap(), listening["socket_url"].as_str().unwrap());
    let alice = || {
        let mut alice = Command::new(program::path("connect"));
        alice.args(["--app-key", "local#test", "--user", "alice", "--resource", "r", "--json"]);
        Program::start(alice.args(["--rest-url", rest, "--socket-url", socket]).env("AGORA_CHAT_PASSWORD", "secret"))
    };
    let (mut one, mut two) = (alice(), alice());
    one.event("connected").await;
    two.event("connected").await;
    let pairs = answer(&mut server, "online-twice").await["pairs"].take();
    assert_eq!((pairs.as_array().unwrap().len(), &pairs[0]["user"]), (1, &json!("alice")));
    assert_eq!(answer(&mut server, "sessions alice").await["sessions"].as_array().unwrap().len(), 2);
    two.signal(Signal::SIGTERM);
    assert_eq!(two.status().await, 0);
    let sessions = answer(&mut server, "session-log alice").await["sessions"].take();
    let ends: Vec<_> = sessions.as_array().unwrap().iter().map(|session| session["end"].clone()).collect();
    assert!(ends.contains(&json!("logout")) && ends.contains(&Value::Null), "{sessions}");
    assert_eq!(answer(&mut server, "session-log bob").await["sessions"], json!([]));

    let url = format!("{rest}/_control/sessions");
    let answered = awc::Client::default().get(url).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(answered["sessions"], sessions);

    let rates = answer(&mut server, "rates").await;
    assert_eq!((&rates["logins"]["total"], &rates["ok"]), (&json!(2), &json!(true)));
    for command in ["fail-tokens-of bob 429 3", "reject-password bob on", "expire-tokens bob", "cut-some 0 7 rst"] {
        assert_eq!(answer(&mut server, command).await["ok"], true, "{command}");
    }
    assert_eq!(answer(&mut server, "door ajar").await["ok"], false);

    assert_eq!(answer(&mut server, "duplicate sometimes").await["ok"], false);
    assert_eq!(answer(&mut server, "duplicate replace-206").await["ok"], true);
    let mut three = alice();
    three.event("connected").await;
    assert_eq!(one.event("disconnected").await["code"], 206);
}

#[actix::test]
async fn a_reader_who_stands_still_holds_up_neither_json_client_nor_its_messages() {
    let server = server().await;
    for number in 0..2000 {
        server.send_text("bob", "alice", &format!("{number} {}", "x".repeat(500))).unwrap();
    }
    let mut alice = Program::start(&mut as_alice("json_client", &server));
    let to = json!({"kind": "user", "id": "bob"});
    alice.write(json!({"do": "send", "to": to, "body": {"type": "text", "text": "hi"}}).to_string() + "\n");
    server.wait_until(LIMIT, |server| said_to_bob(server) == 1).await.unwrap();
    for number in 0..2000 {
        let text = alice.event("message").await["body"]["text"].as_str().unwrap().to_owned();
        assert_eq!(text.split(' ').next().unwrap(), number.to_string());
    }
    alice.end_stdin();
    assert_eq!(alice.status().await, 0);
}

fn local_server_command(more: &[&str]) -> Command {
    let mut command = Command::new(program::path("local_server"));
    command.args(["--port", "0", "--user", "alice:secret", "--user", "bob:secret"]).args(more);
    command
}

/// The local server's program, once it listens.
async fn local_server() -> Program {
    let mut server = Program::start(&mut local_server_command(&[]));
    server.event("listening").await;
    server
}

async fn answer(server: &mut Program, command: impl AsRef<[u8]>) -> Value {
    server.write(command);
    server.write("\n");
    serde_json::from_str(&server.line().await.unwrap()).unwrap()
}

#[actix::test]
async fn messages_of_two_users_are_shown_with_what_they_say() {
    let mut server = local_server().await;
    assert_eq!(answer(&mut server, "send alice bob hello  there").await["ok"], true);
    let told = answer(&mut server, "messages alice bob").await;
    let message = &told["messages"][0];
    assert_eq!((&message["from"], &message["to"], &message["type"]), (&json!("alice"), &json!("bob"), &json!("text")));
    assert_eq!(message["text"], "hello there");
}

#[actix::test]
async fn a_line_that_is_not_utf_8_does_not_end_the_local_servers_commands() {
    let mut server = local_server().await;
    assert_eq!(answer(&mut server, b"user \xff pw").await["ok"], false);
    assert_eq!(answer(&mut server, "sessions").await["ok"], true);
    server.end_stdin();
    assert_eq!(server.status().await, 0);
}

#[actix::test]
async fn a_reader_who_stands_still_does_not_hold_up_who_is_served() {
    let mut server = Program::start(&mut local_server_command(&[]));
    let listening: Value = serde_json::from_str(&server.first_line().await).unwrap();
    let (rest, socket) = (listening["rest_url"].as_str().unwrap(), listening["socket_url"].as_str().unwrap());
    // More than a pipe holds, as far as it is taken.
    server.write("help\n".repeat(500));
    let mut alice = Command::new(program::path("connect"));
    alice.args(["--app-key", "local#test", "--user", "alice", "--json", "--rest-url", rest, "--socket-url", socket]);
    let mut alice = Program::start(alice.env("AGORA_CHAT_PASSWORD", "secret"));
    alice.event("connected").await;
    alice.signal(Signal::SIGTERM);
    assert_eq!(alice.status().await, 0);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.status().await, 0);
}

#[actix::test]
async fn the_local_server_ends_with_its_reader_unless_it_is_to_stay() {
    let mut server = Program::start(&mut local_server_command(&[]));
    server.leave().await;
    assert_eq!(server.status().await, 6);
    let mut server = Program::start(&mut local_server_command(&["--stay"]));
    let listening: Value = serde_json::from_str(&server.leave().await).unwrap();
    let address = listening["rest_url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let connect = move || std::net::TcpStream::connect(&address).is_ok();
    assert!(actix_rt::task::spawn_blocking(connect).await.unwrap());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.status().await, 0);
}

#[actix::test]
async fn an_interrupted_soak_says_what_it_counted_and_ends_with_130() {
    let mut command = Command::new(program::path("soak"));
    let mut soak = Program::start(command.args(["--accounts", "2", "--seconds", "600"]));
    while !soak.line().await.unwrap().starts_with("all online") {}
    soak.signal(Signal::SIGTERM);
    let mut last = String::new();
    while let Some(line) = soak.line().await {
        last = line;
    }
    assert!(last.starts_with("interrupted"), "{last}");
    assert_eq!(soak.status().await, 130);
}

/// What an example without arguments says on stdout, having ended well by itself.
async fn said(example: &'static str) -> String {
    let run = actix_rt::task::spawn_blocking(move || Command::new(program::path(example)).output().unwrap());
    let output = tokio::time::timeout(LIMIT, run).await.expect("an end").unwrap();
    assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[actix::test]
async fn each_small_example_shows_what_it_is_there_for_and_ends() {
    let cases: [(&str, &[&str]); 9] = [
        ("actix_state", &["sent as "]),
        ("actor_subscriber", &["1: alice hears Some(\"one\") of bob", "3: alice hears Some(\"three\") of bob"]),
        ("chat_room", &["alice is in the room", "alice is back in the room, and heard there"]),
        ("fleet", &["200 accounts are online", "bot-7 has answered", "200 accounts drained"]),
        ("many_accounts", &["100 accounts are online", "user7 has a message", "user99 has a message"]),
        ("message_handler", &["attempt 1 at \"two loaves\" fails", "stored: Some(\"two loaves\")"]),
        ("run_time_log_level", &["-- from here on everything", " DEBUG ", "the application's own record"]),
        ("send_file", &["alice uploaded plan.txt (16 bytes)", "bob reads plan.txt: We meet at noon."]),
        ("token_provider", &["is wanted: Login", "is wanted: Expiring", "still online"]),
    ];
    for (example, lines) in cases {
        let said = said(example).await;
        let mut rest = &*said;
        for line in lines {
            let (_, after) = rest.split_once(line).unwrap_or_else(|| panic!("{example} does not say {line:?}: {said}"));
            rest = after;
        }
    }
    let said = said("run_time_log_level").await;
    let (before, loud) = said.split_once("-- from here").unwrap();
    let (_, silent) = loud.split_once("on nothing").unwrap();
    assert_eq!((before, silent.trim()), ("", ""), "{said}");
}
