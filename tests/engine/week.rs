//! Weeks of random faults: at every moment online, on the way with a deadline, or ended with a reason.
//!
//! `AGORA_CHAT_WEEKS` says how many whole weeks are lived through, 4 by default; for each of them there are 500 further
//! worlds of an hour.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use agora_chat::{
    Config, ConfigBuilder, ConnectionState, Credentials, DisconnectReason, EventKind, KickPolicy, LossCause, Reconnect,
    account::{Expiry, Token, TokenGrant},
    config::{Addresses, Endpoints},
    errors::{ConnectStep, ProviderError, RefusalKind},
    session::{Input, TokenFetch},
};
use bytes::Bytes;
use fastrand::Rng;

use crate::{
    ledger::Place,
    login::hosts,
    peer,
    renewal::{by_provider, nobody},
    rest_errors,
    sim::{APP, Did, Sim, T0, by_password, config, hello, seconds},
};

const HOUR: Duration = seconds(3600);
const DAY: Duration = seconds(24 * 60 * 60);

/// The longest that anything is waited for: the hour a server can ask for, the ladder's cap and the floor of flapping.
const LONGEST: Duration = seconds(3600 + 60 + 60);

/// What a world of faults did to one client.
struct World {
    sim: Sim,
    random: Rng,
    /// How often a fault strikes: one of so many moments.
    calm: u32,
    messages: u64,
    seen: Seen,
    /// Moments without progress in a row.
    still: u32,
    service: Service,
    session: Session,
    /// Whether the first login is kept trying.
    patient: bool,
}

/// The service as it truly is, whatever the client knows of it.
struct Service {
    /// When each token ends by the service's clock, by name; nothing for one without an end.
    tokens: HashMap<String, Option<u64>>,
    /// How long its tokens live.
    life: Option<Duration>,
    /// Whether its heartbeats tell the time.
    tells_time: bool,
    /// Whether its login tells the end of the token: not, as a moment, or as a life.
    tells_end: u8,
    /// Until when no link, and no REST call, comes through.
    no_link_until: Duration,
    no_rest_until: Duration,
}

/// The login under way, or the session it led to.
#[derive(Default)]
struct Session {
    /// Whether it can get tokens: by its password or a provider, which has not given its last word.
    has_source: bool,
    by_password: bool,
    /// Whether the server has taken it.
    is_in: bool,
    /// Whether the application asked for its end.
    closed: bool,
    /// The token that PROVISION was sent with.
    shown: Option<String>,
}

/// What was met, so that a world in which nothing happens does not pass for a test.
#[derive(Debug, Default)]
struct Seen {
    logins: u32,
    failed_logins: u32,
    resumed: u32,
    losses: u32,
    ends: u32,
    bad_texts: u32,
    online: Duration,
    /// Outages that outlasted the life of a token.
    long_outages: u32,
    /// Dead tokens that were shown to the server.
    dead_tokens: u32,
    renewed: u32,
    /// Sessions without a source that ended with their token.
    expired: u32,
    /// Lists of more queues than the table holds.
    crowds: u32,
    long_refusals: u32,
}

fn configuration(random: &mut Rng) -> ConfigBuilder {
    let mut reconnect = Reconnect::default();
    if random.u32(..8) == 0 {
        reconnect.max_attempts = Some(random.u32(1..20));
    }
    if random.u32(..8) == 0 {
        reconnect.flapping = None;
    }
    let policy = match random.u32(..4) {
        0 => KickPolicy::RetryAfter(seconds(random.u64(1..100))),
        1 => KickPolicy::TakeOver { times: random.u32(1..5), window: seconds(random.u64(10..5_000)) },
        _ => KickPolicy::Park,
    };
    let base = if random.bool() {
        let boot = ["http://a.test", "http://b.test"].map(str::to_owned).to_vec();
        Config::builder(APP).allow_plaintext().endpoints(Endpoints::Discovery(boot))
    } else {
        config().endpoints(Endpoints::Fixed(hosts(&["one", "two", "three"])))
    };
    base.reconnect(reconnect).kick_policy(policy)
}

/// A queue list that no table holds.
fn crowd() -> &'static Bytes {
    static CROWD: OnceLock<Bytes> = OnceLock::new();
    CROWD.get_or_init(|| {
        let queues: Vec<_> = (0..5_000).map(|n| peer::user(&format!("u{n}"))).collect();
        peer::unread(&queues)
    })
}

fn pick(random: &mut Rng, of: &[Duration]) -> Duration {
    of[random.usize(..of.len())]
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let patient = random.u32(..4) == 0;
        let mut sim = Sim::seeded(configuration(&mut random).keep_trying_first_login(patient), seed);
        let calm = *random.choice(&[2, 5, 20, 100]).unwrap();
        let lives = [seconds(20), seconds(600), HOUR, DAY];
        let service = Service {
            tokens: HashMap::new(),
            life: (random.u32(..5) > 0).then(|| pick(&mut random, &lives)),
            tells_time: random.u32(..4) > 0,
            tells_end: random.u8(..3),
            no_link_until: Duration::ZERO,
            no_rest_until: Duration::ZERO,
        };
        // The local clock is right, behind, ahead, or never was set.
        sim.now.wall = *random.choice(&[T0, T0, T0 - 7_200_000, T0 + 7_200_000, 0, 2 * T0]).unwrap();
        let (seen, session) = (Seen::default(), Session::default());
        World { sim, random, calm, messages: 0, seen, still: 0, service, session, patient }
    }

    /// The service's clock.
    fn clock(&self) -> u64 {
        T0 + u64::try_from(self.sim.now.mono.as_millis()).unwrap()
    }

    /// A token of the service's.
    fn issue(&mut self) -> String {
        let name = format!("YWMt-{}", self.service.tokens.len());
        let end = self.service.life.map(|life| self.clock() + life.as_millis() as u64);
        self.service.tokens.insert(name.clone(), end);
        name
    }

    fn issued(&mut self) -> TokenGrant {
        let name = self.issue();
        let end = self.service.tokens[&name];
        let expires_at = match self.random.u32(..3) {
            0 => None,
            1 => end.map(Expiry::At),
            _ => self.service.life.map(Expiry::In),
        };
        TokenGrant::of(Token::new(name).unwrap(), expires_at)
    }

    fn is_dead(&self, token: &str) -> bool {
        match self.service.tokens.get(token) {
            Some(Some(end)) => *end <= self.clock(),
            Some(None) => false,
            None => true,
        }
    }

    fn is_away(&self) -> bool {
        self.sim.now.mono < self.service.no_link_until
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    fn strikes(&mut self) -> bool {
        let calm = self.calm;
        self.one_in(calm)
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.f64())
    }

    fn cause(&mut self) -> LossCause {
        match self.random.u32(..8) {
            0 => LossCause::Io("reset".to_owned()),
            1 => LossCause::ClosedByPeer { code: Some(1011), reason: "down".to_owned() },
            2 => LossCause::Protocol("mask".to_owned()),
            3 => LossCause::Failed { step: ConnectStep::Resolve, detail: "no such host".to_owned() },
            4 => LossCause::UpgradeRefused { status: 401, retry_after: None },
            5 => {
                let retry_after = (!self.one_in(2)).then(|| seconds(self.random.u64(..5_000)));
                LossCause::UpgradeRefused { status: 503, retry_after }
            }
            _ => LossCause::Ended,
        }
    }

    fn garbage(&mut self) -> Vec<u8> {
        let length = self.random.usize(..60);
        (0..length).map(|_| self.random.u8(..)).collect()
    }

    /// What the service says to a login with this token.
    fn judgement(&mut self, token: &str) -> Bytes {
        if self.is_dead(token) {
            self.seen.dead_tokens += 1;
            return match self.random.u32(..3) {
                0 => peer::refused(6, None),
                1 => peer::refused(1, Some("Sorry, token or password does not match login info")),
                _ => peer::refused(1, Some("Sorry, token expired")),
            };
        }
        match (self.service.tokens[token], self.service.tells_end) {
            (Some(end), 1) => peer::accepted_until(end),
            (Some(end), 2) => {
                peer::accepted_with(&format!("{{\"expires_in\":{}}}", (end - self.clock()).div_ceil(1000)))
            }
            _ => peer::accepted(),
        }
    }

    /// The answer to a heartbeat.
    fn heartbeat(&self) -> Bytes {
        if self.service.tells_time { peer::unread_at(self.clock()) } else { peer::unread(&[]) }
    }

    /// For so long nothing comes through; seldom for longer than any token lives.
    fn outage(&mut self) {
        let lengths = [seconds(10), seconds(60), seconds(900), 2 * HOUR, 2 * DAY];
        let length = pick(&mut self.random, &lengths).mul_f64(self.random.f64());
        let until = self.sim.now.mono + length;
        let what = self.random.u32(..4);
        if what != 0 {
            self.service.no_link_until = until;
            self.seen.long_outages += u32::from(self.service.life.is_some_and(|life| length > life));
        }
        if what != 1 {
            self.service.no_rest_until = until;
        }
    }

    /// One thing happens, as the place and chance have it.
    fn moment(&mut self) {
        if self.one_in(200) {
            self.disturb();
            return;
        }
        if matches!(self.sim.place(), Place::Provision | Place::Online) && self.one_in(200) {
            let did = self.bad_text();
            self.look(&did);
            return;
        }
        if self.sim.is_asking() && self.sim.place() != Place::Token && self.one_in(3) {
            let did = self.ask();
            self.look(&did);
            return;
        }
        let did = match self.sim.place() {
            Place::Out => self.login(),
            Place::State => unreachable!("there is no state folder"),
            Place::Admission => self.sim.step(Input::Admitted),
            Place::Discovery => self.discovery(),
            Place::Token => self.ask(),
            Place::Connect => self.connect(),
            Place::Provision => self.provision(),
            Place::Pause => self.sim.due(),
            Place::Online => self.online(),
            Place::Bye if self.one_in(2) => self.sim.due(),
            Place::Bye => self.sim.frame(&peer::logged_out()),
        };
        self.look(&did);
    }

    /// What a server says with bytes in its texts that are none. It is understood as ever, which [`Seen::bad_texts`] counts.
    fn bad_text(&mut self) -> Did {
        let bytes = *self.random.choice(&[[0xed, 0xa0, 0xbd], [0xff, 0xfe, 0xff], [0xc3, 0x28, 0xa0]]).unwrap();
        let text = format!("a{}", peer::SPOIL);
        self.seen.bad_texts += 1;
        if self.sim.place() == Place::Provision {
            let status = self.random.i32(0..22);
            let did = self.sim.frame(&peer::spoilt(&peer::refused(status, Some(&text)), bytes));
            assert_ne!(self.sim.place(), Place::Provision, "an answer to the login is one whatever its text holds");
            return did;
        }
        self.messages += 1;
        let id = self.messages;
        match self.random.u32(..3) {
            0 => {
                let kick = self.random.i32(1..5);
                let meta = peer::statistics(Some(id), kick, Some(&text));
                let did = self.sim.frame(&peer::spoilt(&peer::batch(vec![meta]), bytes));
                assert_ne!(self.sim.place(), Place::Online, "a kick is one whatever its text holds");
                did
            }
            1 => {
                self.sim.step(hello(id));
                let did = self.sim.frame(&peer::spoilt(&peer::answer(id, 1, Some(&text)), bytes));
                assert_eq!(did.outcomes().len(), 1, "a send is answered whatever the text holds");
                did
            }
            _ => {
                // Ids of their own, that none of them counts as a repetition.
                let metas = vec![peer::text(id + (1 << 40), &text), peer::text(id + (1 << 41), "b")];
                let did = self.sim.frame(&peer::spoilt(&peer::page(&peer::user("bob"), metas, id), bytes));
                assert_eq!(did.texts().len(), 2, "a message is told whatever its text holds");
                did
            }
        }
    }

    /// Things that no place asks for: clocks, hints, late words, the application.
    fn disturb(&mut self) {
        let wall = self.sim.now.wall;
        let did = match self.random.u32(..16) {
            12..=14 => return self.outage(),
            0 => return self.sim.now.wall = wall.saturating_sub(3_600_000),
            1 if wall < u64::MAX / 2 => return self.sim.now.wall = wall + 365 * 24 * 3_600_000,
            2 => {
                self.sim.pass(seconds(600));
                self.sim.step(Input::Tick)
            }
            3..=5 => self.sim.step(Input::NetworkChanged),
            6 => self.sim.step(Input::At(ConnectStep::Tls)),
            7 => {
                let name = self.issue();
                let expires_at = self.service.tokens[&name].unwrap_or(u64::MAX);
                self.sim.renew(Token::new(name).unwrap(), expires_at)
            }
            8 if self.sim.place() != Place::Out => {
                self.session.closed = true;
                self.sim.step(Input::Close)
            }
            9 if self.sim.place() != Place::Out => self.sim.step(by_password()),
            // A token is revoked.
            15 => {
                if let Some(token) = self.sim.engine.token() {
                    self.service.tokens.remove(token.expose());
                }
                return;
            }
            10 => self.sim.step(Input::Tick),
            _ => {
                let garbage = self.garbage();
                self.sim.frame(&garbage)
            }
        };
        self.look(&did);
    }

    /// The application logs in again, sooner or later.
    fn login(&mut self) -> Did {
        let pause = self.up_to(seconds(60));
        self.sim.pass(pause);
        self.seen.logins += 1;
        let kind = self.random.u32(..4);
        self.open(kind)
    }

    fn open(&mut self, kind: u32) -> Did {
        self.session = Session { has_source: kind > 0, by_password: kind == 1, ..Session::default() };
        let token = self.issue();
        self.sim.step(match kind {
            0 => Input::Open(Credentials::token("alice", token).unwrap().into()),
            1 => by_password(),
            2 => by_provider(),
            _ => Input::Open(Credentials::token("alice", token).unwrap().with_provider(nobody).into()),
        })
    }

    fn discovery(&mut self) -> Did {
        if self.sim.now.mono >= self.service.no_rest_until && !self.strikes() {
            return self.sim.step(Input::Discovered(Ok(hosts(&["one", "two"]))));
        }
        match self.random.u32(..3) {
            0 => self.sim.due(),
            1 => self.sim.step(Input::Discovered(Ok(Addresses::default()))),
            _ => self.sim.step(Input::Discovered(Err(rest_errors::nowhere()))),
        }
    }

    /// An answer to whoever waits for a token.
    fn ask(&mut self) -> Did {
        let asking = self.sim.is_asking();
        let answer = if self.sim.now.mono >= self.service.no_rest_until && !self.strikes() {
            self.seen.renewed += u32::from(asking);
            Ok(self.issued())
        } else if self.one_in(4) {
            return self.sim.due();
        } else if self.one_in(10) {
            self.session.has_source = false;
            Err(None)
        } else {
            Err(Some(self.random.u32(..4)))
        };
        let by_password = self.session.by_password;
        let result = answer.map_err(|passes| match passes {
            None if by_password => rest_errors::wrong_password().into(),
            None => ProviderError::permanent("gone").into(),
            Some(0) if by_password => rest_errors::overloaded().into(),
            Some(1) if by_password => rest_errors::gateway().into(),
            Some(_) if by_password => rest_errors::unavailable().into(),
            // What the service says of a provided token is not the provider's last word.
            Some(0) => rest_errors::wrong_password().into(),
            Some(_) => ProviderError::new("out of order").into(),
        });
        self.sim.step(Input::TokenReady { fetch: TokenFetch::Session, result })
    }

    fn connect(&mut self) -> Did {
        let pause = self.up_to(self.sim.left());
        self.sim.pass(pause);
        if !self.is_away() && !self.strikes() {
            let did = self.sim.step(Input::Connected);
            self.session.shown = self.sim.engine.token().map(|token| token.expose().to_owned());
            return did;
        }
        if self.one_in(3) {
            return self.sim.due();
        }
        let cause = self.cause();
        self.sim.step(Input::Lost(cause))
    }

    fn provision(&mut self) -> Did {
        let pause = self.up_to(self.sim.left().min(seconds(3)));
        self.sim.pass(pause);
        if self.is_away() {
            return if self.random.bool() { self.sim.due() } else { self.sim.lose() };
        }
        if !self.strikes() {
            let token = self.session.shown.clone().unwrap_or_default();
            let answer = self.judgement(&token);
            return self.sim.frame(&answer);
        }
        match self.random.u32(..10) {
            0 | 1 => self.sim.due(),
            2 => self.sim.frame(&peer::redirect(&[("hop.test", 80)])),
            3 => self.sim.frame(&peer::without_status()),
            4 => {
                let status = self.random.i32(1..22);
                self.sim.frame(&peer::refused(status, None))
            }
            5 => {
                let garbage = self.garbage();
                self.sim.frame(&garbage)
            }
            6 => self.sim.frame(&peer::refused(1, None)),
            7 => {
                // A text that is longer than anything a person reads.
                let long = "x".repeat(1 << self.random.u32(4..17));
                self.seen.long_refusals += 1;
                let did = self.sim.frame(&peer::refused(1, Some(&long)));
                assert!(format!("{did:?}").len() < 8_000, "what is told of it is cut");
                did
            }
            _ => {
                let cause = self.cause();
                self.sim.step(Input::Lost(cause))
            }
        }
    }

    fn online(&mut self) -> Did {
        let bob = peer::user("bob");
        if self.is_away() {
            // Nothing comes any more, and the heartbeat finds it out.
            return if self.random.bool() { self.sim.due() } else { self.sim.lose() };
        }
        if !self.strikes() {
            // A quiet time with answered heartbeats, and now and then a message in either direction.
            let mut did = self.sim.due();
            if self.sim.place() == Place::Online {
                let answer = self.heartbeat();
                did.0.extend(self.sim.frame(&answer).0);
            }
            if self.sim.place() == Place::Online && self.one_in(4) {
                self.messages += 1;
                let id = self.messages;
                did.0.extend(self.sim.step(hello(id)).0);
                did.0.extend(self.sim.frame(&peer::answer(id, 0, None)).0);
                did.0.extend(self.sim.frame(&peer::page(&bob, vec![peer::text(id, "x")], id)).0);
            }
            return did;
        }
        let pause = self.up_to(self.sim.left());
        self.sim.pass(pause);
        match self.random.u32(..12) {
            0 => {
                let kick = self.random.i32(..6);
                self.sim.frame(&peer::kick(kick))
            }
            1 => {
                self.messages += 1;
                self.sim.step(hello(self.messages));
                self.sim.due()
            }
            // Silence: the heartbeat finds it out.
            2 | 3 => {
                let mut did = self.sim.due();
                if self.sim.place() == Place::Online {
                    did.0.extend(self.sim.due().0);
                }
                did
            }
            4 => {
                let garbage = self.garbage();
                self.sim.frame(&garbage)
            }
            5 if self.one_in(60) => {
                self.seen.crowds += 1;
                self.sim.frame(crowd())
            }
            5 => self.sim.frame(&peer::unread(&[bob, peer::user("carol")])),
            6 => self.sim.frame(&peer::accepted()),
            7 => self.sim.frame(&peer::logged_out()),
            _ => {
                let cause = self.cause();
                self.sim.step(Input::Lost(cause))
            }
        }
    }

    /// The claim itself.
    fn look(&mut self, did: &Did) {
        for event in did.events() {
            match event {
                EventKind::Connected { resumed } => {
                    self.session.is_in = true;
                    self.seen.resumed += u32::from(*resumed);
                }
                EventKind::Reconnecting { .. } => self.seen.losses += 1,
                EventKind::Disconnected { .. } => self.seen.ends += 1,
                _ => {}
            }
        }
        if did.closed() {
            let failed = matches!(did.opened(), Some(Err(_)));
            self.seen.failed_logins += u32::from(failed);
            assert!(did.reason().is_some() || failed, "ended without a reason: {did:?}");
            if let Some(reason) = did.reason().filter(|_| self.session.is_in) {
                self.judge_end(reason);
            }
        }
        let sim = &self.sim;
        match (sim.engine.state(), sim.engine.deadline()) {
            (ConnectionState::LoggedOut, None) => {}
            (ConnectionState::LoggedOut, Some(_)) | (_, None) => panic!("stuck at {}", sim.engine.state()),
            (state, Some(due)) => {
                let longest = match state {
                    // The heartbeat, and the answer to it.
                    ConnectionState::Online => seconds(30 + 10),
                    ConnectionState::LoggingIn { .. } if !self.patient => seconds(30),
                    ConnectionState::LoggingOut => seconds(2),
                    _ => LONGEST,
                };
                assert!(due <= sim.now.mono + longest, "{state} for {:?}", sim.left());
            }
        }
    }

    /// A session that can get a token is never over while nobody ended it: the application, the server by a kick or a
    /// refusal that no token makes good, or the limit of attempts that the application has set.
    fn judge_end(&mut self, reason: &DisconnectReason) {
        let by_token = match reason {
            DisconnectReason::TokenExpired | DisconnectReason::Rest(_) => true,
            DisconnectReason::Refused(refusal) => {
                matches!(refusal.kind(), RefusalKind::TokenExpired | RefusalKind::InvalidToken)
            }
            DisconnectReason::Closed => {
                assert!(self.session.closed, "closed, and nobody asked for it");
                false
            }
            _ => false,
        };
        assert!(!(by_token && self.session.has_source), "over, though it could have got a token: {reason}");
        self.seen.expired += u32::from(by_token);
    }

    fn live(&mut self, time: Duration) {
        let end = self.sim.now.mono + time;
        while self.sim.now.mono < end {
            let before = (self.sim.now.mono, self.sim.place());
            self.moment();
            if before.1 == Place::Online {
                self.seen.online += self.sim.now.mono - before.0;
            }
            self.still = if before.0 == self.sim.now.mono { self.still + 1 } else { 0 };
            assert!(self.still < 100, "time stands still at {:?}", self.sim.place());
        }
    }

    /// The faults are over: whoever is still on its way must arrive.
    fn heal(&mut self) {
        let end = self.sim.now.mono + LONGEST + seconds(60);
        self.calm = u32::MAX;
        (self.service.no_link_until, self.service.no_rest_until) = (Duration::ZERO, Duration::ZERO);
        let lasts = self.sim.place() != Place::Out;
        let must_hold = lasts && self.session.has_source && self.session.is_in && !self.session.closed;
        while self.sim.place() != Place::Online {
            assert!(self.sim.now.mono <= end, "still {} after all is well", self.sim.engine.state());
            let did = match self.sim.place() {
                // Also what an attempt waits for that came to need it while it was under way.
                _ if self.sim.is_asking() => self.ask(),
                Place::State => unreachable!("there is no state folder"),
                Place::Out => {
                    assert!(!must_hold || self.session.closed, "over after all is well");
                    self.session.closed = true;
                    self.open(0)
                }
                Place::Admission => self.sim.step(Input::Admitted),
                Place::Discovery => self.discovery(),
                Place::Token => self.ask(),
                Place::Connect => self.connect(),
                Place::Provision => self.provision(),
                Place::Pause => self.sim.due(),
                Place::Bye => self.sim.frame(&peer::logged_out()),
                Place::Online => Did::default(),
            };
            self.look(&did);
        }
        self.session.closed = true;
        let did = self.sim.step(Input::Close);
        self.look(&did);
        assert!(self.sim.frame(&peer::logged_out()).closed());
    }
}

fn weeks() -> u64 {
    std::env::var("AGORA_CHAT_WEEKS").ok().and_then(|weeks| weeks.parse().ok()).unwrap_or(4)
}

/// Lives through many worlds, each in a world of its own seed.
fn worlds(seeds: std::ops::Range<u64>, time: Duration) -> Seen {
    let mut all = Seen::default();
    for seed in seeds {
        let mut world = World::new(seed);
        world.live(time);
        world.heal();
        let Seen { logins, failed_logins, resumed, losses, ends, bad_texts, online, .. } = world.seen;
        all.long_outages += world.seen.long_outages;
        all.dead_tokens += world.seen.dead_tokens;
        all.renewed += world.seen.renewed;
        all.expired += world.seen.expired;
        all.crowds += world.seen.crowds;
        all.long_refusals += world.seen.long_refusals;
        all.logins += logins;
        all.failed_logins += failed_logins;
        all.resumed += resumed;
        all.losses += losses;
        all.ends += ends;
        all.bad_texts += bad_texts;
        all.online += online;
    }
    all
}

#[test]
fn whole_weeks_of_random_faults_never_leave_the_engine_stuck() {
    let seen = worlds(0..weeks(), 7 * DAY);
    assert!(seen.resumed > 100 && seen.ends > 10 && seen.online > DAY, "{seen:?}");
}

#[test]
fn thousands_of_worlds_of_random_faults_never_leave_the_engine_stuck() {
    let seen = worlds(1_000_000..1_000_000 + 500 * weeks(), HOUR);
    assert!(seen.logins > 2_000 && seen.failed_logins > 500 && seen.losses > 5_000, "{seen:?}");
    assert!(seen.resumed > 2_000 && seen.ends > 1_000 && seen.bad_texts > 400, "{seen:?}");
    assert!(seen.long_outages > 75 && seen.dead_tokens > 2_000, "{seen:?}");
    assert!(seen.crowds > 5 && seen.long_refusals > 200, "{seen:?}");
    assert!(seen.renewed > 5_000 && seen.expired > 200, "{seen:?}");
}

#[test]
fn a_world_lived_twice_is_the_same() {
    let lived = |seed| {
        let mut world = World::new(seed);
        world.live(DAY);
        format!("{:?} {:?}", world.sim.now, world.seen)
    };
    assert_eq!(lived(5), lived(5));
    assert_ne!(lived(5), lived(6));
}
