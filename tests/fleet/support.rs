#[path = "../support/own_process.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
pub(crate) mod own_process;

use std::{future::Future, time::Duration};

use agora_chat::{
    Account, Connection, Credentials, EventHandler, Reconnect,
    account::Device,
    config::ConfigBuilder,
    fleet::{AccountHandle, AccountSpec, Filter, Fleet, FleetConfig, FleetError, LoginPace, StateKind},
    local_server::{LocalServer, SessionEnd},
};

pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Of a wait for many accounts.
const LONGEST: Duration = Duration::from_secs(400);

/// Waits for something that surely comes.
pub(crate) async fn within<T>(what: &str, waited: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, waited).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

pub(crate) fn name(number: usize) -> String {
    format!("bot-{number}")
}

/// Starts a server with users `bot-0` and so on, whose password is `password`, and `alice`.
pub(crate) async fn server(users: usize) -> LocalServer {
    let server = LocalServer::start().await.unwrap();
    for number in 0..users {
        server.create_user(&name(number), "password").unwrap();
    }
    server.create_user("alice", "password").unwrap();
    server
}

/// Settings with short pauses.
pub(crate) fn quick(config: ConfigBuilder) -> ConfigBuilder {
    let mut policy = Reconnect::default();
    policy.base = Duration::from_millis(50);
    policy.cap = Duration::from_millis(400);
    policy.flapping = None;
    config.reconnect(policy)
}

/// A fleet's settings on one thread and at a high pace.
pub(crate) fn config(server: &LocalServer) -> FleetConfig {
    FleetConfig::new(quick(server.config()).build().unwrap())
        .arbiters(2)
        .pace(LoginPace::per_second(2000).burst(2000).concurrent(64))
}

/// Answers `ping` with `pong`.
pub(crate) fn ponging(config: FleetConfig) -> FleetConfig {
    config.on_message(|account: AccountHandle, delivery| async move {
        if let Some(message) = delivery.message().filter(|message| message.text() == Some("ping")) {
            account.send_text(message.conversation(), "pong").await?;
        }
        Ok::<(), FleetError>(())
    })
}

/// The account of a bot, always on the same device: what a device was given and did not acknowledge is kept for it alone.
pub(crate) fn account(number: usize) -> Account {
    Account::new(Credentials::password(&name(number), "password").unwrap()).device(Device::new("desk"))
}

pub(crate) fn specs(users: std::ops::Range<usize>) -> Vec<AccountSpec> {
    users.map(|number| AccountSpec::new(account(number))).collect()
}

/// Adds accounts and waits until all are online.
pub(crate) async fn online(fleet: &Fleet, users: std::ops::Range<usize>) {
    let before = fleet.summary().of(StateKind::Online);
    let count = users.len();
    for added in fleet.add_all(specs(users)).await.unwrap() {
        added.unwrap();
    }
    until(fleet, "all online", |fleet| fleet.summary().of(StateKind::Online) >= before + count).await;
}

/// Waits until something holds, which only a change can bring about.
pub(crate) async fn until(fleet: &Fleet, what: &str, holds: impl Fn(&Fleet) -> bool) {
    let mut changes = fleet.watch();
    let waited = async {
        while !holds(fleet) {
            // The look again after a while is for what changes without an account's state.
            let _ = tokio::time::timeout(Duration::from_millis(200), changes.next()).await;
        }
    };
    if tokio::time::timeout(LONGEST, waited).await.is_err() {
        let others = fleet.accounts(&Filter::all(), &agora_chat::fleet::Page::first(10_000)).accounts;
        let others: Vec<_> =
            others.into_iter().filter(|account| account.state.kind() != StateKind::Online).take(5).collect();
        panic!("{what} takes too long: {:?} {others:?}", fleet.summary());
    }
}

pub(crate) async fn state(fleet: &Fleet, user: &str, kind: StateKind) {
    until(fleet, &format!("{user} {kind:?}"), |fleet| {
        fleet.account(user).is_ok_and(|account| account.state().kind() == kind)
    })
    .await;
}

/// Returns how the sessions of a user ended that are over.
pub(crate) fn ends(server: &LocalServer, user: &str) -> Vec<SessionEnd> {
    server.session_log().into_iter().filter(|session| session.user == user).filter_map(|session| session.end).collect()
}

/// Returns the texts that wait for a user on the server: what a new login is given before a text that comes after it.
pub(crate) async fn left_for(server: &LocalServer, number: usize) -> Vec<String> {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let connection = Connection::start(quick(server.config()).build().unwrap()).unwrap();
    let handler = EventHandler::new().on_message(move |_, message| {
        let _ = told.send(message.text().unwrap_or_default().to_owned());
    });
    connection.add_event_handler("left", handler).unwrap();
    connection.open(account(number)).await.unwrap();
    server.send_text("alice", &name(number), "the last").unwrap();
    let mut left = Vec::new();
    loop {
        match within("the last text", heard.recv()).await.unwrap() {
            last if last == "the last" => break,
            text => left.push(text),
        }
    }
    within("close", connection.close()).await;
    left
}
