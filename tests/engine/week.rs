//! Weeks of random faults: at every moment online, on the way with a deadline, or ended with a reason.
//!
//! `AGORA_CHAT_WEEKS` says how many whole weeks are lived through, 4 by default; for each of them there are 500 further
//! worlds of two hours.

use std::time::Duration;

use agora_chat::{
    Addresses, Config, ConnectionState, Endpoints, EventKind, KickPolicy, LossCause, Reconnect, Step, Token,
    session::{FetchedToken, Input},
};
use fastrand::Rng;

use crate::{
    ledger::Place,
    login::hosts,
    peer, rest_errors,
    sim::{APP, Did, Sim, by_password, by_token, config, hello, seconds},
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
}

fn configuration(random: &mut Rng) -> Config {
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
        Config::new(APP).unwrap().allow_plaintext().endpoints(Endpoints::Discovery(boot)).unwrap()
    } else {
        config().endpoints(Endpoints::Fixed(hosts(&["one", "two", "three"]))).unwrap()
    };
    base.reconnect(reconnect).unwrap().kick_policy(policy).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let sim = Sim::seeded(configuration(&mut random), seed);
        let calm = *random.choice(&[2, 5, 20, 100]).unwrap();
        World { sim, random, calm, messages: 0, seen: Seen::default(), still: 0 }
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
            3 => LossCause::Failed { step: Step::Resolve, detail: "no such host".to_owned() },
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

    fn accepted(&mut self) -> bytes::Bytes {
        if self.one_in(4) {
            let life = self.random.u64(..3 * 24 * 3_600_000);
            return peer::accepted_until(self.sim.now.wall.saturating_add(life));
        }
        peer::accepted()
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
        let did = match self.sim.place() {
            Place::Out => self.login(),
            Place::Discovery => self.discovery(),
            Place::Token => self.token(),
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
        let did = match self.random.u32(..12) {
            0 => return self.sim.now.wall = wall.saturating_sub(3_600_000),
            1 if wall < u64::MAX / 2 => return self.sim.now.wall = wall + 365 * 24 * 3_600_000,
            2 => {
                self.sim.pass(seconds(600));
                self.sim.step(Input::Tick)
            }
            3..=5 => self.sim.step(Input::NetworkChanged),
            6 => self.sim.step(Input::At(Step::Tls)),
            7 => {
                let expires_at = wall.saturating_add(self.random.u64(..100_000_000));
                self.sim.step(Input::Renewed { token: Token::new("YWMt-new").unwrap(), expires_at })
            }
            8 if self.sim.place() != Place::Out => self.sim.step(Input::Close),
            9 => self.sim.step(by_token()),
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
        self.sim.step(if self.random.bool() { by_token() } else { by_password() })
    }

    fn discovery(&mut self) -> Did {
        if !self.strikes() {
            return self.sim.step(Input::Discovered(Ok(hosts(&["one", "two"]))));
        }
        match self.random.u32(..3) {
            0 => self.sim.due(),
            1 => self.sim.step(Input::Discovered(Ok(Addresses::default()))),
            _ => self.sim.step(Input::Discovered(Err(rest_errors::nowhere()))),
        }
    }

    /// One in the place of one that was refused is asked for in another way.
    fn token_comes(&mut self) -> Did {
        let asked = self.sim.is_asking();
        self.sim.step(if asked { Input::TokenProvided(Ok(fetched())) } else { Input::TokenFetched(Ok(fetched())) })
    }

    fn token(&mut self) -> Did {
        if !self.strikes() {
            return self.token_comes();
        }
        match self.random.u32(..3) {
            0 => self.sim.due(),
            1 => self.sim.step(Input::TokenFetched(Err(rest_errors::overloaded()))),
            _ => self.sim.step(Input::TokenFetched(Err(rest_errors::wrong_password()))),
        }
    }

    fn connect(&mut self) -> Did {
        let pause = self.up_to(self.sim.left());
        self.sim.pass(pause);
        if !self.strikes() {
            return self.sim.step(Input::Connected);
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
        if !self.strikes() {
            let accepted = self.accepted();
            return self.sim.frame(&accepted);
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
            6 | 7 => self.sim.frame(&peer::refused(1, None)),
            _ => {
                let cause = self.cause();
                self.sim.step(Input::Lost(cause))
            }
        }
    }

    fn online(&mut self) -> Did {
        let bob = peer::user("bob");
        if !self.strikes() {
            // A quiet time with answered heartbeats, and now and then a message in either direction.
            let mut did = self.sim.due();
            if self.sim.place() == Place::Online {
                let clock = self.sim.now.wall;
                did.0.extend(self.sim.frame(&peer::unread_at(clock)).0);
            }
            if self.sim.place() == Place::Online {
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
        let sim = &self.sim;
        for event in did.events() {
            match event {
                EventKind::Connected { resumed } => self.seen.resumed += u32::from(*resumed),
                EventKind::Reconnecting { .. } => self.seen.losses += 1,
                EventKind::Disconnected { .. } => self.seen.ends += 1,
                _ => {}
            }
        }
        if did.closed() {
            let failed = matches!(did.opened(), Some(Err(_)));
            self.seen.failed_logins += u32::from(failed);
            assert!(did.reason().is_some() || failed, "ended without a reason: {did:?}");
        }
        match (sim.engine.state(), sim.engine.deadline()) {
            (ConnectionState::LoggedOut, None) => {}
            (ConnectionState::LoggedOut, Some(_)) | (_, None) => panic!("stuck at {}", sim.engine.state()),
            (state, Some(due)) => {
                let longest = match state {
                    // The heartbeat, and the answer to it.
                    ConnectionState::Online => seconds(30 + 10),
                    ConnectionState::LoggingIn { .. } => seconds(30),
                    ConnectionState::LoggingOut => seconds(2),
                    _ => LONGEST,
                };
                assert!(due <= sim.now.mono + longest, "{state} for {:?}", sim.left());
            }
        }
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
        while self.sim.place() != Place::Online {
            assert!(self.sim.now.mono <= end, "still {} after all is well", self.sim.engine.state());
            let did = match self.sim.place() {
                Place::Out => self.sim.step(by_token()),
                Place::Discovery => self.sim.step(Input::Discovered(Ok(hosts(&["one"])))),
                Place::Token => self.token_comes(),
                Place::Connect => self.sim.step(Input::Connected),
                Place::Provision => self.sim.frame(&peer::accepted()),
                Place::Pause => self.sim.due(),
                Place::Bye => self.sim.frame(&peer::logged_out()),
                Place::Online => Did::default(),
            };
            self.look(&did);
        }
        let did = self.sim.step(Input::Close);
        self.look(&did);
        assert!(self.sim.frame(&peer::logged_out()).closed());
    }
}

fn fetched() -> FetchedToken {
    FetchedToken { token: Token::new("YWMt").unwrap(), expires_at: None }
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
        let Seen { logins, failed_logins, resumed, losses, ends, bad_texts, online } = world.seen;
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
    let seen = worlds(1_000_000..1_000_000 + 500 * weeks(), 2 * HOUR);
    assert!(seen.logins > 2_000 && seen.failed_logins > 500 && seen.losses > 5_000, "{seen:?}");
    assert!(seen.resumed > 2_000 && seen.ends > 1_000 && seen.bad_texts > 1_000, "{seen:?}");
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
