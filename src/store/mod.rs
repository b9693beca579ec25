//! State that outlives the process: the device's identity, the token while it lasts, and cursors.

mod cursor;
mod cursor_table;
mod file_cursors;

pub use cursor::{Cursor, CursorError, CursorFuture, CursorStore};
pub(crate) use cursor::{Cursors, load, save};
pub(crate) use cursor_table::CursorTable;
pub use file_cursors::FileCursors;

use crate::model::{
    account::{AppKey, Device, Token, UserId},
    auth::{Expiry, TokenGrant},
    error::StateError,
};
mod file;
mod folder;
mod system;

#[cfg(test)]
#[cfg(unix)]
use folder::exposed;
pub(crate) use folder::{Folder, FolderPath, Listed, open_regular, regular, tell_exposed, tell_exposed_soon};
use serde::{Deserialize, Serialize};
use std::{fs::DirBuilder, path::Path, sync::Arc};

/// Folder that keeps accounts over restarts; given to [`ConfigBuilder::state_dir`](crate::ConfigBuilder::state_dir).
///
/// It keeps the device's identity, so that the service sees one device, and the token, so that a login by password
/// needs no REST call while it lasts.
///
/// | File | Holds |
/// |---|---|
/// | `APP/USER/device.json` | resource and device id; made at the first login, then left as it is |
/// | `APP/USER/token.json` | the token in use and its end; rewritten after a login and a renewal |
///
/// `APP` and `USER` are app key and user id, with `%` and two hexadecimal digits for every byte but `a-z`, `0-9`, `_`
/// and `-`. Folders are created with mode 0700 and files with 0600 (on Unix), since the token is stored in plain text
/// and is as good as a password while it lasts. Files are JSON with a version, at most 64 KiB, and written whole or not
/// at all, so processes that share a folder never see a torn one: the first identity stays, the last token wins. Two
/// programs online at once with one account still need two folders, or they push each other out.
///
/// A damaged file is renamed to `….damaged` (the newest one is kept), and its content is made or fetched anew. Anything
/// but a regular file (a pipe, a device, a link), and folders and files of another user than the process's (on Unix),
/// are neither used nor replaced, since somebody else may have put them there. The folder itself may be anybody's, such
/// as that of a volume: where others may write in it, the log says so once.
///
/// No failure of files keeps a connection from going online: it is logged, and the login goes on as a new device and
/// without a stored token. So does a login whose disk has not answered for 5 s.
///
/// The token is removed when it is refused or has ended, when the user is removed (207) and when the password is
/// changed (216). `close` keeps it for a restart, and completes once it is written. [`StateDir::forget_token`] removes
/// it.
///
/// ```no_run
/// use agora_chat::{Config, StateDir};
/// let config = Config::builder("org#app").state_dir(StateDir::open("/var/lib/bot")?).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    path: Arc<Path>,
}

const DEVICE: &str = "device.json";

const TOKEN: &str = "token.json";

/// Size limit of a file, in bytes.
const LARGEST: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct DeviceFile {
    resource: String,
    uuid: String,
}

#[derive(Serialize, Deserialize)]
struct TokenFile {
    token: String,
    expires_at: Option<u64>,
}

impl StateDir {
    /// Opens a folder, and creates it where it is missing. A relative path is resolved now.
    ///
    /// This method and the others here block on the disk.
    ///
    /// # Errors
    /// [`StateError::Io`] where it cannot be created or is no folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = path.as_ref();
        let absolute = std::path::absolute(path).map_err(StateError::io("find", path))?;
        make_private(&absolute)?;
        Ok(StateDir { path: absolute.into() })
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the device identity of the account; `None` before its first login.
    ///
    /// # Errors
    /// [`StateError::Damaged`] for a damaged file, which is set aside; [`StateError::Owner`] for a file of another
    /// user; [`StateError::Kind`] for anything but a file; [`StateError::Io`] where it cannot be read.
    pub fn device(&self, app_key: &AppKey, user: &UserId) -> Result<Option<Device>, StateError> {
        self.place(app_key, user).open()?.map_or(Ok(None), |folder| device(&folder))
    }

    /// Removes the account's token, so that the next login by password fetches a new one.
    ///
    /// # Errors
    /// [`StateError::Io`] where it cannot be removed; none where there is none.
    pub fn forget_token(&self, app_key: &AppKey, user: &UserId) -> Result<(), StateError> {
        match self.place(app_key, user).open()? {
            Some(folder) => folder.remove(TOKEN).map(drop),
            None => Ok(()),
        }
    }

    /// Removes everything about the account, including damaged files, cursors and dead letters in its folder: its next
    /// login is one of a new device.
    ///
    /// # Errors
    /// [`StateError::Io`] where it cannot be removed; none where there is none.
    pub fn forget(&self, app_key: &AppKey, user: &UserId) -> Result<(), StateError> {
        self.place(app_key, user).open()?.map_or(Ok(()), Folder::remove_all)
    }

    /// Returns the stored identity; without one, stores and returns `new`, unless another process was first.
    pub(crate) fn identity(&self, app_key: &AppKey, user: &UserId, new: &Device) -> Result<Device, StateError> {
        let folder = self.make_account(app_key, user)?;
        if let Some(kept) = device(&folder)? {
            return Ok(kept);
        }
        let content = DeviceFile { resource: new.resource.clone(), uuid: new.uuid.clone() };
        if folder.create(DEVICE, &content)? {
            return Ok(new.clone());
        }
        Ok(device(&folder)?.unwrap_or_else(|| new.clone()))
    }

    /// Returns the stored token, even one whose end has passed.
    pub(crate) fn token(&self, app_key: &AppKey, user: &UserId) -> Result<Option<TokenGrant>, StateError> {
        let Some(folder) = self.place(app_key, user).open()? else { return Ok(None) };
        folder.read(TOKEN, LARGEST, |kept: TokenFile| {
            let token = Token::new(kept.token).map_err(|_| "its token cannot be one")?;
            Ok(TokenGrant::of(token, kept.expires_at.map(Expiry::At)))
        })
    }

    pub(crate) fn keep_token(&self, app_key: &AppKey, user: &UserId, kept: &TokenGrant) -> Result<(), StateError> {
        let content = TokenFile { token: kept.token.expose().to_owned(), expires_at: kept.ends_at() };
        self.make_account(app_key, user)?.replace(TOKEN, &content)
    }

    /// Returns the account's folder.
    pub(crate) fn place(&self, app_key: &AppKey, user: &UserId) -> FolderPath {
        FolderPath::of(&self.path, app_key, user)
    }

    fn make_account(&self, app_key: &AppKey, user: &UserId) -> Result<Folder, StateError> {
        let folder = self.place(app_key, user).make()?;
        folder.remove_leftovers();
        Ok(folder)
    }
}

fn device(folder: &Folder) -> Result<Option<Device>, StateError> {
    folder.read(DEVICE, LARGEST, |kept: DeviceFile| {
        let mut device = Device::new(kept.resource);
        device.uuid = kept.uuid;
        device.check().map(|()| device).map_err(|_| "its resource or id cannot be one")
    })
}

/// Returns a file name that differs for different texts, also on file systems that ignore case, and never leads out of
/// the folder.
pub(crate) fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            odd => name.push_str(&format!("%{odd:02x}")),
        }
    }
    name
}

pub(crate) fn make_private(path: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path).map_err(StateError::io("make the folder", path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Expiry, StateDir, StateError, TokenGrant, file_name};
    use crate::model::account::{AppKey, Device, Token, UserId};

    fn account() -> (AppKey, UserId) {
        ("Org#app.1".parse().unwrap(), "a.lice".parse().unwrap())
    }

    fn kept(token: &str, expires_at: Option<u64>) -> TokenGrant {
        TokenGrant::of(Token::new(token).unwrap(), expires_at.map(Expiry::At))
    }

    #[test]
    fn names_are_safe_and_differ_where_texts_differ() {
        assert_eq!(file_name("Org#app.1"), "%4frg%23app%2e1");
        assert_eq!(file_name(".."), "%2e%2e");
        assert_eq!(file_name("a\\b:c"), "a%5cb%3ac");
        assert_ne!(file_name("Org").to_lowercase(), file_name("org").to_lowercase());
    }

    #[test]
    fn the_first_identity_stays_and_the_last_token_wins() {
        let dir = tempfile::tempdir().unwrap();
        let (app, user) = account();
        let state = StateDir::open(dir.path().join("made/here")).unwrap();
        assert_eq!(state.device(&app, &user).unwrap(), None);
        assert_eq!(state.identity(&app, &user, &Device::new("first")).unwrap().resource, "first");
        assert_eq!(state.identity(&app, &user, &Device::new("second")).unwrap().resource, "first");
        assert_eq!(state.token(&app, &user).unwrap(), None);
        for token in [kept("one", Some(7)), kept("two", None)] {
            state.keep_token(&app, &user, &token).unwrap();
            assert_eq!(state.token(&app, &user).unwrap(), Some(token));
        }
        state.forget_token(&app, &user).unwrap();
        state.forget_token(&app, &user).unwrap();
        assert_eq!(state.token(&app, &user).unwrap(), None);
        assert_eq!(state.device(&app, &user).unwrap().unwrap().resource, "first");
        state.forget(&app, &user).unwrap();
        state.forget(&app, &user).unwrap();
        assert_eq!(state.device(&app, &user).unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_reported_once_without_its_content_and_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let (app, user) = account();
        let state = StateDir::open(dir.path()).unwrap();
        state.make_account(&app, &user).unwrap();
        let path = state.place(&app, &user).path().join("token.json");
        let large = format!(r#"{{"version":1,"token":"{}"}}"#, "CANARY".repeat(20_000));
        for damage in [
            "",
            "CANARY",
            r#"{"version":1,"token":"CANARY"#,
            r#"{"version":99,"token":"CANARY","expires_at":1}"#,
            r#"{"version":"CANARY"}"#,
            r#"{"version":1,"token":"CANARY","expires_at":"CANARY"}"#,
            r#"{"version":1,"token":"CANARY ","expires_at":1}"#,
            &large,
        ] {
            fs::write(&path, damage).unwrap();
            let error = state.token(&app, &user).unwrap_err();
            let StateError::Damaged { aside, .. } = &error else { panic!("{error:?}") };
            assert_eq!(fs::read_to_string(aside).unwrap(), damage);
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
            assert_eq!(state.token(&app, &user).unwrap(), None);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    /// Each thread with a folder of its own opening, as processes have.
    #[test]
    fn readers_beside_many_writers_never_see_a_torn_file_and_agree_on_one_identity() {
        let dir = tempfile::tempdir().unwrap();
        let (app, user) = account();
        let tokens: Vec<_> = (1..=4).map(|n| kept(&format!("{n}").repeat(n * 3_000), Some(n as u64))).collect();
        StateDir::open(dir.path()).unwrap().keep_token(&app, &user, &tokens[0]).unwrap();
        let resources: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = tokens
                .iter()
                .map(|mine| {
                    let (app, user, tokens, dir) = (&app, &user, &tokens, dir.path());
                    scope.spawn(move || {
                        let state = StateDir::open(dir).unwrap();
                        for _ in 0..25 {
                            state.keep_token(app, user, mine).unwrap();
                            let seen = state.token(app, user).unwrap().unwrap();
                            assert!(tokens.contains(&seen), "torn");
                        }
                        state.identity(app, user, &Device::default()).unwrap().resource
                    })
                })
                .collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(resources.iter().all(|resource| *resource == resources[0]), "{resources:?}");
        let account = StateDir::open(dir.path()).unwrap().place(&app, &user).path();
        assert_eq!(fs::read_dir(account).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn what_a_dead_process_left_half_written_is_removed_with_the_next_write() {
        let dir = tempfile::tempdir().unwrap();
        let (app, user) = account();
        let state = StateDir::open(dir.path()).unwrap();
        state.make_account(&app, &user).unwrap();
        let account = state.place(&app, &user).path();
        let (old, new) = (account.join("token.json.0.tmp"), account.join("token.json.1.tmp"));
        let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        fs::File::create(&old).unwrap().set_modified(hour_ago).unwrap();
        fs::write(&new, "under way").unwrap();
        state.keep_token(&app, &user, &kept("one", None)).unwrap();
        assert!(!old.exists());
        assert!(new.exists(), "another process is at it");
    }

    #[test]
    fn a_folder_that_is_a_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = StateDir::open(file.path()).unwrap_err();
        assert!(matches!(&error, StateError::Io { path, .. } if path == file.path()), "{error:?}");
    }
}
