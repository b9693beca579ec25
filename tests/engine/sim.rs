//! The engine with a clock that jumps; every step is checked against the [`Ledger`].

use std::{sync::Arc, time::Duration};

use agora_chat::{
    Account, Config, ConfigBuilder, ConnectionState, Credentials, DisconnectReason, EventKind, Limits, LossCause,
    OpenError, Outgoing, SendError, Sent,
    account::{Device, Expiry, Token, TokenGrant},
    errors::TokenError,
    session::{Action, Diagnostic, Engine, Input, Now, PageId, TokenFetch},
    wire::{MSync, Upward},
};
use bytes::Bytes;

use crate::{
    ledger::{Ledger, Place},
    peer,
};

/// The wall clock at the beginning, in milliseconds since 1970.
pub(crate) const T0: u64 = 1_700_000_000_000;
pub(crate) const APP: &str = "testorg#testapp";
pub(crate) const TOKEN: &str = "YWMtexampleTokenForVectors0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const RESOURCE: &str = "webim_web_1700000000000";

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One fixed address, defaults otherwise.
pub(crate) fn config() -> ConfigBuilder {
    let config = Config::builder(APP).allow_plaintext();
    config.addresses("http://rest.test", "ws://one.test/websocket")
}

pub(crate) fn device() -> Device {
    let mut device = Device::new(RESOURCE);
    device.uuid = "web_1700000000000".to_owned();
    device.name = "webim".to_owned();
    device
}

/// Alice by token, on the device of the recorded frames.
pub(crate) fn alice() -> Account {
    Account::new(Credentials::token("alice", TOKEN).unwrap()).device(device())
}

pub(crate) fn by_token() -> Input<'static> {
    Input::Open(alice())
}

pub(crate) fn by_password() -> Input<'static> {
    Input::Open(Account::new(Credentials::password("alice", "a-password").unwrap()).device(device()))
}

pub(crate) fn pending_sends(most: usize) -> Limits {
    let mut limits = Limits::default();
    limits.pending_sends = most;
    limits
}

pub(crate) fn hello(client_id: u64) -> Input<'static> {
    Input::Send { client_id, message: Outgoing::text("bob", "hello").unwrap() }
}

/// The token that the session fetches.
pub(crate) fn granted(grant: TokenGrant) -> Input<'static> {
    Input::TokenReady { fetch: TokenFetch::Session, result: Ok(grant) }
}

/// Why the session gets none.
pub(crate) fn not_granted(error: impl Into<TokenError>) -> Input<'static> {
    Input::TokenReady { fetch: TokenFetch::Session, result: Err(error.into()) }
}

/// What a step, or a stretch of time, led to.
#[derive(Debug, Default)]
pub(crate) struct Did(pub(crate) Vec<Action>);

pub(crate) struct Sim {
    pub(crate) engine: Engine,
    pub(crate) now: Now,
    ledger: Ledger,
    last_renewal: u64,
}

impl Sim {
    pub(crate) fn new(config: ConfigBuilder) -> Self {
        Self::seeded(config, 7)
    }

    pub(crate) fn seeded(config: ConfigBuilder, seed: u64) -> Self {
        let now = Now { mono: seconds(1), wall: T0 };
        Sim {
            engine: Engine::new(Arc::new(config.build().unwrap()), seed),
            now,
            ledger: Ledger::default(),
            last_renewal: 0,
        }
    }

    /// Logged in by token, the first heartbeat answered, no end of the token known.
    pub(crate) fn online() -> Self {
        Self::online_with(config())
    }

    pub(crate) fn online_with(config: ConfigBuilder) -> Self {
        let mut sim = Self::new(config);
        sim.step(by_token());
        sim.accept();
        sim.frame(&peer::unread(&[]));
        sim
    }

    /// As [`Sim::online_with`], and the token ends `life` from now.
    pub(crate) fn online_for(config: ConfigBuilder, life: Duration) -> Self {
        let mut sim = Self::new(config);
        sim.step(by_token());
        sim.step(Input::Connected);
        sim.frame(&peer::accepted_until(T0 + life.as_millis() as u64));
        sim.frame(&peer::unread_at(sim.now.wall));
        sim
    }

    pub(crate) fn step(&mut self, input: Input<'_>) -> Did {
        self.ledger.before(&input);
        let mut out = Vec::new();
        self.engine.step(input, self.now, &mut out);
        self.ledger.after(&self.engine, &out);
        Did(out)
    }

    /// Gives a token whose end the service knows at once.
    pub(crate) fn renew(&mut self, token: Token, expires_at: u64) -> Did {
        let renewal = self.next_renewal();
        let mut did = self.step(Input::RenewToken { renewal, token: token.clone() });
        did.0.retain(|action| !matches!(action, Action::FetchToken { fetch: TokenFetch::Application, .. }));
        let result = Ok(TokenGrant::of(token, Some(Expiry::At(expires_at))));
        did.0.extend(self.step(Input::TokenReady { fetch: TokenFetch::Application, result }).0);
        did
    }

    pub(crate) fn next_renewal(&mut self) -> u64 {
        self.last_renewal += 1;
        self.last_renewal
    }

    pub(crate) fn frame(&mut self, bytes: &[u8]) -> Did {
        self.step(Input::Frame(bytes))
    }

    pub(crate) fn lose(&mut self) -> Did {
        self.step(Input::Lost(LossCause::Ended))
    }

    /// The peer takes the connection and the login.
    pub(crate) fn accept(&mut self) -> Did {
        assert_eq!(self.place(), Place::Connect);
        let mut did = self.step(Input::Connected);
        did.0.extend(self.frame(&peer::accepted()).0);
        assert_eq!(self.engine.state(), ConnectionState::Online);
        did
    }

    /// Loses the link and waits out the pause.
    pub(crate) fn redial(&mut self) -> Did {
        self.lose();
        self.due()
    }

    /// Whether an ask for the next token is under way.
    pub(crate) fn is_asking(&self) -> bool {
        self.ledger.asking
    }

    /// A page that the message handler is at.
    pub(crate) fn given(&self) -> Option<PageId> {
        self.ledger.given.values().min().copied()
    }

    pub(crate) fn place(&self) -> Place {
        self.ledger.place
    }

    /// Moves the clocks without telling the engine.
    pub(crate) fn pass(&mut self, time: Duration) {
        let before = self.now.mono.as_millis();
        self.now.mono += time;
        let passed = u64::try_from(self.now.mono.as_millis() - before).unwrap();
        self.now.wall = self.now.wall.saturating_add(passed);
    }

    /// How long until the engine wants to be woken.
    pub(crate) fn left(&self) -> Duration {
        self.engine.deadline().expect("something is timed").saturating_sub(self.now.mono)
    }

    /// Jumps to the deadline and ticks once.
    pub(crate) fn due(&mut self) -> Did {
        self.pass(self.left());
        self.step(Input::Tick)
    }

    /// Lets `time` pass with a silent peer, ticking at every deadline on the way.
    pub(crate) fn run(&mut self, time: Duration) -> Did {
        let end = self.now.mono + time;
        let mut did = Did::default();
        while self.engine.deadline().is_some_and(|due| due <= end) {
            did.0.extend(self.due().0);
            assert!(did.0.len() < 1_000_000, "time stands still");
        }
        self.pass(end - self.now.mono);
        did
    }

    /// A silent peer until the session is over.
    pub(crate) fn run_out(&mut self) -> Did {
        let mut did = Did::default();
        for _ in 0..1_000 {
            if self.engine.deadline().is_none() {
                return did;
            }
            did.0.extend(self.due().0);
        }
        panic!("the session does not end: {}", self.engine.state());
    }
}

impl Did {
    pub(crate) fn events(&self) -> Vec<&EventKind> {
        self.0.iter().filter_map(|action| if let Action::Emit(event) = action { Some(event) } else { None }).collect()
    }

    pub(crate) fn event(&self) -> &EventKind {
        let events = self.events();
        assert_eq!(events.len(), 1, "one event of {:?}", self.0);
        events[0]
    }

    /// The texts of the messages delivered, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let texts = self.events().into_iter().filter_map(|event| match event {
            EventKind::Message(message) => match &message.body {
                agora_chat::MessageBody::Text(text) => Some(text.as_str()),
                other => panic!("not a text: {other:?}"),
            },
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn frames(&self) -> Vec<&Bytes> {
        let sent =
            self.0.iter().filter_map(|action| if let Action::Transmit(f) = action { Some(f.bytes()) } else { None });
        sent.collect()
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let sent =
            self.0.iter().filter_map(|action| if let Action::Transmit(f) = action { Some(f.kind()) } else { None });
        sent.collect()
    }

    /// What was sent, decoded.
    pub(crate) fn sent(&self) -> Vec<Upward> {
        let decode = |bytes: &Bytes| MSync::decode_frame(bytes.clone(), 1 << 20).unwrap().upward().unwrap();
        self.frames().into_iter().map(decode).collect()
    }

    /// The pulls sent, as name of the queue and key.
    pub(crate) fn pulls(&self) -> Vec<(String, Option<u64>)> {
        let pulls = self.sent().into_iter().filter_map(|frame| match frame {
            Upward::Sync(sync) => sync.queue.map(|queue| (queue.name().to_owned(), sync.key)),
            _ => None,
        });
        pulls.collect()
    }

    pub(crate) fn dialed(&self) -> Vec<&str> {
        let dialed =
            self.0.iter().filter_map(|action| if let Action::Connect { url } = action { Some(&**url) } else { None });
        dialed.collect()
    }

    pub(crate) fn opened(&self) -> Option<&Result<(), OpenError>> {
        self.0.iter().find_map(|action| if let Action::Opened(result) = action { Some(result) } else { None })
    }

    pub(crate) fn open_error(&self) -> &OpenError {
        self.opened().expect("open is answered").as_ref().expect_err("open fails")
    }

    pub(crate) fn reason(&self) -> Option<&DisconnectReason> {
        self.events().into_iter().find_map(|event| match event {
            EventKind::Disconnected { reason } => Some(reason),
            _ => None,
        })
    }

    /// The attempt, pause and cause of the one `Reconnecting` told.
    pub(crate) fn reconnecting(&self) -> (u32, Duration, &LossCause) {
        let told = self.events().into_iter().filter_map(|event| match event {
            EventKind::Reconnecting { attempt, delay, cause } => Some((*attempt, *delay, cause)),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "Reconnecting once in {:?}", self.0);
        told[0]
    }

    pub(crate) fn outcomes(&self) -> Vec<(u64, &Result<Sent, SendError>)> {
        let outcomes = self.0.iter().filter_map(|action| match action {
            Action::Sent { client_id, outcome } => Some((*client_id, outcome)),
            _ => None,
        });
        outcomes.collect()
    }

    pub(crate) fn notes(&self) -> Vec<&Diagnostic> {
        self.0.iter().filter_map(|action| if let Action::Note(note) = action { Some(note) } else { None }).collect()
    }

    pub(crate) fn closed(&self) -> bool {
        self.0.iter().any(|action| matches!(action, Action::Closed))
    }
}
