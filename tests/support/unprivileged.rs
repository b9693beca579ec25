//! Tests of what a user may not do, such as writing into somebody else's folder: root may do everything, so a test that
//! runs as root is run once more, as a user who owns nothing.
//!
//! ```ignore
//! use crate::support::unprivileged;
//!
//! #[test]
//! fn a_folder_one_may_not_write_is_said() {
//!     if unprivileged::done_as_nobody(module_path!(), "a_folder_one_may_not_write_is_said") {
//!         return;
//!     }
//!     // From here on this is no root.
//! }
//! ```

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use super::own_process::full_name;

/// The user and group `nobody` of every Unix.
const NOBODY: u32 = 65_534;

/// Runs the test of this name as `nobody` where this process is root; `false` where it is not, and the caller goes on.
///
/// `module` is the `module_path!()` of the test.
///
/// # Panics
/// If the test fails there, or if there is none of that name.
pub(crate) fn done_as_nobody(module: &str, test: &str) -> bool {
    let test = full_name(module, test);
    if !nix::unistd::geteuid().is_root() {
        return false;
    }
    // The folder this binary is in may be closed to others.
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("test");
    fs::copy(env::current_exe().unwrap(), &binary).unwrap();
    for path in [dir.path(), &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(&binary);
    command.args(["--exact", &test, "--include-ignored", "--nocapture"]).current_dir("/");
    // Dropping the user drops root's groups as well.
    let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && told.contains("1 passed");
    assert!(passed, "as nobody, {test}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
    true
}
