//! Folders and files that others may have put there.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::Command,
};

use crate::model::account::{AppKey, Device, Token, UserId};
use crate::model::{auth::TokenGrant, error::StateError};
use crate::store::{StateDir, exposed};

fn account() -> (AppKey, UserId) {
    ("org#app".parse().unwrap(), "alice".parse().unwrap())
}

fn kept(token: &str) -> TokenGrant {
    TokenGrant::of(Token::new(token).unwrap(), None)
}

struct Place {
    dir: tempfile::TempDir,
    state: StateDir,
    folder: PathBuf,
}

impl Place {
    /// With a device and a token.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let (app, user) = account();
        state.identity(&app, &user, &Device::new("phone")).unwrap();
        state.keep_token(&app, &user, &kept("YWMtmine")).unwrap();
        Place { folder: state.place(&app, &user).path(), dir, state }
    }

    fn token(&self) -> Result<Option<TokenGrant>, StateError> {
        let (app, user) = account();
        self.state.token(&app, &user)
    }

    fn keep(&self, token: &str) -> Result<(), StateError> {
        let (app, user) = account();
        self.state.keep_token(&app, &user, &kept(token))
    }
}

/// An object in the place of a file: its name, and the function that puts it there.
type Oddity = (&'static str, Box<dyn Fn()>);

fn oddities(at: &Path, beside: &Path) -> Vec<Oddity> {
    let (at, beside) = (at.to_owned(), beside.to_owned());
    let path = |path: &PathBuf| path.clone();
    let (pipe, folder, socket, link, loose, device) =
        (path(&at), path(&at), path(&at), path(&at), path(&at), path(&at));
    let mut odd: Vec<Oddity> = vec![
        ("a pipe", Box::new(move || assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success()))),
        ("a folder", Box::new(move || fs::create_dir(&folder).unwrap())),
        ("a socket", Box::new(move || drop(UnixListener::bind(&socket).unwrap()))),
        ("a symbolic link", Box::new(move || symlink(&beside, &link).unwrap())),
        ("a symbolic link", Box::new(move || symlink("nowhere", &loose).unwrap())),
    ];
    if rustix::process::geteuid().is_root() {
        let made =
            move || assert!(Command::new("mknod").arg(&device).args(["c", "1", "5"]).status().unwrap().success());
        odd.push(("a device", Box::new(made)));
    }
    odd
}

#[test]
fn a_state_file_that_is_no_regular_file_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let beside = place.dir.path().join("real.json");
    fs::write(&beside, r#"{"version":1,"token":"YWMtplanted","expires_at":null}"#).unwrap();
    let path = place.folder.join("token.json");
    for (what, plant) in oddities(&path, &beside) {
        // While the process runs.
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        plant();
        let before = fs::symlink_metadata(&path).unwrap().file_type();
        for refused in [place.token().map(drop), place.keep("YWMtmine")] {
            let error = refused.unwrap_err();
            let StateError::Kind { found, wanted, .. } = &error else { panic!("{what}: {error:?}") };
            assert_eq!((found.as_str(), *wanted), (what, "a regular file"));
            assert!(error.to_string().contains("token.json is not used"), "{error}");
        }
        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), before, "{what}");
    }
    assert!(fs::read_to_string(&beside).unwrap().contains("planted"), "nothing is written through a link");
}

#[test]
fn a_folder_of_an_account_that_is_a_link_or_a_file_is_refused() {
    let elsewhere = Place::new();
    let (app, user) = account();
    for depth in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let folder = state.place(&app, &user).path();
        let (at, to) = if depth == 0 {
            (folder.parent().unwrap().to_owned(), elsewhere.folder.parent().unwrap().to_owned())
        } else {
            fs::create_dir(folder.parent().unwrap()).unwrap();
            (folder, elsewhere.folder.clone())
        };
        symlink(&to, &at).unwrap();
        for refused in [
            state.token(&app, &user).map(drop),
            state.keep_token(&app, &user, &kept("YWMtmine")),
            state.identity(&app, &user, &Device::new("new")).map(drop),
            state.forget_token(&app, &user),
            state.forget(&app, &user),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(&error, StateError::Kind { path, .. } if *path == at), "{error}");
        }
        fs::remove_file(&at).unwrap();
        fs::write(&at, "").unwrap();
        assert!(matches!(state.token(&app, &user), Err(StateError::Kind { .. })));
    }
    assert_eq!(elsewhere.token().unwrap(), Some(kept("YWMtmine")), "nothing was done there");
}

#[test]
fn what_belongs_to_another_user_is_refused_and_left_as_it_is() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file away.
        return;
    }
    let place = Place::new();
    let (app, user) = account();
    let app_folder = place.folder.parent().unwrap();
    let token = place.folder.join("token.json");
    for (path, is_file) in [(token.as_path(), true), (&place.folder, false), (app_folder, false)] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut refused = vec![place.token().map(drop), place.keep("YWMtother")];
        if !is_file {
            refused.extend([
                place.state.device(&app, &user).map(drop),
                place.state.identity(&app, &user, &Device::new("new")).map(drop),
                place.state.forget(&app, &user),
            ]);
        }
        for refused in refused {
            let error = refused.unwrap_err();
            let StateError::Owner { path: named, owner, user } = &error else { panic!("{error:?}") };
            assert_eq!((named.as_path(), *owner, *user), (path, NOBODY, 0));
        }
        std::os::unix::fs::chown(path, Some(0), Some(0)).unwrap();
        assert_eq!(place.token().unwrap(), Some(kept("YWMtmine")));
    }
}

#[test]
fn what_is_done_in_a_folder_is_done_there_whatever_takes_its_name_meanwhile() {
    let place = Place::new();
    let (app, user) = account();
    let folder = place.state.place(&app, &user).open().unwrap().unwrap();
    let (moved, planted) = (place.dir.path().join("moved"), place.dir.path().join("planted"));
    fs::rename(&place.folder, &moved).unwrap();
    fs::create_dir(&planted).unwrap();
    fs::write(planted.join("token.json"), "planted").unwrap();
    symlink(&planted, &place.folder).unwrap();
    assert!(folder.read_bytes("token.json", 1000).unwrap().unwrap().starts_with(b"{\"version\":1"));
    folder.replace_bytes("token.json", b"new").unwrap();
    assert_eq!(fs::read(moved.join("token.json")).unwrap(), b"new");
    assert_eq!(fs::read(planted.join("token.json")).unwrap(), b"planted");
    assert_eq!(fs::read_dir(&planted).unwrap().count(), 1);
}

#[test]
fn forgetting_an_account_removes_all_of_it_and_nothing_behind_links() {
    let place = Place::new();
    let (app, user) = account();
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "stays").unwrap();
    fs::create_dir_all(place.folder.join("dead_letters/deeper")).unwrap();
    fs::write(place.folder.join("dead_letters/deeper/file"), "").unwrap();
    symlink(&outside, place.folder.join("link")).unwrap();
    symlink(&outside, place.folder.join("dead_letters/link")).unwrap();
    place.state.forget(&app, &user).unwrap();
    assert!(!place.folder.exists());
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "stays");
    place.state.forget(&app, &user).unwrap();
}

#[test]
fn a_folder_that_others_may_write_is_told_from_one_that_they_may_not() {
    let dir = tempfile::tempdir().unwrap();
    let (outer, inner) = (dir.path().join("outer"), dir.path().join("outer/inner"));
    fs::create_dir_all(&inner).unwrap();
    let modes = |of_outer, of_inner| {
        fs::set_permissions(&inner, fs::Permissions::from_mode(of_inner)).unwrap();
        fs::set_permissions(&outer, fs::Permissions::from_mode(of_outer)).unwrap();
        exposed(&inner)
    };
    assert_eq!(modes(0o700, 0o700), None);
    assert_eq!(modes(0o755, 0o755), None);
    // In a folder with the sticky bit others cannot touch our entries, but anybody can create one first.
    for mode in [0o777, 0o1777, 0o733] {
        let how = modes(0o700, mode).unwrap();
        assert!(how.contains(&format!("inner (mode {mode:04o})")), "{how}");
    }
    assert!(modes(0o777, 0o700).unwrap().contains("outer (mode 0777)"));
    assert_eq!(modes(0o1777, 0o700), None);
    assert_eq!(exposed(&dir.path().join("missing")), None);
    // The group of one's own is no other one.
    assert_eq!(modes(0o770, 0o770), None);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&inner, None, Some(65_534)).unwrap();
        assert!(modes(0o700, 0o770).unwrap().contains("group 65534"));
        std::os::unix::fs::chown(&inner, Some(65_534), None).unwrap();
        assert!(modes(0o700, 0o700).unwrap().contains("belongs to user 65534"));
    }
}

/// Needs a file system of its own, which root may mount where nothing forbids it.
#[test]
fn a_full_disk_keeps_the_former_file_and_leaves_no_part_of_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(dir.path()).output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let state = StateDir::open(dir.path()).unwrap();
        let (app, user) = account();
        state.keep_token(&app, &user, &kept("YWMtmine")).unwrap();
        let filled = fs::write(dir.path().join("filler"), vec![0_u8; 1 << 20]);
        assert!(filled.is_err());
        let error = state.keep_token(&app, &user, &kept(&"n".repeat(30_000))).unwrap_err();
        assert!(matches!(&error, StateError::Io { doing: "write", .. }), "{error}");
        assert_eq!(state.token(&app, &user).unwrap(), Some(kept("YWMtmine")));
        assert_eq!(fs::read_dir(state.place(&app, &user).path()).unwrap().count(), 1);
        fs::remove_file(dir.path().join("filler")).unwrap();
        state.keep_token(&app, &user, &kept("YWMtnext")).unwrap();
    });
    assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
    outcome.unwrap();
}
