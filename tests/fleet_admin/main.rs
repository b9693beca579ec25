//! A fleet's admin interface over HTTP: what each call answers, who may call, events, metrics, and a program with it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod calls;
mod events;
mod http;
mod metrics;
#[cfg(unix)]
mod program;
mod security;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "no binary needs all of it")]
mod support;

use std::time::Duration;

use agora_chat::{
    Credentials,
    fleet::{
        AccountSpec, Fleet, FleetConfig, LoginPace, StateKind,
        admin::{Admin, Served},
    },
    local_server::{LocalServer, LoggedSession},
};
use http::{Client, Reply};
use serde_json::Value;

/// How long anything may take before a test fails.
const LIMIT: Duration = Duration::from_secs(30);

/// A fleet of some accounts at a local server, with its admin interface.
struct Scene {
    server: LocalServer,
    fleet: Fleet,
    served: Served,
}

impl Scene {
    async fn of(users: &[&str]) -> Self {
        Self::with(users, |admin| admin).await
    }

    async fn with(users: &[&str], change: impl FnOnce(Admin) -> Admin) -> Self {
        let server = LocalServer::start().await.unwrap();
        let config = FleetConfig::new(server.config().build().unwrap()).arbiters(1).pace(LoginPace::per_second(200));
        let fleet = Fleet::start(config).unwrap();
        let served = change(Admin::new(&fleet)).serve("127.0.0.1:0".parse().unwrap()).unwrap();
        let scene = Scene { server, fleet, served };
        scene.add(users).await;
        for user in users {
            scene.until(user, StateKind::Online).await;
        }
        // That one is online is known a moment before its attempt counts as over.
        let counted = async {
            let counted = format!("agora_chat_login_duration_seconds_count {}\n", users.len());
            while !scene.fleet.metrics().contains(&counted) {
                actix_rt::time::sleep(Duration::from_millis(5)).await;
            }
        };
        actix_rt::time::timeout(LIMIT, counted).await.unwrap();
        scene
    }

    async fn add(&self, users: &[&str]) {
        for user in users {
            self.server.create_user(user, "password").unwrap();
            let account = AccountSpec::new(Credentials::password(user, "password").unwrap());
            self.fleet.add(account.tag(if user.ends_with('1') { "odd" } else { "even" })).await.unwrap();
        }
    }

    /// Waits until an account is in a state.
    async fn until(&self, user: &str, state: StateKind) {
        let reached = async {
            let account = self.fleet.account(user).unwrap();
            let mut changes = account.watch();
            while account.state().kind() != state {
                changes.next().await.unwrap();
            }
        };
        let why = || format!("{user} is {:?}", self.fleet.account(user).map(|account| account.snapshot()));
        actix_rt::time::timeout(LIMIT, reached).await.unwrap_or_else(|_| panic!("{}", why()));
    }

    /// The server's log of a user's sessions.
    fn log_of(&self, user: &str) -> Vec<LoggedSession> {
        self.server.session_log().into_iter().filter(|session| session.user == user).collect()
    }

    fn client(&self) -> Client {
        Client::new(self.served.address())
    }

    async fn call(&self, method: &str, path: &str) -> Reply {
        self.client().call(method, path).await
    }

    async fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.client().json(body).call(method, path).await
    }
}
