//! `examples/load_harness` as a program, against the local server: what it prints and how it ends.
//!
//! A whole `cargo test` builds the program; with `--test` or `--tests`, build it first: `cargo build --example load_harness`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use agora_chat::local_server::{Cut, LocalServer};
use serde_json::Value;

use crate::support::own_process::example;

const ACCOUNTS: usize = 5;

fn ended(arguments: &[&str]) -> Output {
    Command::new(example("load_harness")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn server() -> LocalServer {
    let server = LocalServer::start().await.unwrap();
    server.create_user("sender", "pw").unwrap();
    for number in 0..ACCOUNTS {
        server.create_user(&format!("u{number:06}"), "pw").unwrap();
    }
    server
}

/// Starts it for all accounts of the server, and does something once they are logged in; its status and its report.
async fn run(server: &LocalServer, arguments: &[&str], once_ready: impl FnOnce()) -> (i32, Value, String) {
    let mut command = Command::new(example("load_harness"));
    command.args(["--rest-url", &server.rest_url(), "--socket-url", &server.socket_url()]);
    command.args(["--app-key", server.app_key(), "--accounts", &ACCOUNTS.to_string()]).args(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let ended = actix_rt::task::spawn_blocking(move || {
        let (mut ready, mut told) = (Some(ready), String::new());
        for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
            if line.starts_with("READY") {
                ready.take().unwrap().send(()).unwrap();
            }
            told = told + &line + "\n";
        }
        (child.wait_with_output().unwrap(), told)
    });
    // If it ends without that, what it printed says more.
    let _ended = is_ready.await;
    once_ready();
    let (output, stderr) = ended.await.unwrap();
    let stdout = text(&output.stdout);
    let report = serde_json::from_str(stdout.lines().last().unwrap_or_default());
    (output.status.code().unwrap(), report.unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}")), stderr)
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {report}"))
}

#[actix::test]
async fn logins_are_counted_and_told_to_a_machine_and_to_people() {
    let server = server().await;
    let (status, report, told) = run(&server, &["--scenario", "login", "--concurrency", "2"], || {}).await;
    assert_eq!(status, 0);
    assert_eq!((number(&report, "/login/ok"), number(&report, "/login/failed")), (5.0, 0.0));
    assert_eq!((&report["scenario"], &report["accounts"]), (&"login".into(), &5.into()));
    assert!(number(&report, "/login/cpu_us_each") > 0.0);
    assert!(number(&report, "/login/latency_ms/p99") >= number(&report, "/login/latency_ms/p50"));
    assert!(told.contains("READY 5") && told.contains("p99.9"), "{told}");
}

#[actix::test]
async fn logins_that_fail_are_counted_and_break_a_threshold() {
    let server = server().await;
    server.change_password("u000003", "other").unwrap();
    let mut arguments = vec!["--scenario", "login", "--quiet"];
    arguments.extend(["--accounts", "6", "--fail-if", "failed>1"]);
    let mut command = Command::new(example("load_harness"));
    command.args(["--rest-url", &server.rest_url(), "--socket-url", &server.socket_url()]);
    command.args(["--app-key", server.app_key()]).args(arguments);
    let output = actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((number(&report, "/login/ok"), number(&report, "/login/failed")), (4.0, 2.0));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["harness"]["thresholds"][0]["broken"], true);
}

#[actix::test]
async fn an_idle_phase_ends_with_everybody_up_and_memory_read() {
    let server = server().await;
    let (status, report, _) = run(&server, &["--scenario", "idle", "--duration", "0.2"], || {}).await;
    assert_eq!(status, 0);
    assert_eq!(number(&report, "/idle/up"), 5.0);
    assert!(number(&report, "/memory/rss_after_kb") >= number(&report, "/memory/rss_before_kb"));
}

#[actix::test]
async fn a_fleet_of_the_library_keeps_the_accounts_where_it_is_asked_for() {
    let server = server().await;
    server.change_password("u000003", "other").unwrap();
    let arguments = ["--fleet", "--scenario", "storm", "--duration", "30", "--max-rate", "100"];
    let (status, report, told) = run(&server, &arguments, || {
        server.drop_all(Cut::Rst);
    })
    .await;
    assert_eq!(status, 0, "{told}");
    assert_eq!((number(&report, "/login/ok"), number(&report, "/login/failed")), (4.0, 1.0));
    assert_eq!((number(&report, "/storm/reconnected"), number(&report, "/storm/up")), (4.0, 4.0));
    let reason = report.pointer("/login/failures/0/reason").and_then(Value::as_str).unwrap();
    assert!(reason.contains("password"), "{reason}");
    assert_eq!(ended(&["--fleet", "--keep-trying"]).status.code(), Some(2));
}

#[actix::test]
async fn messages_reach_the_subscriber_with_their_latency() {
    let server = server().await;
    let arguments =
        ["--scenario", "messages", "--expect", "50", "--duration", "30", "--rate", "100", "--arbiters", "2"];
    let judged = ["--fail-if", "p99 < 1ns", "--fail-if", "lost>0"];
    let (status, report, told) = run(&server, &[&arguments[..], &judged].concat(), || {
        for round in 0..10 {
            for to in 0..ACCOUNTS {
                let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
                server.send_text("sender", &format!("u{to:06}"), &format!("{clock} {round}")).unwrap();
            }
        }
    })
    .await;
    assert_eq!(status, 0, "{told}");
    assert_eq!((number(&report, "/messages/received"), number(&report, "/harness/missed")), (50.0, 0.0));
    assert!(number(&report, "/messages/latency_us/p50") > 0.0);
    assert!(number(&report, "/messages/latency_us_corrected/p50") > 0.0);
    assert!(told.contains("delivery, corrected"), "{told}");
}

#[actix::test]
async fn a_latency_over_the_threshold_gives_status_1() {
    let server = server().await;
    let arguments = ["--scenario", "messages", "--expect", "1", "--duration", "30", "--fail-if", "p99>1ns"];
    let (status, report, told) = run(&server, &arguments, || {
        server.send_text("sender", "u000000", "1000000000000000000 long ago").unwrap();
    })
    .await;
    assert_eq!((status, number(&report, "/messages/received")), (1, 1.0));
    assert!(told.contains("BROKEN --fail-if 'p99>1ns'"), "{told}");
}

#[actix::test]
async fn messages_that_do_not_come_in_time_are_lost() {
    let server = server().await;
    let arguments = ["--scenario", "messages", "--expect", "3", "--duration", "0.3", "--fail-if", "lost>=3"];
    let (status, report, _) = run(&server, &arguments, || {}).await;
    assert_eq!((status, number(&report, "/messages/received")), (1, 0.0));
    assert_eq!(report["harness"]["thresholds"][0]["measured"], 3.0);
}

#[actix::test]
async fn a_storm_ends_when_everybody_is_back() {
    let server = server().await;
    let (status, report, told) = run(&server, &["--scenario", "storm", "--duration", "30"], || {
        server.drop_all(Cut::Rst);
    })
    .await;
    assert_eq!(status, 0);
    for (path, expected) in [("disconnects", 5.0), ("reconnected", 5.0), ("up", 5.0), ("attempts", 10.0)] {
        assert_eq!(number(&report, &format!("/storm/{path}")), expected, "{path}: {told}");
    }
    assert!(told.contains("10 connects"), "people are told the same: {told}");
    // The official SDK's pause before the first attempt is 1 to 2 s.
    assert!((1000.0..10_000.0).contains(&number(&report, "/storm/back_ms/p50")), "{report}");
}

/// Ends it for a server that nobody gets into; its status, its report and what it said on stderr.
async fn nobody_in(server: &LocalServer, arguments: &[&str]) -> (i32, Value, String) {
    for number in 0..ACCOUNTS {
        server.change_password(&format!("u{number:06}"), "other").unwrap();
    }
    run(server, arguments, || {}).await
}

#[actix::test]
async fn where_no_login_succeeds_it_says_why_and_ends_with_3_at_once() {
    for arguments in [&["--scenario", "idle", "--duration", "600"][..], &["--quiet"], &["--fail-if", "failed>1"]] {
        let (status, report, told) = nobody_in(&server().await, arguments).await;
        assert_eq!(status, 3, "{told}");
        assert!(told.contains("no login succeeded") && told.contains("password"), "{arguments:?}: {told}");
        let failure = &report["login"]["failures"][0];
        assert_eq!((number(failure, "/count"), number(failure, "/code")), (5.0, 1.0), "{report}");
        assert!(failure["user"].as_str().unwrap().starts_with("u00000"));
    }
}

#[actix::test]
async fn what_was_not_measured_is_absent_and_costs_nothing_each() {
    let (_, report, told) = nobody_in(&server().await, &["--fail-if", "p99>1s"]).await;
    let login = report["login"].as_object().unwrap();
    assert!(!login.contains_key("latency_ms") && !login.contains_key("cpu_us_each"), "{report}");
    assert!(!told.contains("each") && told.contains("not measured"), "{told}");

    let server = server().await;
    let arguments = ["--scenario", "messages", "--expect", "3", "--duration", "0.3", "--rate", "1"];
    let (status, report, told) = run(&server, &arguments, || {}).await;
    assert_eq!(status, 0);
    let messages = report["messages"].as_object().unwrap();
    for member in ["latency_us", "latency_us_corrected", "cpu_ns_each", "per_s"] {
        assert!(!messages.contains_key(member), "{member}: {report}");
    }
    assert!(!told.contains("ns CPU each"), "{told}");
}

#[actix::test]
async fn a_phase_of_a_moment_does_not_count_as_saturated() {
    let server = server().await;
    let (_, report, told) = run(&server, &["--scenario", "login"], || {}).await;
    assert!(number(&report, "/login/wall_s") < 1.0, "{report}");
    let saturation = report["harness"]["saturation"].as_array().unwrap();
    assert!(saturation.iter().all(|why| !why.as_str().unwrap().contains("of a core")), "{told}");
}

#[actix::test]
async fn verdicts_have_units() {
    let server = server().await;
    let arguments = ["--scenario", "idle", "--duration", "0.1", "--fail-if", "login_p99<1ns"];
    let more = ["--fail-if", "memory<1B", "--fail-if", "failed>0"];
    let (status, report, told) = run(&server, &[&arguments[..], &more].concat(), || {}).await;
    assert_eq!(status, 0, "{told}");
    let verdicts: Vec<_> = told.lines().filter(|line| line.contains("--fail-if")).collect();
    assert!(verdicts[0].ends_with("ms") || verdicts[0].ends_with("µs"), "{told}");
    assert!(verdicts[1].ends_with("iB") || verdicts[1].ends_with(" B"), "{told}");
    assert!(verdicts[2].ends_with(": 0"), "{told}");
    let units: Vec<_> = report["harness"]["thresholds"].as_array().unwrap().iter().map(|one| &one["unit"]).collect();
    assert_eq!(units, [&Value::from("us"), &Value::from("B"), &Value::Null]);
}

#[actix::test]
async fn without_addresses_it_looks_where_the_local_server_is() {
    // Whatever may be there or not: only the defaults of the two are compared.
    let program = example("load_harness").with_file_name("local_server");
    let help = |program: &std::path::Path| text(&Command::new(program).arg("--help").output().unwrap().stdout);
    let (server, harness) = (help(&program), help(&self::example("load_harness")));
    assert!(server.contains("[default: local#test]") && harness.contains("[default: local#test]"), "{harness}");
    assert!(server.contains("7070") && harness.contains("http://127.0.0.1:7070]"), "{server}");
    assert!(harness.contains("ws://127.0.0.1:7070/websocket]"), "{harness}");
}

#[actix::test]
async fn a_report_that_cannot_be_written_is_no_success() {
    let server = server().await;
    let mut command = Command::new(example("load_harness"));
    command.args(["--rest-url", &server.rest_url(), "--socket-url", &server.socket_url()]);
    command.args(["--app-key", server.app_key(), "--quiet"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.stdout(full).stderr(Stdio::piped());
    let output = actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("could not be written"));
}

#[cfg(unix)]
#[actix::test]
async fn an_interrupt_waits_for_no_login_that_is_under_way() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    let server = server().await;
    server.set_silent(true);
    let mut command = Command::new(example("load_harness"));
    command.args(["--rest-url", &server.rest_url(), "--socket-url", &server.socket_url()]);
    command.args(["--app-key", server.app_key(), "--accounts", "5"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let began = std::time::Instant::now();
    let ended = actix_rt::task::spawn_blocking(move || child.wait_with_output().unwrap());
    server.wait_until(Duration::from_secs(20), |server| server.stats().connects == 5).await.unwrap();
    kill(id, Signal::SIGTERM).unwrap();
    assert_eq!(ended.await.unwrap().status.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(20), "a login has 30 s");
}

#[cfg(unix)]
#[actix::test]
async fn an_interrupted_run_reports_what_it_measured() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    let server = server().await;
    let mut command = Command::new(example("load_harness"));
    command.args([
        "--rest-url",
        &server.rest_url(),
        "--socket-url",
        &server.socket_url(),
        "--app-key",
        server.app_key(),
    ]);
    command.args(["--accounts", "5", "--scenario", "idle", "--duration", "600"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let ended = actix_rt::task::spawn_blocking(move || child.wait_with_output().unwrap());
    server.wait_until(Duration::from_secs(20), |server| server.online() == ACCOUNTS).await.unwrap();
    kill(id, Signal::SIGINT).unwrap();
    let output = ended.await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(report["harness"]["interrupted"], true);
}

#[test]
fn another_machine_is_not_loaded_without_leave() {
    let elsewhere =
        ["--rest-url", "https://chat.example.invalid", "--socket-url", "wss://chat.example.invalid/websocket"];
    let refused = ended(&elsewhere);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--i-own-this-service"), "{}", text(&refused.stderr));
    assert!(refused.stdout.is_empty());
    // One of the two is enough.
    assert_eq!(ended(&elsewhere[..2]).status.code(), Some(2));
    let uncapped = ended(&[&elsewhere[..], &["--i-own-this-service"]].concat());
    assert_eq!(uncapped.status.code(), Some(2));
    assert!(text(&uncapped.stderr).contains("--max-rate"), "{}", text(&uncapped.stderr));
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    for (arguments, says) in [
        (&["--fail-if", "p98>1ms"][..], "no metric"),
        (&["--fail-if", "p99=1ms"], "one of"),
        (&["--fail-if", "p99>1"], "unit of time"),
        (&["--fail-if", "lost>1ms"], "no unit"),
        (&["--fail-if", "memory>1"], "unit of size"),
        (&["--fail-if", "p99>ms"], "number"),
        (&["--scenario", "messages"], "--expect"),
        (&["--scenario", "dance"], "dance"),
        (&["--accounts", "0"], "0"),
        (&["--accounts", "1000000"], "descriptors"),
        (&["--ca", "no/such/file.pem"], "no/such/file.pem"),
        (&["--app-key", "nothash"], "app key"),
        (&["--rate", "0"], "more than 0"),
    ] {
        let output = ended(arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(says), "{arguments:?}: {told}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_help_names_the_metrics_and_the_exit_statuses() {
    let help = text(&ended(&["--help"]).stdout);
    for word in ["--fail-if", "p999", "130", "--i-own-this-service", "LOAD_HARNESS_PASSWORD"] {
        assert!(help.contains(word), "{word} is not in: {help}");
    }
}
