//! `examples/connect` as part of a pipe and of a service: its reader, its commands, its signals and its exit status.

use std::{fs, process::Command, time::Duration};

use agora_chat::local_server::{Cut, FrameKind, LocalServer};
use nix::sys::signal::Signal;
use program::{LIMIT, Program, command};
use serde_json::{Value, json};

use crate::support::program;

async fn server() -> LocalServer {
    let server = LocalServer::builder().queue_limit(100_000).start().await.unwrap();
    for user in ["alice", "bob"] {
        server.create_user(user, "secret").unwrap();
    }
    server
}

fn connect(server: &LocalServer) -> Command {
    let mut command = command("connect", server);
    command.args(["--user", "alice", "--json"]).env("AGORA_CHAT_PASSWORD", "secret");
    command
}

async fn online(server: &LocalServer) -> Program {
    let mut alice = Program::start(&mut connect(server));
    alice.event("connected").await;
    alice
}

async fn is_off(server: &LocalServer) {
    server.wait_until(LIMIT, |server| server.sessions("alice").is_empty()).await.unwrap();
}

/// The texts from alice to bob, in their order.
fn sent(server: &LocalServer) -> Vec<String> {
    let stored = server.messages_between("alice", "bob");
    stored.iter().filter(|message| message.from == "alice").filter_map(|message| message.text()).collect()
}

/// Whether alice's client took leave.
fn took_leave(server: &LocalServer) -> bool {
    server.sent_by("alice").iter().any(|frame| frame.kind == FrameKind::Logout)
}

#[actix::test]
async fn when_its_reader_has_gone_it_logs_out_and_ends_with_6_though_nothing_happens() {
    let server = server().await;
    let mut alice = Program::start(&mut connect(&server));
    alice.leave().await;
    assert_eq!(alice.status().await, 6);
    is_off(&server).await;
    assert!(took_leave(&server));
}

#[actix::test]
async fn an_output_that_takes_nothing_ends_it_with_6() {
    let server = server().await;
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let alice = Program::start_to(&mut connect(&server), full.into());
    assert_eq!(alice.status().await, 6);
    is_off(&server).await;
}

#[actix::test]
async fn what_nobody_has_read_is_not_acknowledged_and_comes_again() {
    let server = server().await;
    for number in 0..2000 {
        server.send_text("bob", "alice", &format!("{number} {}", "x".repeat(500))).unwrap();
    }
    let mut alice = Program::start(&mut connect(&server));
    // Each round of these is one in which a page could be acknowledged and the next one pulled.
    for round in 1..=60 {
        alice.write("send bob hello\n");
        server.wait_until(LIMIT, |server| sent(server).len() == round).await.unwrap();
    }
    alice.leave().await;
    assert_eq!(alice.status().await, 6);
    let mut again = online(&server).await;
    let first = again.event("message").await["text"].as_str().unwrap().to_owned();
    let number: u32 = first.split(' ').next().unwrap().parse().unwrap();
    // What a pipe holds, and a page.
    assert!(number < 400, "{number}");
    let mut last = number;
    while last < 1999 {
        let text = again.event("message").await["text"].as_str().unwrap().to_owned();
        last += 1;
        assert_eq!(text.split(' ').next().unwrap(), last.to_string());
    }
}

#[actix::test]
async fn a_reader_who_stands_still_holds_up_neither_the_link_nor_commands_and_misses_no_message() {
    let server = server().await;
    let mut alice = Program::start(&mut connect(&server));
    for number in 0..3000 {
        server.send_text("bob", "alice", &format!("{number} {}", "x".repeat(500))).unwrap();
    }
    alice.write("send bob hello\n");
    server.wait_until(LIMIT, |server| sent(server) == ["hello"]).await.unwrap();
    server.drop_links("alice", Cut::Rst);
    server.wait_until(LIMIT, |server| server.provision_count() == 2).await.unwrap();
    alice.write("send bob again\n");
    server.wait_until(LIMIT, |server| sent(server) == ["hello", "again"]).await.unwrap();
    for number in 0..3000 {
        let text = alice.event("message").await["text"].as_str().unwrap().to_owned();
        assert_eq!(text.split(' ').next().unwrap(), number.to_string());
    }
    alice.write("quit\n");
    assert_eq!(alice.status().await, 0);
}

#[actix::test]
async fn a_reader_who_stands_still_does_not_hold_up_sigterm() {
    let server = server().await;
    for number in 0..3000 {
        server.send_text("bob", "alice", &format!("{number} {}", "x".repeat(500))).unwrap();
    }
    let alice = Program::start(&mut connect(&server));
    server.wait_until(LIMIT, |server| server.sent_by("alice").len() > 5).await.unwrap();
    alice.signal(Signal::SIGTERM);
    assert_eq!(alice.status().await, 0);
    assert!(took_leave(&server));
}

#[actix::test]
async fn lines_past_the_bound_are_counted_and_told() {
    let server = server().await;
    const HELPS: u64 = 3000;
    let mut alice = Program::start(&mut connect(&server));
    server.wait_until(LIMIT, |server| !server.sessions("alice").is_empty()).await.unwrap();
    alice.write("help\n".repeat(3000) + "@last send bob never\nclose\n");
    // It has come to the end of its commands, and nothing of what it told is read yet.
    is_off(&server).await;
    let rest = alice.rest().await;
    let told = rest.iter().filter(|line| line["event"] == "help").count();
    let missed: Vec<_> = rest.iter().filter(|line| line["event"] == "missed").collect();
    let missed: u64 = missed.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    let others = rest.iter().filter(|line| !["help", "missed"].contains(&line["event"].as_str().unwrap())).count();
    assert_eq!(told as u64 + missed + others as u64, HELPS + 3, "connected, the error of `send` and disconnected");
    assert!(missed > 1000, "{missed}");
    assert_eq!(alice.status().await, 7);
    assert!(sent(&server).is_empty(), "nothing is begun that is answered while so much is unread");
}

#[actix::test]
async fn commands_wait_for_the_login_and_quit_and_the_end_of_stdin_for_them() {
    for end in ["quit\n", ""] {
        let server = server().await;
        server.set_delay(Duration::from_millis(50));
        let mut alice = Program::start(&mut connect(&server));
        alice.write(format!("send bob hi\ncmd bob wave\n{end}"));
        alice.end_stdin();
        let rest = alice.rest().await;
        let events: Vec<_> = rest.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["connected", "sent", "sent", "disconnected"], "{end}");
        assert_eq!(alice.status().await, 0, "{end}");
        assert_eq!(sent(&server), ["hi"]);
    }
}

#[actix::test]
async fn the_end_of_a_stdin_that_held_nothing_ends_nothing_nor_that_of_commands_with_a_time_to_stay() {
    let server = server().await;
    let mut alice = Program::start(&mut connect(&server));
    alice.end_stdin();
    alice.event("connected").await;
    server.send_text("bob", "alice", "still there?").unwrap();
    alice.event("message").await;
    alice.signal(Signal::SIGTERM);
    assert_eq!(alice.status().await, 0);

    let mut alice = Program::start(connect(&server).args(["--for", "1"]));
    alice.write("send bob hi\n");
    alice.end_stdin();
    alice.event("sent").await;
    server.send_text("bob", "alice", "still there?").unwrap();
    alice.event("message").await;
    assert_eq!(alice.status().await, 0);
}

#[actix::test]
async fn three_thousand_sends_all_go_out_in_their_order() {
    let server = server().await;
    let mut alice = Program::start(&mut connect(&server));
    let lines: String = (0..3000).map(|number| format!("@{number} send bob text {number}\n")).collect();
    alice.write(lines + "quit\n");
    let rest = alice.rest().await;
    let answers: Vec<&Value> = rest.iter().filter(|line| line["event"] == "sent").collect();
    assert_eq!(answers.len(), 3000, "{:?}", rest.last());
    let mut last = 0;
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["id"], &answer["to"]), (&json!(number.to_string()), &json!("bob")));
        // The server gives them in the order in which it takes messages.
        let id: u64 = answer["server_id"].as_str().unwrap().parse().unwrap();
        assert!(id > last, "{number}");
        last = id;
    }
    assert_eq!(alice.status().await, 0);
    // As many as the server remembers.
    let expected: Vec<_> = (2000..3000).map(|number| format!("text {number}")).collect();
    assert_eq!(sent(&server), expected);
}

#[actix::test]
async fn sends_wait_for_a_lost_link_and_go_out_in_their_order() {
    let server = server().await;
    let mut alice = online(&server).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    alice.event("reconnecting").await;
    let lines: String = (0..600).map(|number| format!("send bob text {number}\n")).collect();
    alice.write(lines + "quit\n");
    alice.event("reconnecting").await;
    server.listen_again().await.unwrap();
    assert_eq!(alice.status().await, 0);
    let expected: Vec<_> = (0..600).map(|number| format!("text {number}")).collect();
    assert_eq!(sent(&server), expected);
}

#[actix::test]
async fn close_level_state_and_help_act_at_once_and_what_waits_has_failed() {
    let server = server().await;
    server.set_silent(true);
    let mut alice = Program::start(&mut connect(&server));
    alice.write("@a send bob never\n@b state\n@c level\n@d level debug\n@e help\nclose\n");
    let rest = alice.rest().await;
    let answers: Vec<_> =
        rest.iter().filter_map(|line| Some((line["event"].as_str().unwrap(), line["id"].as_str()?))).collect();
    assert_eq!(answers, [("state", "b"), ("level", "c"), ("level", "d"), ("help", "e"), ("error", "a")]);
    assert_eq!((&rest[1]["level"], &rest[2]["level"]), (&json!("WARN"), &json!("DEBUG")));
    let failed = rest.iter().find(|line| line["event"] == "error").unwrap();
    assert_eq!(failed["to"], "bob");
    assert_eq!(alice.status().await, 7);
}

#[actix::test]
async fn a_command_that_fails_says_which_and_makes_a_good_end_7() {
    let server = server().await;
    let cases: [(&[u8], Value); 12] = [
        (b"@1 send bob", json!({"code": null, "id": "1", "to": "bob"})),
        (b"@2 send bob  ", json!({"code": null, "id": "2", "to": "bob"})),
        (b"@3 cmd bob", json!({"code": null, "id": "3", "to": "bob"})),
        (b"@4 send", json!({"code": null, "id": "4", "to": null})),
        (b"@5 renew", json!({"code": null, "id": "5", "to": null})),
        (b"@6 shout bob hi", json!({"code": null, "id": "6", "to": null})),
        (b"@7 level loud", json!({"code": null, "id": "7", "to": null})),
        (b"@8 quit now", json!({"code": null, "id": "8", "to": null})),
        (b"@9", json!({"code": null, "id": "9", "to": null})),
        (b"@10 send bob \xff", json!({"code": null, "id": "10", "to": null})),
        (b"\xff\xfe", json!({"code": null, "id": null, "to": null})),
        (b"@11 send nobody hi", json!({"code": 204, "id": "11", "to": "nobody"})),
    ];
    for (line, expected) in cases {
        let mut alice = Program::start(&mut connect(&server));
        alice.write(line);
        alice.write(b"\nsend bob after\nquit\n");
        let error = alice.event("error").await;
        for member in ["code", "id", "to"] {
            assert_eq!(error.get(member).unwrap_or(&Value::Null), &expected[member], "{member} of {error}");
        }
        alice.rest().await;
        assert_eq!(alice.status().await, 7, "{error}");
    }
    assert_eq!(sent(&server), vec!["after"; 12], "what comes after one is done all the same");
}

#[actix::test]
async fn a_text_goes_out_as_it_stands() {
    let server = server().await;
    let mut alice = Program::start(&mut connect(&server));
    alice.write("\u{feff}send bob  two  spaces \r\n\n  \nsend bob last");
    alice.end_stdin();
    assert_eq!(alice.status().await, 0);
    assert_eq!(sent(&server), [" two  spaces ", "last"]);
}

#[actix::test]
async fn an_empty_variable_is_absent_and_a_byte_order_mark_no_part_of_a_password() {
    let server = server().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "\u{feff}secret\r\n").unwrap();
    let mut with_file = connect(&server);
    with_file.env("AGORA_CHAT_PASSWORD", "").env("AGORA_CHAT_TOKEN", "").arg("--password-file").arg(&file);
    for command in [&mut with_file, connect(&server).env("AGORA_CHAT_TOKEN", "")] {
        let mut alice = Program::start(command);
        alice.event("connected").await;
        alice.write("quit\n");
        assert_eq!(alice.status().await, 0);
    }
    let nothing = Program::start(connect(&server).env("AGORA_CHAT_PASSWORD", ""));
    assert_eq!(nothing.status().await, 2);
    fs::write(&file, "\r\n").unwrap();
    assert_eq!(Program::start(&mut with_file).status().await, 2);
}

#[actix::test]
async fn a_user_who_exists_is_not_registered_but_logged_in_and_the_log_says_so() {
    let server = server().await;
    let mut alice = Program::start(connect(&server).arg("--register"));
    alice.event("connected").await;
    alice.write("quit\n");
    let (status, log) = alice.ended().await;
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("exists already"), "{log}");
}

#[actix::test]
async fn every_signal_logs_out_and_ends_with_0_in_every_state() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let server = server().await;
        // Online.
        let alice = online(&server).await;
        alice.signal(signal);
        assert_eq!(alice.status().await, 0, "{signal}");
        is_off(&server).await;
        assert!(took_leave(&server), "{signal}");

        // On its way back.
        let mut alice = online(&server).await;
        server.stop_listening().await.unwrap();
        server.drop_links("alice", Cut::Rst);
        alice.event("reconnecting").await;
        alice.signal(signal);
        assert_eq!(alice.status().await, 0, "{signal}");
        server.listen_again().await.unwrap();

        // Logging in.
        server.set_silent(true);
        let links = server.stats().connects;
        let alice = Program::start(&mut connect(&server));
        server.wait_until(LIMIT, |server| server.stats().connects > links).await.unwrap();
        alice.signal(signal);
        assert_eq!(alice.status().await, 0, "{signal}");
    }
}

#[actix::test]
async fn a_hangup_reopens_the_log_file_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink(disk("monday"), disk("log")).unwrap();
    let server = server().await;
    let mut alice = Program::start(connect(&server).arg("--log-file").arg(disk("log")));
    alice.event("connected").await;
    std::fs::remove_file(disk("log")).unwrap();
    std::os::unix::fs::symlink(disk("tuesday"), disk("log")).unwrap();
    alice.signal(Signal::SIGHUP);
    // The file is opened with the next record, and the program goes on.
    while !disk("tuesday").exists() {
        alice.write("send bob hi\n");
        alice.event("sent").await;
        alice.write("level TRACE\n");
    }
    alice.write("quit\n");
    assert_eq!(alice.status().await, 0);
    assert!(disk("monday").exists());
}

#[actix::test]
async fn a_hangup_that_is_ignored_stays_so() {
    let server = server().await;
    let path = program::path("connect");
    let mut nohup = Command::new("nohup");
    nohup.arg(path).args(connect(&server).get_args()).env("AGORA_CHAT_PASSWORD", "secret");
    let mut alice = Program::start(&mut nohup);
    alice.event("connected").await;
    alice.signal(Signal::SIGHUP);
    alice.write("send bob hi\n");
    alice.event("sent").await;
    alice.signal(Signal::SIGTERM);
    assert_eq!(alice.status().await, 0);
}

#[actix::test]
async fn sentences_command_no_terminal_and_forge_no_line() {
    let server = server().await;
    let mut command = command("connect", &server);
    command.args(["--user", "alice"]).env("AGORA_CHAT_PASSWORD", "secret");
    let mut alice = Program::start(&mut command);
    alice.line().await;
    server.send_text("bob", "alice", "a\rb\u{1b}[2Jc\u{202e}d\u{9b}e\u{2028}f\u{7f}g\nh").unwrap();
    let line = loop {
        let line = alice.line().await.unwrap();
        if line.contains("text: ") {
            break line;
        }
    };
    assert!(line.is_ascii() && !line.contains(char::is_control), "{line:?}");
    for shown in [r"\r", r"\u{202e}", r"\u{9b}", r"\u{2028}"] {
        assert!(line.contains(shown), "{shown} is not in {line}");
    }
}
