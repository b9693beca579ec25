//! What the tests of missing rights stand on, see `support/unprivileged.rs`.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt as _};

use crate::support::unprivileged;

#[test]
fn a_test_of_missing_rights_runs_as_somebody_who_lacks_them() {
    if unprivileged::done_as_nobody(module_path!(), "a_test_of_missing_rights_runs_as_somebody_who_lacks_them") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(fs::write(dir.path().join("file"), "").unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
#[should_panic(expected = "as nobody, unprivileged::no_test_has_this_name")]
fn a_name_that_no_test_has_is_not_taken_for_a_test_that_passed() {
    if !unprivileged::done_as_nobody(module_path!(), "no_test_has_this_name") {
        panic!("as nobody, no_test_has_this_name: not root, so nothing was run elsewhere");
    }
}
