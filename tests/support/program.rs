//! An example as a child process: what it is told on stdin, what it says on stdout, and how it ends.
//!
//! A whole `cargo test` builds the examples; with `--test` or `--tests`, build them first: `cargo build --examples`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use agora_chat::local_server::LocalServer;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

pub(crate) use super::own_process::example as path;

/// How long anything may take before a test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// An example with what it needs to reach a server.
pub(crate) fn command(example: &str, server: &LocalServer) -> Command {
    let mut command = Command::new(path(example));
    command.args(["--app-key", server.app_key(), "--rest-url", &server.rest_url()]);
    command.args(["--socket-url", &server.socket_url()]);
    for variable in ["AGORA_CHAT_PASSWORD", "AGORA_CHAT_TOKEN"] {
        command.env_remove(variable);
    }
    command
}

/// A running example; it ends with the test.
pub(crate) struct Program {
    child: Child,
    /// A thread writes, since the server that the program waits for is often on this one.
    stdin: Option<Sender<Vec<u8>>>,
    stdout: Option<ChildStdout>,
    lines: Option<UnboundedReceiver<String>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it; its stdout stands unread until something is asked of it.
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_to(command, Stdio::piped())
    }

    /// Starts it with another stdout.
    pub(crate) fn start_to(command: &mut Command, stdout: Stdio) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let (mut to, stdout) = (child.stdin.take().unwrap(), child.stdout.take());
        let (stdin, written) = channel::<Vec<u8>>();
        // A program that has ended reads no more.
        std::thread::spawn(move || written.iter().all(|bytes| to.write_all(&bytes).is_ok()));
        Program { child, stdin: Some(stdin), stdout, lines: None }
    }

    /// Writes to its stdin, however slowly it reads.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stdin.as_ref().unwrap().send(bytes.as_ref().to_vec()).unwrap();
    }

    /// Ends its stdin.
    pub(crate) fn end_stdin(&mut self) {
        self.stdin.take();
    }

    /// Reads the first line of its stdout, and no more than that.
    pub(crate) async fn first_line(&mut self) -> String {
        let mut stdout = self.stdout.take().unwrap();
        let read = actix_rt::task::spawn_blocking(move || {
            // Without room for a byte of the next one.
            let mut line = Vec::new();
            BufReader::with_capacity(1, &mut stdout).read_until(b'\n', &mut line).unwrap();
            (stdout, String::from_utf8(line).unwrap())
        });
        let (stdout, line) = timeout(LIMIT, read).await.expect("a line").unwrap();
        self.stdout = Some(stdout);
        line
    }

    /// Reads the first line of its stdout and goes away as its reader.
    pub(crate) async fn leave(&mut self) -> String {
        let line = self.first_line().await;
        self.stdout.take();
        line
    }

    /// The next line of its stdout; `None` at its end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        if let Some(stdout) = self.stdout.take() {
            let (tell, lines) = unbounded_channel();
            std::thread::spawn(move || {
                BufReader::new(stdout).lines().map_while(Result::ok).all(|line| tell.send(line).is_ok())
            });
            self.lines = Some(lines);
        }
        timeout(LIMIT, self.lines.as_mut().unwrap().recv()).await.expect("a line")
    }

    /// The next line that is an event of this name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        let mut others = Vec::new();
        while let Some(line) = self.line().await {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
            others.push(line);
        }
        panic!("no {name} among {others:?}");
    }

    /// All that it still says.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(line) = self.line().await {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        rest
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// How it ended, and what it said on stderr.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let ended = actix_rt::task::spawn_blocking(move || {
            let mut told = String::new();
            stderr.read_to_string(&mut told).unwrap();
            (self.child.wait().unwrap(), told)
        });
        timeout(LIMIT, ended).await.expect("an end").unwrap()
    }

    /// Its exit status.
    pub(crate) async fn status(self) -> i32 {
        let (status, told) = self.ended().await;
        status.code().unwrap_or_else(|| panic!("{status}: {told}"))
    }
}
