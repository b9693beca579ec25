//! What an operator who reads warnings alone is told: everything that does not mend itself, and nothing that does.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use agora_chat::{
    ConfigBuilder, Connection, Credentials, EventKind, KickPolicy, Reconnect, StateDir,
    account::{TokenGrant, TokenRequest},
    errors::{Kick, ProviderError},
    local_server::{Cut, LocalServer},
};
use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, o};

use crate::connection::support::{Heard, alice, bob, pauses_of, quick, server, start, within};

/// What was logged.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<(Level, String)>>>);

impl Drain for Records {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        self.0.lock().unwrap().push((record.level(), record.msg().to_string()));
        Ok(())
    }
}

impl Records {
    /// At WARN and above.
    fn warnings(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(level, _)| level.is_at_least(Level::Warning)).map(|(_, message)| message.clone()).collect()
    }

    /// At INFO.
    fn news(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(level, _)| *level == Level::Info).map(|(_, message)| message.clone()).collect()
    }
}

fn logged(config: ConfigBuilder) -> (Connection, Heard, Records) {
    let records = Records::default();
    let (connection, heard) = start(config.logger(Logger::root(records.clone().fuse(), o!())));
    (connection, heard, records)
}

/// Somebody online.
async fn online(server: &LocalServer, config: ConfigBuilder, credentials: Credentials) -> (Connection, Heard, Records) {
    let (connection, heard, records) = logged(config);
    within("open", connection.open(credentials)).await.unwrap();
    server.wait_until(Duration::from_secs(10), |server| server.online() > 0).await.unwrap();
    assert_eq!(records.warnings(), [""; 0]);
    (connection, heard, records)
}

fn by_token(server: &LocalServer, life: Option<Duration>) -> Credentials {
    Credentials::token("alice", server.issue_token("alice", life).unwrap()).unwrap()
}

const ENDED: [&str; 1] = ["disconnected"];

#[actix::test]
async fn what_mends_itself_within_a_minute_is_no_warning() {
    let server = server().await;
    let (connection, mut heard, records) = online(&server, quick(server.config()), alice()).await;
    for cut in [Cut::Rst, Cut::Fin] {
        server.drop_links("alice", cut);
        heard.until(|event| matches!(event, EventKind::Connected { resumed: true }).then_some(())).await;
    }
    // Attempts that fail, too.
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.until(|event| matches!(event, EventKind::Reconnecting { attempt: 4, .. }).then_some(())).await;
    server.listen_again().await.unwrap();
    heard.until(|event| matches!(event, EventKind::Connected { resumed: true }).then_some(())).await;
    within("close", connection.close()).await;
    assert_eq!(records.warnings(), [""; 0]);
    let news = records.news();
    assert_eq!(news.iter().filter(|message| *message == "connected").count(), 4, "{news:?}");
    assert!(news.iter().any(|message| message == "the link is lost, trying again"));
    assert_eq!(news.last().unwrap(), "disconnected", "what was asked for is no warning");
}

#[actix::test]
async fn a_pause_of_a_minute_or_more_is_warned_of_once() {
    let server = server().await;
    let (connection, mut heard, records) = online(&server, quick(server.config()), alice()).await;
    server.refuse_upgrades(503, Some("120")).unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.until(|event| matches!(event, EventKind::Reconnecting { attempt: 2, .. }).then_some(())).await;
    assert_eq!(records.warnings(), ["the link is lost, trying again"]);
    assert_eq!(records.news().iter().filter(|message| message.contains("the link is lost")).count(), 1, "the first");
    within("close", connection.close()).await;
    assert_eq!(records.warnings().len(), 1);
}

#[actix::test]
async fn every_end_that_was_not_asked_for_is_one_warning() {
    // Kicks.
    for kick in [Kick::UserRemoved, Kick::PasswordChanged, Kick::ByOtherDevice, Kick::LoggedInElsewhere { ext: None }] {
        let server = server().await;
        let (_connection, mut heard, records) = online(&server, server.config(), alice()).await;
        server.kick("alice", kick);
        heard.disconnected().await;
        assert_eq!(records.warnings(), ENDED);
    }
    // Attempts used up.
    let server = server().await;
    let mut reconnect = pauses_of(Duration::from_millis(1));
    reconnect.max_attempts = Some(2);
    let config = server.config().reconnect(reconnect);
    let (_connection, mut heard, records) = online(&server, config, alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.disconnected().await;
    assert_eq!(records.warnings(), ENDED);
    // No attempts wanted.
    server.listen_again().await.unwrap();
    let mut reconnect = Reconnect::default();
    reconnect.enabled = false;
    let config = server.config().reconnect(reconnect);
    let (_connection, mut heard, records) = online(&server, config, alice()).await;
    server.drop_links("alice", Cut::Rst);
    heard.disconnected().await;
    assert_eq!(records.warnings(), ENDED);
    // Refused on the way back, for good.
    let (_connection, mut heard, records) = online(&server, quick(server.config()), by_token(&server, None)).await;
    server.refuse_provisions(12, None);
    server.drop_links("alice", Cut::Rst);
    heard.disconnected().await;
    assert_eq!(records.warnings(), ENDED);
    server.accept_provisions();
}

#[actix::test]
async fn a_token_that_ends_is_warned_of_with_the_session_that_ends_with_it() {
    let server = server().await;
    let credentials = by_token(&server, Some(Duration::from_millis(1500)));
    let (_connection, mut heard, records) = online(&server, server.config(), credentials).await;
    heard.disconnected().await;
    assert_eq!(records.warnings(), ["the token has expired", "disconnected"]);
}

#[actix::test]
async fn a_kick_is_warned_of_also_where_it_is_answered_by_another_login() {
    let server = server().await;
    let policy = KickPolicy::TakeOver { times: 2, window: Duration::from_secs(60) };
    let config = quick(server.config()).kick_policy(policy);
    let (connection, mut heard, records) = online(&server, config, alice()).await;
    server.kick("alice", Kick::LoggedInElsewhere { ext: None });
    heard.until(|event| matches!(event, EventKind::Connected { resumed: true }).then_some(())).await;
    assert_eq!(records.warnings(), ["the link is lost, trying again"]);
    within("close", connection.close()).await;
}

#[actix::test]
async fn a_failed_open_is_one_warning_whatever_it_failed_of() {
    let server = server().await;
    let (connection, _heard, records) = logged(quick(server.config()));
    let fails = async |credentials: Credentials, expected: &str| {
        let before = records.warnings().len();
        within("open", connection.open(credentials)).await.unwrap_err();
        assert_eq!(records.warnings()[before..], [expected]);
    };
    // The token call.
    fails(Credentials::password("alice", "wrong").unwrap(), "login failed").await;
    // PROVISION, refused for good and for now.
    for status in [12, 7] {
        server.refuse_provisions(status, Some("Sorry, the app online count limit"));
        fails(alice(), "disconnected").await;
    }
    server.accept_provisions();
    // A provider that gives nothing.
    let provider = |_: TokenRequest| async { Err::<TokenGrant, _>(ProviderError::new("no idea")) };
    fails(Credentials::provider("alice", provider).unwrap(), "login failed").await;
    // Nobody there: the attempts themselves are no warnings.
    let token = by_token(&server, None);
    server.stop_listening().await.unwrap();
    fails(token, "login failed").await;
    assert!(records.news().iter().any(|message| message == "login attempt failed, trying again"));
    server.listen_again().await.unwrap();

    // A second login harms nobody, and neither does a close meanwhile.
    let before = records.warnings().len();
    within("open", connection.open(alice())).await.unwrap();
    within("open", connection.open(bob())).await.unwrap_err();
    within("close", connection.close()).await;
    server.set_silent(true);
    let opening = connection.open(alice());
    let closing = async {
        server.wait_until(Duration::from_secs(10), |server| server.stats().links > 0).await.unwrap();
        connection.close().await;
    };
    let (opened, ()) = tokio::join!(opening, closing);
    opened.unwrap_err();
    assert_eq!(records.warnings().len(), before, "{:?}", records.warnings());
}

#[actix::test]
async fn a_kept_token_that_is_refused_is_no_warning_since_the_password_fetches_another_but_a_damaged_file_is() {
    let server = server().await;
    let dir = tempfile::tempdir().unwrap();
    let config = || server.config().state_dir(StateDir::open(dir.path()).unwrap());
    let (connection, _heard, _) = online(&server, config(), alice()).await;
    within("close", connection.close()).await;
    let app_key = server.app_key().replace('#', "%23");
    let file = dir.path().join(app_key).join("alice/token.json");
    std::fs::write(&file, r#"{"version":1,"token":"YWMtnobody","expires_at":null}"#).unwrap();
    let (connection, _heard, records) = online(&server, config(), alice()).await;
    within("close", connection.close()).await;
    assert_eq!(records.warnings(), [""; 0]);
    assert!(records.news().iter().any(|message| message.contains("the kept token is refused")), "{:?}", records.news());

    std::fs::write(&file, "").unwrap();
    let (connection, _heard, records) = logged(config());
    within("open", connection.open(alice())).await.unwrap();
    within("close", connection.close()).await;
    assert_eq!(records.warnings(), ["the kept token cannot be used"], "somebody's disk is failing");
}
