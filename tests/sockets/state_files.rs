//! State folders in which somebody else has been: what is not this process's own is not used, and stops nobody.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use agora_chat::{
    Account, ConfigBuilder, Connection, Credentials, LogConfig, LogHandle, LogLevel, StateDir,
    account::AccountKey,
    delivery::{DeadLetterError, FileDeadLetters},
    errors::StateError,
    local_server::LocalServer,
    logger::Terminal,
    store::{Cursor, CursorStore as _, FileCursors},
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::support::unprivileged;

const LIMIT: Duration = Duration::from_secs(10);
const NOBODY: u32 = 65_534;

/// At 30 s, whoever waits for a file that does not answer.
const SOON: Duration = Duration::from_secs(4);

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

struct Place {
    server: LocalServer,
    dir: TempDir,
    captured: Captured,
    log: LogHandle,
}

impl Place {
    async fn new() -> Self {
        let server = LocalServer::start().await.unwrap();
        for user in ["alice", "bob"] {
            server.create_user(user, "pw").unwrap();
        }
        let captured = Captured::default();
        let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Warn).writer(captured.clone());
        Place { server, dir: tempfile::tempdir().unwrap(), captured, log: LogHandle::start(log).unwrap() }
    }

    fn config(&self) -> ConfigBuilder {
        self.server.config().state_dir(StateDir::open(self.dir.path()).unwrap()).logger(self.log.slog())
    }

    fn app(&self) -> PathBuf {
        self.dir.path().join(self.server.app_key().replace('#', "%23"))
    }

    fn account(&self, user: &str) -> AccountKey {
        AccountKey::new(self.server.app_key().parse().unwrap(), user.parse().unwrap())
    }

    fn token_calls(&self) -> usize {
        self.server.rest_calls().iter().filter(|call| call.path.ends_with("/token")).count()
    }

    async fn online(&self, user: &str) -> Connection {
        let connection = Connection::start(self.config().build().unwrap()).unwrap();
        let opened = connection.open(Credentials::password(user, "pw").unwrap());
        timeout(SOON, opened).await.expect("it waits for no file").unwrap();
        connection
    }

    fn resource(&self, user: &str) -> String {
        self.server.sessions(user)[0].resource.clone()
    }

    fn warnings(&self) -> String {
        self.log.flush_blocking(LIMIT).unwrap();
        String::from_utf8(std::mem::take(&mut *self.captured.0.lock().unwrap())).unwrap()
    }

    /// A token that the server takes and a device, as a thief would plant them.
    fn plant(&self, user: &str) -> String {
        let token = self.server.issue_token(user, None).unwrap();
        let folder = self.app().join(user);
        fs::create_dir_all(&folder).unwrap();
        let kept = serde_json::json!({"version": 1, "token": token, "expires_at": null});
        fs::write(folder.join("token.json"), kept.to_string()).unwrap();
        let device = serde_json::json!({"version": 1, "resource": "planted", "uuid": "planted"});
        fs::write(folder.join("device.json"), device.to_string()).unwrap();
        token
    }
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// How late a thread comes to its work at most while something is done.
async fn lateness(done: impl Future<Output = ()>) -> Duration {
    let late = Arc::new(Mutex::new(Duration::ZERO));
    let seen = Arc::clone(&late);
    let ticking = actix_rt::spawn(async move {
        loop {
            let due = Instant::now() + Duration::from_millis(5);
            sleep(Duration::from_millis(5)).await;
            let mut late = seen.lock().unwrap();
            *late = (*late).max(due.elapsed());
        }
    });
    done.await;
    ticking.abort();
    *late.lock().unwrap()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[actix::test]
async fn state_files_that_are_pipes_stop_neither_their_accounts_nor_the_thread_and_take_no_threads() {
    const USERS: usize = 60;
    let place = Place::new().await;
    let bob = place.online("bob").await;
    let before = threads();
    for n in 0..USERS {
        let folder = place.app().join(format!("user-{n}"));
        fs::create_dir_all(&folder).unwrap();
        place.server.create_user(&format!("user-{n}"), "pw").unwrap();
        for file in ["token.json", "device.json", "cursors.json"] {
            pipe(&folder.join(file));
        }
    }
    let cursors = Arc::new(FileCursors::open(place.dir.path()).unwrap());
    let mut most = 0;
    let late = lateness(async {
        for round in 0..3 {
            let opening: Vec<_> = (0..USERS)
                .map(|n| {
                    let (config, cursors) = (place.config(), Arc::clone(&cursors));
                    actix_rt::spawn(async move {
                        let connection = Connection::start(config.build().unwrap()).unwrap();
                        let account = Account::new(Credentials::password(&format!("user-{n}"), "pw").unwrap());
                        connection.open(account.cursor_store(cursors)).await.unwrap();
                        connection
                    })
                })
                .collect();
            for opening in opening {
                let connection = timeout(LIMIT, opening).await.unwrap().unwrap();
                most = most.max(threads());
                connection.close().await;
            }
            assert_eq!(place.token_calls(), 1 + USERS * (round + 1), "each fetches its token by password");
        }
    })
    .await;
    assert!(most <= before + 20, "{most} threads, {before} before");
    assert!(late < Duration::from_millis(450), "the thread was {late:?} late");
    assert_eq!(bob.state(), agora_chat::ConnectionState::Online);
    let said = place.warnings();
    for file in ["token.json", "device.json", "cursors.json"] {
        let folder = place.app().join("user-7");
        assert!(fs::symlink_metadata(folder.join(file)).unwrap().file_type().is_fifo(), "it is left as it is");
        assert!(said.contains(&format!("user-7/{file} is not used, for it is a pipe")), "{said}");
    }
    bob.close().await;
}

#[actix::test]
async fn a_folder_and_files_of_another_user_are_not_used_and_the_login_goes_on_as_another_device() {
    if !nix::unistd::geteuid().is_root() {
        // Nobody else can give a file away.
        return;
    }
    let place = Place::new().await;
    let user = place.app().join("alice");
    for planted in
        [vec![place.app(), user.clone()], vec![user.clone()], vec![user.join("token.json"), user.join("device.json")]]
    {
        place.plant("alice");
        // Made beforehand, for everybody to write.
        for path in [place.app(), user.clone()] {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
            chown(&path, Some(0), Some(0)).unwrap();
        }
        for path in &planted {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let calls = place.token_calls();
        let connection = place.online("alice").await;
        assert_ne!(place.resource("alice"), "planted");
        assert_eq!(place.token_calls(), calls + 1, "the token is fetched by password");
        connection.close().await;
        let said = place.warnings();
        let named = format!("{} is not used, for it belongs to user {NOBODY}", planted[0].display());
        assert!(said.contains(&named), "{named}: {said}");
        assert!(fs::read_to_string(user.join("device.json")).unwrap().contains("planted"), "nothing is replaced");
    }

    // What is this process's own is used, whoever may write there.
    chown(user.join("token.json"), Some(0), Some(0)).unwrap();
    chown(user.join("device.json"), Some(0), Some(0)).unwrap();
    let calls = place.token_calls();
    let connection = place.online("alice").await;
    assert_eq!((place.resource("alice").as_str(), place.token_calls()), ("planted", calls));
    connection.close().await;
}

#[test]
fn a_process_that_is_not_root_uses_what_is_its_own() {
    if unprivileged::done_as_nobody(module_path!(), "a_process_that_is_not_root_uses_what_is_its_own") {
        return;
    }
    actix::System::new().block_on(async {
        let place = Place::new().await;
        place.plant("alice");
        let connection = place.online("alice").await;
        assert_eq!((place.resource("alice").as_str(), place.token_calls()), ("planted", 0));
        connection.close().await;
        assert_eq!(place.warnings(), "");
    });
}

#[actix::test]
async fn a_folder_of_an_account_that_is_a_link_is_not_used() {
    let place = Place::new().await;
    place.plant("alice");
    let away = place.dir.path().join("away");
    fs::rename(place.app().join("alice"), &away).unwrap();
    symlink(&away, place.app().join("alice")).unwrap();
    let connection = place.online("alice").await;
    assert_ne!(place.resource("alice"), "planted");
    assert_eq!(place.token_calls(), 1);
    connection.close().await;
    let said = place.warnings();
    assert!(said.contains("alice is not used, for it is a symbolic link and not a folder"), "{said}");
    assert_eq!(fs::read_dir(&away).unwrap().count(), 2);
}

#[actix::test]
async fn a_folder_that_others_may_write_is_used_and_told_of_once() {
    for mode in [0o777, 0o1777] {
        let place = Place::new().await;
        fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let mut resources = Vec::new();
        for user in ["alice", "bob", "alice"] {
            let connection = place.online(user).await;
            resources.push(place.resource(user));
            connection.close().await;
        }
        assert_eq!(resources[0], resources[2], "it is used");
        let said = place.warnings();
        assert_eq!(said.matches("others may write").count(), 1, "{said}");
        assert!(said.contains(&format!("{mode:04o}")), "{said}");
        // What is made in there is for its owner alone.
        assert_eq!(fs::metadata(place.app()).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let place = Place::new().await;
    place.online("alice").await.close().await;
    assert_eq!(place.warnings(), "", "there is nothing to tell of a folder of one's own");

    // Of the other stores' folders as well.
    let folder = tempfile::tempdir().unwrap();
    let cursors = FileCursors::open(folder.path()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let connection = Connection::start(place.config().build().unwrap()).unwrap();
    let account = Account::new(Credentials::password("alice", "pw").unwrap()).cursor_store(Arc::new(cursors));
    connection.open(account).await.unwrap();
    let began = Instant::now();
    while !place.warnings().contains("others may write") {
        assert!(began.elapsed() < LIMIT);
        sleep(Duration::from_millis(5)).await;
    }
    connection.close().await;
}

#[actix::test]
async fn a_token_file_that_becomes_a_pipe_while_the_session_runs_stops_nothing() {
    let place = Place::new().await;
    let file = place.app().join("alice/token.json");
    let connection = place.online("alice").await;
    let kept = async {
        while !file.exists() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, kept).await.unwrap();
    fs::remove_file(&file).unwrap();
    pipe(&file);
    let renewed = place.server.issue_token("alice", Some(Duration::from_secs(3600))).unwrap();
    timeout(SOON, connection.renew_token(renewed)).await.unwrap().unwrap();
    connection.close().await;
    place.online("alice").await.close().await;
    let said = place.warnings();
    assert!(said.contains("the token is not kept over a restart"), "{said}");
    assert!(said.contains("the kept token cannot be used"), "{said}");
    assert!(fs::symlink_metadata(&file).unwrap().file_type().is_fifo());
}

#[actix::test]
async fn keys_and_dead_letters_of_somebody_else_are_refused_typed_and_soon() {
    let place = Place::new().await;
    let alice = place.account("alice");
    let folder = place.app().join("alice");
    fs::create_dir_all(&folder).unwrap();
    pipe(&folder.join("cursors.json"));
    pipe(&folder.join("dead_letters"));
    let (cursors, letters) =
        (FileCursors::open(place.dir.path()).unwrap(), FileDeadLetters::open(place.dir.path()).unwrap());
    let began = Instant::now();
    let error = cursors.load(&alice).await.unwrap_err();
    assert!(matches!(&error, agora_chat::store::CursorError::File(StateError::Kind { .. })), "{error}");
    let error = cursors.save(&alice, &Cursor::new("queue", 1)).await.unwrap_err();
    assert!(matches!(&error, agora_chat::store::CursorError::File(StateError::Kind { .. })), "{error}");
    let error = letters.list(&alice).await.unwrap_err();
    assert!(matches!(&error, DeadLetterError::File(StateError::Kind { .. })), "{error}");
    assert!(began.elapsed() < SOON);
    if nix::unistd::geteuid().is_root() {
        fs::remove_file(folder.join("cursors.json")).unwrap();
        let planted = r#"{"version":1,"cursors":[{"queue":"queue","key":7}]}"#;
        fs::write(folder.join("cursors.json"), planted).unwrap();
        chown(folder.join("cursors.json"), Some(NOBODY), None).unwrap();
        let error = cursors.load(&alice).await.unwrap_err();
        assert!(matches!(&error, agora_chat::store::CursorError::File(StateError::Owner { .. })), "{error}");

        // A letter that another user put there is none: it neither stops a replay nor counts.
        fs::remove_file(folder.join("dead_letters")).unwrap();
        fs::create_dir(folder.join("dead_letters")).unwrap();
        let name = "0000000000000001-0000000000000002-0000000000000003.letter";
        fs::write(folder.join("dead_letters").join(name), "planted").unwrap();
        assert_eq!(letters.list(&alice).await.unwrap().len(), 1);
        chown(folder.join("dead_letters").join(name), Some(NOBODY), None).unwrap();
        assert_eq!(letters.list(&alice).await.unwrap(), []);
    }
}
