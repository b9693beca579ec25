//! The session's engine under any inputs in any order.
//!
//! Input: the configuration (1 byte) and the seed (16 bits), then one input after the other until the bytes end: its
//! number, as [`Script::input`] has them, and what it holds.

use std::{sync::Arc, time::Duration};

use arbitrary::{Result, Unstructured};

use super::server;
use crate::{
    config::{Addresses, Config, Endpoints, Limits, Reconnect},
    model::{
        account::Token,
        auth::{Credentials, Expiry, TokenGrant, TokenReason, TokenRequest},
        error::{ConnectStep, LossCause, Operation, ProviderError, RestError, TokenError},
        outgoing::{Outgoing, RoomRequest},
    },
    net::Target,
    rest,
    session::{Action, ConnectionState, Engine, Input, Now, TokenFetch},
};

/// The wall clock at the beginning, in milliseconds since 1970.
const T0: u64 = 1_700_000_000_000;

/// Stands in every token and password, and must not be shown.
const CANARY: &str = "CANARY";

/// The most inputs of one run, so that no input takes long.
const MOST_INPUTS: usize = 500;

/// The most actions and bytes to send of a step, whatever came in; more only in proportion to it.
const MOST_ACTIONS: usize = 40;
const MOST_SENT: usize = 8 * 1024;

pub(super) fn run(data: &[u8]) -> Result<()> {
    let mut script = Script(Unstructured::new(data));
    let config = script.config()?;
    let seed = u64::from(script.0.arbitrary::<u16>()?);
    // A peer that says the word itself may be quoted.
    let quoted = data.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    let mut run = Run::new(config, seed, quoted);
    for _ in 0..MOST_INPUTS {
        if script.0.is_empty() {
            break;
        }
        match script.input()? {
            Event::Open(credentials) => run.open(credentials),
            Event::Frame(frame) => run.frame(&frame),
            Event::Send(id) => run.send(id),
            Event::Room(id, what) => run.room(id, what),
            Event::Renew(end) => run.renew(end),
            Event::Plain(input) => run.step(input, 0),
            Event::Due => run.due(),
            Event::Wait(time) => run.pass(time),
            Event::WallClock(wall) => run.now.wall = wall,
            Event::Help => run.help(),
        }
    }
    run.never_stuck();
    run.ends_when_asked();
    Ok(())
}

#[allow(clippy::large_enum_variant, reason = "one at a time, never stored")]
enum Event {
    Open(Credentials),
    Frame(Vec<u8>),
    Send(u64),
    /// Joins or leaves one of a few rooms.
    Room(u64, u8),
    /// Gives a token whose end the service knows at once.
    Renew(u64),
    /// Anything that needs nothing noted.
    Plain(Input<'static>),
    /// Jumps to the deadline and ticks.
    Due,
    Wait(Duration),
    WallClock(u64),
    /// What the engine is waiting for arrives, so that runs get far.
    Help,
}

/// Reads a run from bytes; where they end within something, zeros follow.
struct Script<'a>(Unstructured<'a>);

impl Script<'_> {
    fn config(&mut self) -> Result<Config> {
        let flags: u8 = self.0.arbitrary()?;
        let mut policy = Reconnect::default();
        policy.enabled = flags & 1 == 0;
        policy.max_attempts = (policy.enabled && flags & 2 != 0).then_some(u32::from(flags >> 5) + 1);
        let endpoints = match flags & 4 {
            0 => Endpoints::Fixed(addresses(flags >> 6)),
            _ => Endpoints::Discovery(vec!["https://boot.test".to_owned()]),
        };
        let logout = Duration::from_secs(u64::from(flags >> 3 & 3));
        let limits = Limits { pending_sends: 3, ..Limits::default() };
        let config = Config::builder("org#app").endpoints(endpoints).reconnect(policy).logout_timeout(logout);
        let made = config.limits(limits).delivery_receipts(flags & 16 != 0).build();
        Ok(made.expect("all of it is within bounds"))
    }

    /// The numbers have room for more inputs without changing the meaning of a kept corpus.
    fn input(&mut self) -> Result<Event> {
        let number: u8 = self.0.arbitrary()?;
        Ok(match number & 63 {
            0 => Event::Open(by_token()),
            1 => Event::Open(Credentials::password("alice", CANARY).expect("a password")),
            2 => Event::Plain(Input::Close),
            3 => Event::Plain(Input::Discovered(Ok(addresses(self.0.arbitrary()?)))),
            4 => Event::Plain(Input::Discovered(Err(self.rest_error(Operation::Discovery)?))),
            5 => {
                let expires_at = if self.0.arbitrary()? { Some(Expiry::At(self.time()?)) } else { None };
                Event::Plain(granted(TokenGrant::of(token(), expires_at)))
            }
            6 => Event::Plain(not_granted(self.rest_error(Operation::PasswordToken)?)),
            7 => Event::Plain(Input::Connected),
            8 => Event::Plain(Input::Alive),
            9 => Event::Plain(Input::Lost(self.cause()?)),
            10 => Event::Send(u64::from(self.0.arbitrary::<u8>()? & 7)),
            11 => Event::Renew(self.time()?),
            12 => Event::Plain(Input::Tick),
            13 => Event::Due,
            14 => Event::Wait(Duration::from_millis(u64::from(self.0.arbitrary::<u16>()?) * 4)),
            15 => Event::Wait(Duration::from_secs(u64::from(self.0.arbitrary::<u32>()?))),
            16 => Event::WallClock(self.time()?),
            17 => Event::Frame(self.bytes()?),
            18 => {
                let command = i32::from(self.0.arbitrary::<i8>()?);
                Event::Frame(server::envelope(command, self.bytes()?))
            }
            19 => {
                let (status, told) = (i32::from(self.0.arbitrary::<i8>()?), self.text()?);
                Event::Frame(server::provision(status, told))
            }
            20 => {
                let (host, port) = (self.text()?, self.0.arbitrary()?);
                Event::Frame(server::redirect(host, port))
            }
            21 => Event::Frame(server::unread(&self.names()?, self.time()?)),
            22 => Event::Frame(server::notice(self.0.arbitrary::<u8>()? & 7)),
            23 => {
                let (queue, key, last): (u8, u8, bool) = self.0.arbitrary()?;
                let ids = self.names()?;
                Event::Frame(server::page(queue & 7, &ids, key, last))
            }
            24 => Event::Frame(server::kick(i32::from(self.0.arbitrary::<i8>()?))),
            25 => {
                let (id, status): (u8, i8) = self.0.arbitrary()?;
                Event::Frame(server::answer(u64::from(id & 7), i32::from(status), self.text()?))
            }
            26 => Event::Frame(server::logged_out()),
            27 => {
                let expires_at = if self.0.arbitrary()? { Some(Expiry::At(self.time()?)) } else { None };
                let token = Token::new(format!("YWMt-{CANARY}-{}", self.0.arbitrary::<u8>()?)).expect("a token");
                Event::Plain(granted(TokenGrant::of(token, expires_at)))
            }
            28 => Event::Plain(not_granted(self.rest_error(Operation::PasswordToken)?)),
            29 => Event::Plain(not_granted(ProviderError::new(self.text()?))),
            30 => Event::Open(provided()),
            31 => Event::Open(by_token().with_provider(nobody)),
            32 => Event::Room(u64::from(self.0.arbitrary::<u8>()? & 7), self.0.arbitrary()?),
            _ => Event::Help,
        })
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = usize::from(self.0.arbitrary::<u16>()?).min(self.0.len());
        Ok(self.0.bytes(length)?.to_vec())
    }

    fn text(&mut self) -> Result<String> {
        let length = usize::from(self.0.arbitrary::<u8>()?).min(self.0.len());
        Ok(String::from_utf8_lossy(self.0.bytes(length)?).into_owned())
    }

    /// Up to 15 small numbers.
    fn names(&mut self) -> Result<Vec<u8>> {
        let length = usize::from(self.0.arbitrary::<u8>()? & 15).min(self.0.len());
        Ok(self.0.bytes(length)?.to_vec())
    }

    /// A time in milliseconds since 1970: soon after the beginning, or any.
    fn time(&mut self) -> Result<u64> {
        Ok(if self.0.arbitrary()? { T0 + u64::from(self.0.arbitrary::<u32>()?) } else { self.0.arbitrary()? })
    }

    fn rest_error(&mut self, operation: Operation) -> Result<RestError> {
        let (status, pause): (u16, u32) = self.0.arbitrary()?;
        let pause = (pause != 0).then(|| Duration::from_secs(u64::from(pause)));
        Ok(rest::fuzzing::error(operation, status, pause, &self.bytes()?))
    }

    fn cause(&mut self) -> Result<LossCause> {
        Ok(match self.0.arbitrary::<u8>()? & 7 {
            0 => LossCause::Timeout(ConnectStep::Connect),
            1 => LossCause::ClosedByPeer { code: Some(1000), reason: String::new() },
            2 => LossCause::UpgradeRefused { status: self.0.arbitrary()?, retry_after: None },
            3 => {
                let (status, pause): (u16, u32) = self.0.arbitrary()?;
                let retry_after = Some(Duration::from_secs(u64::from(pause)));
                LossCause::UpgradeRefused { status, retry_after }
            }
            4 => LossCause::Io("reset".to_owned()),
            5 => LossCause::Protocol("garbage".to_owned()),
            _ => LossCause::Ended,
        })
    }
}

fn token() -> Token {
    Token::new(format!("YWMt-{CANARY}")).expect("a token")
}

fn by_token() -> Credentials {
    Credentials::token("alice", format!("YWMt-{CANARY}")).expect("a token")
}

fn provided() -> Credentials {
    Credentials::provider("alice", nobody).expect("a user id")
}

/// The token that the session fetches.
fn granted(grant: TokenGrant) -> Input<'static> {
    Input::TokenReady { fetch: TokenFetch::Session, result: Ok(grant) }
}

/// Why the session gets none.
fn not_granted(error: impl Into<TokenError>) -> Input<'static> {
    Input::TokenReady { fetch: TokenFetch::Session, result: Err(error.into()) }
}

/// Never polled: the answers are inputs.
fn nobody(_: TokenRequest) -> std::future::Pending<Result<TokenGrant, ProviderError>> {
    std::future::pending()
}

/// One to four of each; the lowest two bits count.
fn addresses(count: u8) -> Addresses {
    let socket = (0..=count & 3).map(|n| format!("wss://h{n}.test/websocket")).collect();
    Addresses { rest: vec!["https://rest.test".to_owned()], socket }
}

/// What the last action has the engine wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Nothing,
    Discovery,
    Connect,
    Provision,
}

/// An engine, its clocks, and who waits for an answer.
struct Run {
    engine: Engine,
    now: Now,
    logout: Duration,
    awaits: Awaits,
    renewals: u64,
    /// Whether an ask for the next token is under way.
    asking: bool,
    opening: bool,
    unanswered: Vec<u64>,
    quoted: bool,
}

impl Run {
    fn new(config: Config, seed: u64, quoted: bool) -> Self {
        let now = Now { mono: Duration::from_secs(1), wall: T0 };
        let logout = config.logout_timeout;
        let engine = Engine::new(Arc::new(config), seed);
        Run {
            engine,
            now,
            logout,
            awaits: Awaits::Nothing,
            renewals: 0,
            asking: false,
            opening: false,
            unanswered: Vec::new(),
            quoted,
        }
    }

    fn open(&mut self, credentials: Credentials) {
        self.opening |= self.engine.state() == ConnectionState::LoggedOut;
        self.step(Input::Open(credentials.into()), 0);
    }

    fn send(&mut self, client_id: u64) {
        let message = Outgoing::text("bob", "hello").expect("a message");
        self.unanswered.push(client_id);
        self.step(Input::Send { client_id, message }, 0);
    }

    fn room(&mut self, client_id: u64, what: u8) {
        let room = (what & 3).to_string();
        let request = match what >> 2 & 3 {
            0 => RoomRequest::leave(room),
            1 => RoomRequest::join(room).map(RoomRequest::leaving_others),
            _ => RoomRequest::join(room),
        };
        self.unanswered.push(client_id);
        self.step(Input::Room { client_id, request: request.expect("a room") }, 0);
    }

    fn renew(&mut self, end: u64) {
        self.renewals += 1;
        self.step(Input::RenewToken { renewal: self.renewals, token: token() }, 0);
        let result = Ok(TokenGrant::of(token(), Some(Expiry::At(end))));
        self.step(Input::TokenReady { fetch: TokenFetch::Application, result }, 0);
    }

    fn frame(&mut self, frame: &[u8]) {
        self.step(Input::Frame(frame), frame.len());
    }

    fn due(&mut self) {
        if let Some(due) = self.engine.deadline() {
            self.pass(due.saturating_sub(self.now.mono));
            self.step(Input::Tick, 0);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono.saturating_add(time);
        self.now.wall = self.now.wall.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    fn help(&mut self) {
        match (self.engine.state(), self.awaits) {
            (ConnectionState::LoggedOut, _) => self.open(by_token()),
            (ConnectionState::Online, _) => self.frame(&server::unread(&[], self.now.wall)),
            (ConnectionState::LoggingOut, _) => self.frame(&server::logged_out()),
            (_, Awaits::Nothing) if self.asking => {
                let token = Token::new(format!("YWMt-{CANARY}-{}", self.now.mono.as_nanos())).expect("a token");
                self.step(granted(TokenGrant::of(token, None)), 0);
            }
            (_, Awaits::Nothing) => self.due(),
            (_, Awaits::Discovery) => self.step(Input::Discovered(Ok(addresses(1))), 0),
            (_, Awaits::Connect) => self.step(Input::Connected, 0),
            (_, Awaits::Provision) => self.frame(&server::provision(0, String::new())),
        }
    }

    /// Gives an input that came as so many bytes, and checks what the engine did about it.
    fn step(&mut self, input: Input<'_>, size: usize) {
        let mut actions = Vec::new();
        self.asking &= !matches!(input, Input::TokenReady { fetch: TokenFetch::Session, .. });
        self.engine.step(input, self.now, &mut actions);
        // Nothing on the wire is a queue, a message or an answer in less than two bytes.
        assert!(actions.len() <= MOST_ACTIONS + size / 2, "{} actions for {size} bytes", actions.len());
        let mut sent = 0;
        for action in &actions {
            if let Action::Transmit(frame) = action {
                sent += frame.bytes().len();
            }
            self.action(action);
            // A frame's bytes hold the token, and are not shown.
            assert!(self.quoted || !format!("{action:?}").contains(CANARY), "a secret is shown");
        }
        assert!(sent <= MOST_SENT + 32 * size, "{sent} bytes sent for {size}");
        let out = self.engine.state() == ConnectionState::LoggedOut;
        assert_eq!(self.engine.deadline().is_none(), out, "something is timed exactly while there is a session");
        if out {
            assert!(!self.opening, "open is still to be answered");
            assert!(self.unanswered.is_empty(), "sends are still to be answered: {:?}", self.unanswered);
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Discover => self.awaits = Awaits::Discovery,
            Action::FetchToken { fetch: TokenFetch::Session, request, .. } => {
                if request.reason != TokenReason::Expiring {
                    self.awaits = Awaits::Nothing;
                }
                assert!(!std::mem::replace(&mut self.asking, true), "two tokens are asked for at once");
            }
            Action::DropTokenFetch(TokenFetch::Session) | Action::Closed => self.asking = false,
            Action::Connect { url } => {
                assert!(Target::parse(url).is_some(), "{url:?} cannot be dialled");
                self.awaits = Awaits::Connect;
            }
            Action::Transmit(frame) if frame.kind() == "PROVISION" => self.awaits = Awaits::Provision,
            Action::Hangup => self.awaits = Awaits::Nothing,
            Action::Opened(_) => {
                assert!(std::mem::take(&mut self.opening), "open was answered twice, or unasked");
            }
            Action::Sent { client_id, .. } => {
                let at = self.unanswered.iter().position(|id| id == client_id);
                assert!(at.is_some(), "send {client_id} was answered twice, or unasked");
                at.map(|at| self.unanswered.swap_remove(at));
            }
            _ => {}
        }
    }

    /// With a dead peer the engine goes on by itself, or ends; it neither ticks on the spot nor believes to be online.
    fn never_stuck(&mut self) {
        let mut ticks = 0;
        for _ in 0..60 {
            if self.engine.deadline().is_none() {
                return;
            }
            let before = self.now.mono;
            self.due();
            ticks = if self.now.mono == before { ticks + 1 } else { 0 };
            assert!(ticks < 6, "time stands still: {}", self.engine.state());
        }
        assert_ne!(self.engine.state(), ConnectionState::Online, "a dead peer is taken for a living one");
    }

    /// `close` ends everything within its limit, and `open` works again.
    fn ends_when_asked(&mut self) {
        let began = self.now.mono;
        self.step(Input::Close, 0);
        for _ in 0..10 {
            self.due();
        }
        assert_eq!(self.engine.state(), ConnectionState::LoggedOut);
        assert!(self.now.mono.saturating_sub(began) <= self.logout, "close took {:?}", self.now.mono - began);
        self.open(by_token());
        assert!(self.engine.deadline().is_some(), "open works again");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use arbitrary::Unstructured;

    use super::{Awaits, Run, Script};
    use crate::session::ConnectionState;

    /// Otherwise the checks above would hold of runs in which nothing happens.
    #[test]
    fn help_leads_any_configuration_online_and_back_after_a_loss() {
        for flags in 0..=u8::MAX {
            let config = Script(Unstructured::new(&[flags])).config().unwrap();
            let resumes = config.reconnect.enabled;
            let mut run = Run::new(config, 7, false);
            for _ in 0..4 {
                run.help();
            }
            assert_eq!(run.engine.state(), ConnectionState::Online, "{flags:#x}");
            run.pass(Duration::from_secs(60));
            run.due();
            run.due();
            for _ in 0..if resumes { 4 } else { 0 } {
                run.help();
            }
            let state = if resumes { ConnectionState::Online } else { ConnectionState::LoggedOut };
            assert_eq!((run.engine.state(), run.awaits == Awaits::Nothing), (state, !resumes), "{flags:#x}");
        }
    }
}
