//! What the benches of memory share: parts of a bench in processes of their own, and what a process takes.

use std::{
    env, fs,
    io::{self, Read as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// This program, with the same arguments, in the part that a variable of this name says.
pub(crate) fn again(name: &str, part: &str, stdin: Stdio) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(env::args().skip(1)).env(name, part).stdin(stdin);
    if part == "server" {
        command.stdout(Stdio::piped());
    }
    command.spawn().unwrap()
}

/// Waits until whoever started this process has gone.
pub(crate) async fn until_alone() {
    let gone = actix_rt::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    let _ = gone.await;
}

/// Answers to the first heartbeats are under way.
pub(crate) async fn settle() {
    actix_rt::time::sleep(Duration::from_millis(300)).await;
}

/// Resident memory in bytes. Linux only: nothing else counts so exactly.
pub(crate) fn resident() -> u64 {
    let all = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = all.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}
