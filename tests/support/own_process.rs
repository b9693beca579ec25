//! Tests as processes of their own: for what is counted for a whole process, and for what ends one.

use std::{
    env,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};

/// Set for a test that runs in a process of its own.
const ALONE: &str = "AGORA_CHAT_TEST_ALONE";

/// The name that a test's binary knows a test by, from its module's path and its own name.
pub(crate) fn full_name(module: &str, test: &str) -> String {
    let within = module.split_once("::").map_or("", |(_, within)| within);
    format!("{within}::{test}")
}

/// A command that runs one test of this binary, by its full name.
pub(crate) fn command(full_name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", full_name, "--include-ignored", "--nocapture"]);
    command
}

/// The program of an example, where `cargo test` puts it.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is not there; `cargo build --examples` first", program.display());
    program
}

/// Runs the calling test in a process of its own, one such test at a time; `false` in that process, where the caller goes
/// on.
///
/// # Panics
/// If the test fails there.
pub(crate) fn done_alone() -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if env::var_os(ALONE).is_some() {
        return false;
    }
    // The test runner names each test's thread after it, unless it runs all of them on its own.
    let thread = std::thread::current();
    let Some(test) = thread.name().filter(|name| *name != "main") else { return false };
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let output = command(test).env(ALONE, "1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    show(&told);
    let passed = output.status.success() && told.contains("1 passed");
    assert!(passed, "in a process of its own, {test}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// Shows what a test said in its own process, where the runner shows output.
#[allow(clippy::print_stdout, reason = "what the runner captures")]
fn show(told: &str) {
    // Those of the child's runner would be counted as tests of their own.
    told.lines().filter(|line| !line.starts_with("test ")).for_each(|line| println!("{line}"));
}
