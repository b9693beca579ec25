//! What stdin asks for, from its line to its answer.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
    time::Duration,
};

use agora_chat::{Connection, ConnectionState, LogHandle, LogLevel, SendError, Sent};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    commands::{Ask, Asked, Command, LONGEST, What, help, parse},
    lines::{self, Line},
    out::Out,
    tell::{Failure, Told, failed, line, numbered, plain},
};

/// How many commands may be under way: as many as may be kept when the link is lost, by default.
const WINDOW: usize = 256;

/// How many bytes of commands may be under way: half of what may wait to be written, by default.
const WINDOW_BYTES: usize = 4 << 20;

/// How many renewals may be under way.
const RENEWALS: usize = 8;

/// How many bytes of commands may wait for their turn; past it stdin is not read on.
const WAITING: usize = 8 << 20;

/// What a waiting command takes beside its line, in bytes, about.
const EACH: usize = 128;

/// The commands of this program's one session.
pub(crate) struct Session {
    connection: Connection,
    log: LogHandle,
    out: Out,
    as_json: bool,
    /// Whether the end of stdin ends nothing.
    stays: bool,
    pub(crate) logged_in: bool,
    lines: mpsc::Receiver<Line>,
    /// What stdin has asked for.
    input: Input,
    /// Whether stdin may bring more.
    open: bool,
    waiting: VecDeque<Command<Ask>>,
    waiting_bytes: usize,
    under_way: JoinSet<Done>,
    under_way_bytes: usize,
    renewals: usize,
    failed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Nothing has come yet.
    Silent,
    Commands,
    /// `quit`, or the end after commands.
    Quit,
    /// `close`.
    Close,
}

/// A command that was under way.
struct Done {
    asked: Asked,
    answer: Result<Told, Failure>,
    bytes: usize,
    renewal: bool,
}

impl Session {
    pub(crate) fn new(connection: Connection, log: LogHandle, out: Out, as_json: bool, stays: bool) -> Self {
        Session {
            connection,
            log,
            out,
            as_json,
            stays,
            logged_in: false,
            lines: lines::of_stdin(LONGEST),
            input: Input::Silent,
            open: true,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            under_way: JoinSet::new(),
            under_way_bytes: 0,
            renewals: 0,
            failed: false,
        }
    }

    /// Whether stdin asked for the end, and nothing is before it.
    pub(crate) fn is_done(&self) -> bool {
        match self.input {
            Input::Close => true,
            Input::Quit => self.waiting.is_empty() && self.under_way.is_empty(),
            _ => false,
        }
    }

    /// The exit status, where the end itself deserves this one.
    pub(crate) fn status(&self, of_the_end: u8) -> u8 {
        if of_the_end == super::CLOSED && self.failed { super::COMMAND_FAILED } else { of_the_end }
    }

    /// Begins the commands that need not wait any longer, in their order.
    pub(crate) fn begin_what_can(&mut self) {
        while let Some(next) = self.waiting.front() {
            let fits = self.under_way.is_empty()
                || (self.under_way.len() < WINDOW && self.under_way_bytes + next.bytes <= WINDOW_BYTES);
            let can = match next.what {
                // A message that is kept for a lost link fails after a minute; here it waits for as long as it takes.
                Ask::Send { .. } | Ask::Cmd { .. } => self.connection.state() == ConnectionState::Online,
                Ask::Renew(_) => self.renewals < RENEWALS,
            };
            if !self.logged_in || !fits || !can || self.out.is_behind() {
                return;
            }
            if let Some(command) = self.waiting.pop_front() {
                self.waiting_bytes -= command.bytes + EACH;
                self.begin(command);
            }
        }
    }

    fn begin(&mut self, Command { what, asked, bytes }: Command<Ask>) {
        let renewal = matches!(what, Ask::Renew(_));
        self.renewals += usize::from(renewal);
        self.under_way_bytes += bytes;
        let connection = self.connection.clone();
        let mut doing = Box::pin(async move {
            let answer = obey(what, &connection).await;
            Done { asked, answer, bytes, renewal }
        });
        // It is begun here, so that the order is that of the lines, whatever the order of tasks.
        match doing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => self.done(done),
            Poll::Pending => drop(self.under_way.spawn_local(doing)),
        }
    }

    /// Goes on with whatever is next: a line, or the end of a command.
    pub(crate) async fn next(&mut self) {
        let reads = self.open && self.waiting_bytes < WAITING;
        let blocked = self.out.is_behind() && !self.waiting.is_empty();
        tokio::select! {
            Some(done) = self.under_way.join_next(), if !self.under_way.is_empty() => {
                if let Ok(done) = done {
                    self.done(done);
                }
            }
            next = self.lines.recv(), if reads => match next {
                Some(line) => self.take(line),
                None => {
                    self.open = false;
                    if self.input == Input::Commands && !self.stays {
                        self.input = Input::Quit;
                    }
                }
            },
            () = self.out.has_room(), if blocked => {}
            else => std::future::pending().await,
        }
    }

    fn take(&mut self, line: Line) {
        let command = match parse(line) {
            Ok(None) => return,
            Ok(Some(command)) => command,
            Err(answer) => {
                self.heard(Input::Commands);
                return self.fail(answer);
            }
        };
        let Command { what, asked, bytes } = command;
        let answer = match what {
            What::Ask(_) if self.input == Input::Quit => {
                return self.fail(asked.answered(failed(plain("this stands behind `quit`; nothing was done"))));
            }
            What::Ask(what) => {
                self.heard(Input::Commands);
                self.waiting_bytes += bytes + EACH;
                return self.waiting.push_back(Command { what, asked, bytes });
            }
            What::Close => return self.input = Input::Close,
            What::Quit => return self.heard(Input::Quit),
            What::State => {
                let state = self.connection.state();
                let object = json!({"event": "state", "state": json!(state).get("state")});
                (object, format!("The connection is {state}."))
            }
            What::Level => level(self.log.level()),
            What::SetLevel(wanted) => {
                self.log.set_level(wanted);
                level(wanted)
            }
            What::Help => help(),
        };
        self.heard(Input::Commands);
        self.tell(asked.answered(answer));
    }

    fn heard(&mut self, input: Input) {
        if matches!(self.input, Input::Silent | Input::Commands) {
            self.input = input;
        }
    }

    fn done(&mut self, Done { asked, answer, bytes, renewal }: Done) {
        self.under_way_bytes -= bytes;
        self.renewals -= usize::from(renewal);
        match answer {
            Ok(told) => self.tell(asked.answered(told)),
            Err(failure) => self.fail(asked.answered(failed(failure))),
        }
    }

    fn tell(&self, told: Told) {
        self.out.tell(line(self.as_json, told));
    }

    fn fail(&mut self, told: Told) {
        self.failed = true;
        self.tell(told);
    }

    /// Waits for what is under way, for at most so long.
    pub(crate) async fn settle(&mut self, limit: Duration) {
        let settled = async {
            while let Some(done) = self.under_way.join_next().await {
                if let Ok(done) = done {
                    self.done(done);
                }
            }
        };
        let _late = timeout(limit, settled).await;
    }

    /// Answers what still waits: it will not be done.
    pub(crate) fn give_up(&mut self, why: &str) {
        for command in std::mem::take(&mut self.waiting) {
            self.fail(command.asked.answered(failed(plain(format!("{why} before this was done; nothing was sent")))));
        }
    }
}

fn level(level: LogLevel) -> Told {
    (json!({"event": "level", "level": level.name()}), format!("The log level is {level}."))
}

async fn obey(what: Ask, connection: &Connection) -> Result<Told, Failure> {
    match what {
        Ask::Send { to, text } => sent(connection.send_text(to.as_str(), &text).await, &to),
        Ask::Cmd { to, action } => sent(connection.send_command(to.as_str(), &action).await, &to),
        Ask::Renew(token) => {
            let expires = connection.renew_token(token.expose()).await.map_err(|e| numbered(e.code(), e))?;
            Ok((json!({"event": "renewed", "expires": expires}), "The token is renewed.".into()))
        }
    }
}

fn sent(outcome: Result<Sent, SendError>, to: &str) -> Result<Told, Failure> {
    let sent = outcome.map_err(|e| numbered(e.code(), e))?;
    let (client, server) = (sent.client_id.to_string(), sent.server_id.to_string());
    let sentence = format!("Sent to {to} as {server}.");
    Ok((json!({"event": "sent", "client_id": client, "server_id": server}), sentence))
}
