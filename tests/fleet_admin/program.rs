//! The example `fleet_admin` as a process, and how it ends at SIGTERM.

use std::time::Duration;

use agora_chat::local_server::{LocalServer, SessionEnd};
use nix::sys::signal::Signal;

use crate::{
    Client, LIMIT,
    support::program::{Program, command},
};

#[actix_web::test]
async fn sigterm_ends_the_http_server_then_logs_everybody_out() {
    let server = LocalServer::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.csv");
    let users: Vec<String> = (0..50).map(|number| format!("bot-{number}")).collect();
    let mut lines = String::new();
    for user in &users {
        server.create_user(user, "password").unwrap();
        lines += &format!("{user},password,all\n");
    }
    std::fs::write(&file, lines).unwrap();
    let mut command = command("fleet_admin", &server);
    command.args(["--port", "0", "--logins-per-second", "200", "--accounts"]).arg(&file);
    let mut program = Program::start(&mut command);
    let line = program.line().await.unwrap();
    let address = line.split("http://").nth(1).unwrap().trim_end_matches(", admin interface at ");
    let client = Client::new(address.parse().unwrap());

    let ready = async {
        while client.call("GET", "/readyz").await.status != 200
            || client.call("GET", "/online").await.is(200).value()["online"] != 50
        {
            actix_rt::time::sleep(Duration::from_millis(20)).await;
        }
    };
    actix_rt::time::timeout(LIMIT, ready).await.unwrap();
    let list = client.call("GET", "/admin/accounts?state=online&limit=100").await.is(200).value();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 50);
    // The page is found with and without the slash, and what is beside it is the application's.
    assert!(client.call("GET", "/admin").await.is(308).head.contains("location: admin/"));
    assert!(client.call("GET", "/admin/").await.is(200).body.contains("page.js"));
    client.call("GET", "/admin/nothing").await.refused(404, "not_found");
    assert_eq!(client.call("GET", "/fleet").await.status, 404);
    let mut watching = client.open("GET", "/admin/events").await;
    let mut told = String::new();
    while !told.contains("event: fleet\n") {
        let mut more = [0; 1024];
        let read = tokio::io::AsyncReadExt::read(&mut watching, &mut more).await.unwrap();
        told += std::str::from_utf8(&more[..read]).unwrap();
    }

    let began = std::time::Instant::now();
    program.signal(Signal::SIGTERM);
    let report = program.line().await.unwrap();
    assert!(report.starts_with("50 accounts drained in ") && !report.contains("not in order"), "{report}");
    assert_eq!(program.status().await, 0);
    // Whoever watched is not waited for.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

    let log = server.session_log();
    assert_eq!(log.len(), 50);
    assert!(log.iter().all(|session| session.end == Some(SessionEnd::Logout)), "{log:?}");
    assert!(server.online_twice().is_empty());
}
