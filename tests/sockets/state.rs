//! State folders: a restart is the same device, and needs no REST call while its token lasts.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use agora_chat::{
    Account, ConfigBuilder, Connection, Credentials, EventHandler, EventKind, LogConfig, LogHandle, LogLevel,
    OpenError, StateDir, UserId,
    account::Device,
    errors::Kick,
    local_server::{LocalServer, RestFault},
    logger::Terminal,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};

const LIMIT: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

struct Place {
    server: LocalServer,
    dir: TempDir,
}

impl Place {
    async fn new() -> Self {
        let server = LocalServer::start().await.unwrap();
        for user in ["alice", "bob"] {
            server.create_user(user, &format!("pw-{user}")).unwrap();
        }
        Place { server, dir: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> StateDir {
        StateDir::open(self.dir.path()).unwrap()
    }

    /// As after a restart: a new configuration, with a new random device.
    fn config(&self) -> ConfigBuilder {
        self.server.config().state_dir(self.state())
    }

    fn file(&self, user: &str, name: &str) -> PathBuf {
        let app = self.server.app_key().replace('#', "%23");
        self.dir.path().join(app).join(user).join(name)
    }

    fn token_calls(&self) -> usize {
        self.server.rest_calls().iter().filter(|call| call.path.ends_with("/token")).count()
    }

    fn resource(&self, user: &str) -> String {
        let sessions = self.server.sessions(user);
        assert_eq!(sessions.len(), 1);
        sessions[0].resource.clone()
    }

    /// Logs in by password, closes, and says as which device.
    async fn visit(&self, user: &str) -> String {
        let connection = online(self.config(), by_password(user)).await;
        let resource = self.resource(user);
        self.token_kept(user).await;
        connection.close().await;
        resource
    }

    /// Waits until the token in use is written.
    async fn token_kept(&self, user: &str) -> String {
        let path = self.file(user, "token.json");
        let seen = Mutex::new(None);
        until("the token's file", || {
            *seen.lock().unwrap() = token_in(&path);
            seen.lock().unwrap().is_some()
        })
        .await;
        seen.into_inner().unwrap().unwrap()
    }

    /// Keeps this token as if an earlier process had.
    fn plant(&self, user: &str, token: &str, expires_at: Option<u64>) {
        let content = serde_json::json!({"version": 1, "token": token, "expires_at": expires_at});
        fs::write(self.file(user, "token.json"), content.to_string()).unwrap();
    }
}

fn by_password(user: &str) -> Credentials {
    Credentials::password(user, format!("pw-{user}")).unwrap()
}

async fn online(config: ConfigBuilder, account: impl Into<Account>) -> Connection {
    let connection = Connection::start(config.build().unwrap()).unwrap();
    timeout(LIMIT, connection.open(account)).await.unwrap().unwrap();
    connection
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let polled = async {
        while !reached() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, polled).await.unwrap_or_else(|_| panic!("{what}: waited in vain"));
}

fn events(connection: &Connection) -> UnboundedReceiver<EventKind> {
    let (tell, heard) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| {
        let _ = tell.send(event.kind().clone());
    });
    connection.add_event_handler("test", handler).unwrap();
    heard
}

/// The token of the file; `None` while there is no file.
fn token_in(path: &Path) -> Option<String> {
    let content: Value = serde_json::from_slice(&fs::read(path).ok()?).unwrap();
    assert_eq!(content["version"], 1);
    Some(content["token"].as_str().unwrap().to_owned())
}

fn holds_another(path: &Path, token: &str) -> bool {
    token_in(path).is_some_and(|kept| kept != token)
}

#[actix::test]
async fn a_restart_is_the_same_device_and_makes_no_rest_call() {
    let place = Place::new().await;
    let first = place.visit("alice").await;
    let calls = place.server.rest_calls().len();
    assert_eq!(place.token_calls(), 1);
    for _ in 0..3 {
        assert_eq!(place.visit("alice").await, first);
    }
    assert_eq!(place.server.rest_calls().len(), calls);
    let kept = place.state().device(&place.server.app_key().parse().unwrap(), &"alice".parse().unwrap());
    assert_eq!(kept.unwrap().unwrap().resource, first);
    let content: Value = serde_json::from_slice(&fs::read(place.file("alice", "device.json")).unwrap()).unwrap();
    assert_eq!(content, serde_json::json!({"version": 1, "resource": first, "uuid": first}));
}

#[actix::test]
async fn two_users_share_a_folder_and_nothing_else_also_on_one_connection() {
    let place = Place::new().await;
    let connection = Connection::start(place.config().build().unwrap()).unwrap();
    let mut resources = Vec::new();
    for user in ["alice", "bob", "alice"] {
        connection.open(by_password(user)).await.unwrap();
        resources.push(place.resource(user));
        place.token_kept(user).await;
        connection.close().await;
    }
    assert_eq!(resources[0], resources[2]);
    assert_eq!(place.token_calls(), 2);
    assert_ne!(place.token_kept("alice").await, place.token_kept("bob").await);
    assert_eq!(place.visit("bob").await, resources[1]);
    assert_eq!(place.token_calls(), 2);
}

#[actix::test]
async fn a_chosen_device_goes_before_the_kept_one_and_leaves_it_as_it_is() {
    let place = Place::new().await;
    let kept = place.visit("alice").await;
    let connection = online(place.config(), Account::new(by_password("alice")).device(Device::new("desk"))).await;
    assert_eq!(place.resource("alice"), "desk");
    connection.close().await;
    assert_eq!(place.token_calls(), 1, "the token is the user's");

    // A name alone chooses no device.
    let mut named = Device::default();
    named.name = "bot".to_owned();
    let connection = online(place.config(), Account::new(by_password("alice")).device(named)).await;
    let session = &place.server.sessions("alice")[0];
    assert_eq!((&session.resource, session.device_name.as_deref()), (&kept, Some("bot")));
    connection.close().await;
}

#[actix::test]
async fn a_kept_token_whose_end_seems_to_have_passed_is_used_where_no_other_can_be_got() {
    let place = Place::new().await;
    place.visit("alice").await;
    let alive = place.server.issue_token("alice", Some(HOUR)).unwrap();
    for outage in [RestFault::new("/token", 503), RestFault::new("/token", 500)] {
        // By a local clock that is years ahead.
        place.plant("alice", &alive, Some(1_700_000_000_000));
        place.server.fail_rest(outage).unwrap();
        let connection = online(place.config(), by_password("alice")).await;
        connection.close().await;
        place.server.clear_rest_faults();
    }

    // A dead one is refused, and the login goes on as without it.
    let dead = place.server.issue_token("alice", Some(HOUR)).unwrap();
    place.server.revoke_token(&dead);
    place.plant("alice", &dead, Some(1_700_000_000_000));
    place.server.fail_rest(RestFault::new("/token", 500).times(1)).unwrap();
    online(place.config(), by_password("alice")).await.close().await;
}

#[actix::test]
async fn a_kept_token_whose_end_has_passed_costs_one_call() {
    let place = Place::new().await;
    let kept = place.visit("alice").await;
    let dead = place.server.issue_token("alice", Some(HOUR)).unwrap();
    place.plant("alice", &dead, Some(1_700_000_000_000));
    let provisions = place.server.provision_count();
    assert_eq!(place.visit("alice").await, kept);
    assert_eq!(place.token_calls(), 2);
    assert_eq!(place.server.provision_count(), provisions + 1, "it was not tried");
    until("the new token", || holds_another(&place.file("alice", "token.json"), &dead)).await;
}

#[actix::test]
async fn a_refused_kept_token_falls_back_to_the_password_once() {
    let place = Place::new().await;
    place.visit("alice").await;
    let kept = place.token_kept("alice").await;
    assert!(place.server.revoke_token(&kept));
    assert_ne!(place.visit("alice").await, "");
    assert_eq!(place.token_calls(), 2);
    until("the new token", || holds_another(&place.file("alice", "token.json"), &kept)).await;

    // The second refusal of one login is final, and nothing of either token stays.
    let provisions = place.server.provision_count();
    place.server.refuse_provisions(1, Some("Sorry, token or password does not match login info"));
    let connection = Connection::start(place.config().build().unwrap()).unwrap();
    let error = timeout(LIMIT, connection.open(by_password("alice"))).await.unwrap().unwrap_err();
    assert!(matches!(&error, OpenError::Refused { .. }), "{error:?}");
    assert_eq!(error.code().number(), 28);
    assert_eq!(place.token_calls(), 3);
    assert_eq!(place.server.provision_count(), provisions + 2);
    until("its removal", || !place.file("alice", "token.json").exists()).await;
}

#[actix::test]
async fn a_refusal_that_no_token_can_help_leaves_the_kept_one() {
    let place = Place::new().await;
    place.visit("alice").await;
    place.server.refuse_next_provisions(1, 12, None);
    let connection = Connection::start(place.config().build().unwrap()).unwrap();
    assert_eq!(connection.open(by_password("alice")).await.unwrap_err().code().number(), 57);
    place.visit("alice").await;
    assert_eq!(place.token_calls(), 1);
}

#[actix::test]
async fn a_token_login_and_a_renewal_are_kept_for_the_next_login_by_password() {
    let place = Place::new().await;
    let given = place.server.issue_token("alice", Some(HOUR)).unwrap();
    let connection = online(place.config(), Credentials::token("alice", given.clone()).unwrap()).await;
    assert_eq!(place.token_kept("alice").await, given);
    let renewed = place.server.issue_token("alice", Some(HOUR)).unwrap();
    let end = connection.renew_token(renewed.clone()).await.unwrap();
    let file = place.file("alice", "token.json");
    until("the renewed token", || token_in(&file).as_deref() == Some(&renewed)).await;
    let content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(content["expires_at"], end);
    connection.close().await;
    place.visit("alice").await;
    assert_eq!(place.token_calls(), 0);

    // A token given is used, whatever is kept.
    let bad = Connection::start(place.config().build().unwrap()).unwrap();
    let error = bad.open(Credentials::token("alice", "YWMtnobody").unwrap()).await.unwrap_err();
    assert_eq!(error.code().number(), 28);
    assert_eq!(place.token_calls(), 0);
}

#[actix::test]
async fn the_token_goes_with_a_changed_password_and_a_removed_user_and_stays_otherwise() {
    let place = Place::new().await;
    for (kick, stays) in [
        (Kick::LoggedInElsewhere { ext: None }, true),
        (Kick::ByOtherDevice, true),
        (Kick::PasswordChanged, false),
        (Kick::UserRemoved, false),
    ] {
        let connection = Connection::start(place.config().build().unwrap()).unwrap();
        let mut heard = events(&connection);
        connection.open(by_password("alice")).await.unwrap();
        let file = place.file("alice", "token.json");
        place.token_kept("alice").await;
        place.server.kick("alice", kick.clone());
        while !matches!(timeout(LIMIT, heard.recv()).await.unwrap().unwrap(), EventKind::Disconnected { .. }) {}
        if stays {
            let calls = place.token_calls();
            place.visit("alice").await;
            assert_eq!(place.token_calls(), calls, "{kick:?}");
        } else {
            until("its removal", || !file.exists()).await;
        }
    }
}

#[actix::test]
async fn a_token_that_ends_with_its_session_is_removed() {
    let place = Place::new().await;
    let short = place.server.issue_token("alice", Some(Duration::from_millis(400))).unwrap();
    let connection = online(place.config(), Credentials::token("alice", short).unwrap()).await;
    place.token_kept("alice").await;
    until("its removal", || !place.file("alice", "token.json").exists()).await;
    connection.close().await;
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[actix::test]
async fn damaged_files_are_logged_and_set_aside_and_stop_nobody() {
    let place = Place::new().await;
    let first = place.visit("alice").await;
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Warn).writer(captured.clone());
    let log = LogHandle::start(log).unwrap();
    let (device, token) = (place.file("alice", "device.json"), place.file("alice", "token.json"));
    fs::write(&device, r#"{"version":1,"resource":"a b","uuid":"c"}"#).unwrap();
    fs::write(&token, "CANARY").unwrap();

    let connection = online(place.config().logger(log.slog()), by_password("alice")).await;
    let anew = place.resource("alice");
    assert_ne!(anew, first);
    assert_eq!(place.token_calls(), 2);
    place.token_kept("alice").await;
    connection.close().await;
    assert_eq!(place.visit("alice").await, anew);
    assert_eq!(place.token_calls(), 2);
    for path in [&device, &token] {
        assert!(path.with_extension("json.damaged").exists());
    }
    log.flush_blocking(LIMIT).unwrap();
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("device.json cannot be used (its resource or id cannot be one)"), "{log}");
    assert!(log.contains("token.json cannot be used (it is not of the expected form"), "{log}");
    assert!(!log.contains("CANARY"), "{log}");
}

#[actix::test]
async fn a_folder_that_cannot_be_used_any_more_keeps_nobody_offline() {
    let place = Place::new().await;
    let config = place.config();
    // Where the account's folder would be stands a file.
    fs::write(place.dir.path().join(place.server.app_key().replace('#', "%23")), "").unwrap();
    let connection = online(config.clone(), by_password("alice")).await;
    assert!(place.resource("alice").starts_with("rust_"));
    connection.close().await;
}

#[cfg(unix)]
#[actix::test]
async fn folders_and_files_are_for_their_owner_alone_and_nothing_else_is_in_there() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut place = Place::new().await;
    // One that the library makes.
    let outer = std::mem::replace(&mut place.dir, tempfile::tempdir().unwrap());
    let made = outer.path().join("made");
    let config = place.server.config().state_dir(StateDir::open(&made).unwrap());
    let connection = online(config, by_password("alice")).await;
    let app = made.join(place.server.app_key().replace('#', "%23"));
    let user = app.join("alice");
    until("the token's file", || user.join("token.json").exists()).await;
    connection.close().await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [&made, &app, &user] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&user).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name());
    }
    names.sort();
    assert_eq!(names, ["device.json", "token.json"]);
}

#[actix::test]
async fn a_forgotten_account_is_a_new_device_and_a_forgotten_token_is_fetched_anew() {
    let place = Place::new().await;
    let (app, alice): (_, UserId) = (place.server.app_key().parse().unwrap(), "alice".parse().unwrap());
    let first = place.visit("alice").await;
    place.state().forget_token(&app, &alice).unwrap();
    assert_eq!(place.visit("alice").await, first);
    assert_eq!(place.token_calls(), 2);
    place.state().forget(&app, &alice).unwrap();
    assert_ne!(place.visit("alice").await, first);
    assert_eq!(place.token_calls(), 3);
}
