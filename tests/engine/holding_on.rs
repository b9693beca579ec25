//! Sessions and logins that are not given up while a way is left.

use std::time::Duration;

use agora_chat::{
    ConfigBuilder, ConnectionState, Credentials, DisconnectReason, EventKind, LossCause, OpenError, Reconnect,
    account::{Expiry, Token, TokenGrant, TokenReason},
    errors::{ConnectStep, ProviderError},
    session::{Action, Diagnostic, Input},
};

use crate::{
    ledger::Place,
    login::{discovering, hosts},
    peer,
    renewal::{asked, by_provider, by_token_with_provider, not_provided, online, provided, refused, until_asked},
    rest_errors,
    sim::{Did, Sim, T0, by_password, by_token, config, granted, hello, not_granted, seconds},
};

const MINUTE: Duration = seconds(60);
const HOUR: Duration = seconds(3600);
const DAY: Duration = seconds(24 * 3600);

/// The three kinds of sessions that can get a token.
const KINDS: [fn() -> Input<'static>; 3] = [by_provider, by_token_with_provider, by_password];

fn fetched(life: Option<Duration>) -> Input<'static> {
    let token = Token::new("YWMt-fetched").unwrap();
    granted(TokenGrant::of(token, life.map(Expiry::In)))
}

/// Logged in; the token ends `life` from now by the server's clock, which is `ahead` of the local one.
fn online_for(open: Input<'static>, life: Duration) -> Sim {
    let mut sim = Sim::new(config());
    let did = sim.step(open);
    if sim.place() == Place::Token {
        sim.step(if asked(&did).is_empty() { fetched(None) } else { provided("first", None) });
    }
    sim.step(Input::Connected);
    sim.frame(&peer::accepted_until(T0 + life.as_millis() as u64));
    sim.frame(&peer::unread_at(sim.now.wall));
    sim
}

/// Nothing can be reached for so long; what happened meanwhile.
fn outage(sim: &mut Sim, time: Duration) -> Did {
    let end = sim.now.mono + time;
    let mut did = sim.lose();
    while sim.now.mono + sim.left() < end {
        did.0.extend(sim.due().0);
        if sim.is_asking() {
            did.0.extend(sim.step(not_provided()).0);
        }
        if matches!(sim.place(), Place::Connect) {
            did.0.extend(sim.lose().0);
        }
    }
    sim.pass(end - sim.now.mono);
    did
}

/// Everything can be reached again: how long it takes to be back. The server takes the newest token alone.
fn recovery(sim: &mut Sim) -> Duration {
    let began = sim.now.mono;
    for n in 0.. {
        assert!(n < 20, "stuck at {:?}", sim.place());
        match sim.place() {
            _ if sim.is_asking() => drop(sim.step(provided(&format!("after-{n}"), None))),
            Place::Pause => drop(sim.due()),
            Place::Connect => {
                let did = sim.accept();
                assert_eq!(did.events()[0], &EventKind::Connected { resumed: true });
                return sim.now.mono - began;
            }
            place => panic!("{place:?}"),
        }
    }
    unreachable!()
}

#[test]
fn an_outage_of_any_length_at_any_moment_of_a_tokens_life_ends_no_session_that_can_get_another() {
    let given = [(seconds(10), 0.1, seconds(15)), (DAY, 0.75, 7 * HOUR), (HOUR, 0.5, 36 * MINUTE)];
    let lives = [seconds(10), HOUR, DAY];
    let others = lives.into_iter().flat_map(|life| {
        [0.0, 0.5, 0.79, 0.8, 0.95, 0.999].map(|share| {
            [0.3, 1.1, if life == DAY { 1.5 } else { 30.0 }].map(|outage| (life, share, life.mul_f64(outage)))
        })
    });
    for (life, share, length) in given.into_iter().chain(others.flatten()) {
        for open in KINDS {
            let mut sim = online_for(open(), life);
            let mut did = sim.run(Duration::ZERO);
            let at = sim.now.mono + life.mul_f64(share);
            while sim.now.mono + sim.left() < at {
                did.0.extend(sim.due().0);
                if did.kinds().last() == Some(&"UNREAD") {
                    sim.frame(&peer::unread_at(sim.now.wall));
                }
            }
            sim.pass(at - sim.now.mono);
            did.0.extend(outage(&mut sim, length).0);
            let case = format!("{life:?} at {share} away for {length:?}");
            assert!(!did.events().contains(&&EventKind::TokenExpired) && did.reason().is_none(), "{case}");
            assert!(matches!(sim.engine.state(), ConnectionState::Reconnecting { .. }), "{case}");
            // One ask an attempt, and before the token's end those of the renewal.
            let (asks, attempts) = (asked(&did).len(), did.events().len());
            assert!(asks <= attempts + 10 + (life.as_secs() / 5 / 30) as usize, "{case}: {asks} of {attempts}");
            let back = recovery(&mut sim);
            assert!(back <= seconds(60 + 60), "{case}: back after {back:?}");
            assert!(until_renewed(&mut sim), "{case}: the new token is not the old one's countdown");
        }
    }
}

/// Whether the session stands with its new token, whose end nobody told.
fn until_renewed(sim: &mut Sim) -> bool {
    sim.frame(&peer::unread_at(sim.now.wall));
    sim.engine.state() == ConnectionState::Online && !sim.run(seconds(20)).events().contains(&&EventKind::TokenExpired)
}

#[test]
fn a_token_that_ends_in_an_outage_is_not_tried_again_and_the_ask_is_made_when_an_attempt_is_due() {
    for open in KINDS {
        let mut sim = online_for(open(), seconds(100));
        outage(&mut sim, seconds(120));
        while sim.place() != Place::Pause {
            sim.step(Input::Lost(LossCause::Ended));
        }
        for _ in 0..50 {
            let did = sim.due();
            assert_eq!((asked(&did), did.dialed().len()), (vec![TokenReason::Expired], 0), "{did:?}");
            assert_eq!(sim.step(not_provided()).events().len(), 1, "Reconnecting");
            assert_eq!(sim.place(), Place::Pause);
        }
    }
}

#[test]
fn a_session_whose_token_nobody_replaces_ends_with_it_also_in_an_outage() {
    let mut sim = Sim::online_for(config(), HOUR);
    let did = outage_until_over(&mut sim);
    assert!(did.events().contains(&&EventKind::TokenExpired));
    assert_eq!(did.reason(), Some(&DisconnectReason::TokenExpired));

    // A provider that has said its last word is nobody.
    let mut sim = online(by_provider());
    until_asked(&mut sim);
    sim.step(not_granted(ProviderError::permanent("gone")));
    assert_eq!(sim.engine.state(), ConnectionState::Online, "the token lives on");
    let did = outage_until_over(&mut sim);
    assert_eq!((asked(&did).len(), did.reason()), (0, Some(&DisconnectReason::TokenExpired)));
}

fn outage_until_over(sim: &mut Sim) -> Did {
    let mut did = sim.lose();
    while sim.place() != Place::Out {
        did.0.extend(if sim.place() == Place::Connect { sim.lose() } else { sim.due() }.0);
    }
    did
}

#[test]
fn a_last_word_after_the_tokens_end_is_the_end() {
    let mut sim = online(by_password());
    until_asked(&mut sim);
    let mut did = Did::default();
    while sim.now.mono < HOUR + MINUTE {
        did = sim.due();
        if !asked(&did).is_empty() {
            sim.step(not_provided());
        }
        if did.kinds().contains(&"UNREAD") {
            sim.frame(&peer::unread_at(sim.now.wall));
        }
    }
    assert!(did.reason().is_none());
    while !sim.is_asking() {
        sim.due();
        sim.frame(&peer::unread_at(sim.now.wall));
    }
    let did = sim.step(not_granted(rest_errors::wrong_password()));
    assert_eq!((did.event(), did.kinds()), (&EventKind::TokenExpired, vec!["LOGOUT"]));
}

#[test]
fn a_pause_that_the_service_asked_for_is_kept_by_the_attempts_of_the_way_back() {
    let mut sim = online_for(by_password(), seconds(100));
    let did = until_asked(&mut sim);
    assert_eq!(asked(&did), [TokenReason::Expiring]);
    sim.pass(seconds(19));
    sim.step(not_granted(rest_errors::overloaded()));
    let told = sim.now.mono;
    sim.lose();
    while !sim.is_asking() {
        assert!(sim.due().dialed().len() <= 1);
        if sim.place() == Place::Connect {
            sim.lose();
        }
    }
    assert!(sim.now.mono >= told + seconds(7), "asked again after {:?}", sim.now.mono - told);
}

#[test]
fn a_token_that_the_service_lets_live_on_is_taken_though_its_end_had_come() {
    let mut sim = online_for(by_password(), seconds(10));
    outage(&mut sim, seconds(30));
    while !sim.is_asking() {
        sim.due();
    }
    let token = Token::new("YWMt-fetched").unwrap();
    let did = sim.step(granted(TokenGrant::of(token, Some(Expiry::In(HOUR)))));
    assert_eq!(did.dialed().len(), 1);
    assert_eq!(sim.accept().event(), &EventKind::Connected { resumed: true });
}

#[test]
fn a_refusal_as_not_authorised_is_made_good_by_one_new_token_and_then_final() {
    for (status, reason) in [(2, "r"), (1, "Sorry, user not found")] {
        let mut sim = online(by_provider());
        sim.lose();
        assert_eq!(asked(&refused(&mut sim, status, reason)), [TokenReason::Refused]);
        sim.step(provided("next", None));
        sim.step(Input::Connected);
        let did = sim.frame(&peer::refused(status, Some(reason)));
        assert!(matches!(did.reason(), Some(DisconnectReason::Refused(_))), "{did:?}");
    }
}

// Clocks.

const YEAR: u64 = 365 * 24 * 3_600_000;

/// Local clocks that are wrong by more than any life here.
const WRONG: [u64; 5] = [0, T0 - YEAR, T0 - 2 * 3_600_000, T0 + 2 * 3_600_000, u64::MAX - YEAR];

/// Online by a token of an hour, the life told as `told` says; whether PROVISION and the heartbeat tell more.
fn by_clock(wall: u64, told: Expiry, in_provision: bool, hears_clock: bool, by: fn() -> Input<'static>) -> Sim {
    let mut sim = Sim::new(config());
    sim.now.wall = wall;
    let ask = sim.step(by());
    let token = TokenGrant::of(Token::new("YWMt-fetched").unwrap(), Some(told));
    assert_eq!(asked(&ask).len(), 1);
    sim.step(granted(token));
    sim.step(Input::Connected);
    sim.frame(&if in_provision { peer::accepted_until(T0 + 3_600_000) } else { peer::accepted() });
    sim.frame(&if hears_clock { peer::unread_at(T0) } else { peer::unread(&[]) });
    sim
}

/// Lives through a quiet time with a peer that tells no clock.
fn quiet(sim: &mut Sim, time: Duration) -> Did {
    let end = sim.now.mono + time;
    let mut did = Did::default();
    while sim.now.mono + sim.left() <= end {
        let due = sim.due();
        if due.kinds().contains(&"UNREAD") {
            sim.frame(&peer::unread(&[]));
        }
        did.0.extend(due.0);
    }
    sim.pass(end - sim.now.mono);
    did
}

#[test]
fn a_life_is_counted_whatever_the_local_clock_says_and_its_token_renewed_in_time() {
    for wall in WRONG {
        for (in_provision, hears_clock) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut sim = by_clock(wall, Expiry::In(HOUR), in_provision, hears_clock, by_password);
            let case = format!("{wall} {in_provision} {hears_clock}");
            assert!(quiet(&mut sim, 48 * MINUTE - seconds(1)).events().is_empty(), "{case}");
            let did = quiet(&mut sim, seconds(2));
            assert!(matches!(did.event(), EventKind::TokenWillExpire { .. }), "{case}: {did:?}");
            assert_eq!(asked(&did), [TokenReason::Expiring], "{case}");
            let token = TokenGrant::of(Token::new("YWMt-next").unwrap(), Some(Expiry::In(HOUR)));
            assert!(sim.step(granted(token)).events().is_empty(), "{case}");
            assert!(quiet(&mut sim, 47 * MINUTE).events().is_empty(), "{case}: and so the next");
        }
    }
}

#[test]
fn a_provided_end_is_judged_by_the_servers_clock_and_never_asked_for_in_a_loop_where_that_is_not_heard() {
    for wall in WRONG {
        let mut sim = by_clock(wall, Expiry::At(T0 + 3_600_000), false, true, by_provider);
        assert!(quiet(&mut sim, 48 * MINUTE - seconds(1)).events().is_empty(), "{wall}");
        assert_eq!(asked(&quiet(&mut sim, seconds(2))).len(), 1, "{wall}");

        let mut sim = by_clock(wall, Expiry::At(T0 + 3_600_000), false, false, by_provider);
        let (began, mut asks) = (sim.now.mono, 0);
        while sim.now.mono < began + DAY {
            let did = quiet(&mut sim, MINUTE);
            assert!(did.reason().is_none() && !did.events().contains(&&EventKind::TokenExpired), "{wall}");
            if sim.is_asking() {
                asks += 1;
                let end = T0 + (sim.now.mono - began).as_millis() as u64 + 3_600_000;
                sim.step(provided(&asks.to_string(), Some(end)));
            }
        }
        assert!(asks <= 40, "{wall}: {asks} asks for 24 lives");
        assert_eq!(sim.engine.state(), ConnectionState::Online);
    }
}

#[test]
fn a_local_clock_that_is_ahead_does_not_end_a_token_that_the_server_takes() {
    let mut sim = Sim::new(config());
    sim.now.wall = T0 + YEAR;
    sim.step(by_token());
    sim.step(Input::Connected);
    sim.frame(&peer::accepted_until(T0 + 3_600_000));
    sim.frame(&peer::unread(&[]));
    assert!(quiet(&mut sim, DAY).events().is_empty(), "nobody says what time it is");
    sim.frame(&peer::unread_at(T0 + 3_000_000));
    let did = quiet(&mut sim, seconds(481));
    assert!(matches!(did.event(), EventKind::TokenWillExpire { expires_in, .. } if *expires_in == seconds(120)));
}

#[test]
fn a_clock_that_steps_in_an_outage_changes_nothing() {
    for wall in WRONG {
        let mut sim = by_clock(T0, Expiry::In(HOUR), false, false, by_password);
        quiet(&mut sim, 30 * MINUTE);
        sim.lose();
        sim.now.wall = wall;
        assert_eq!(sim.due().dialed().len(), 1, "the token has not ended");
        sim.accept();
        sim.frame(&peer::unread(&[]));
        let did = quiet(&mut sim, 20 * MINUTE);
        assert!(matches!(did.event(), EventKind::TokenWillExpire { .. }), "{wall}: {did:?}");
    }
}

// Sends.

#[test]
fn a_message_sent_under_the_floor_of_flapping_has_an_attempt_to_go_with() {
    let mut sim = Sim::online();
    for id in 1..100 {
        sim.step(Input::Lost(LossCause::Ended));
        sim.step(hello(id));
        let did = sim.due();
        assert!(did.outcomes().is_empty(), "it waits for the attempt: {did:?}");
        let did = sim.accept();
        assert!(did.kinds().contains(&"send"), "{id}: {did:?}");
        sim.frame(&peer::answer(id, 0, None));
    }
    // It does not wait for ever.
    sim.lose();
    sim.step(hello(1000));
    let began = sim.now.mono;
    let mut did = Did::default();
    while did.outcomes().is_empty() {
        did = if sim.place() == Place::Connect { sim.lose() } else { sim.due() };
    }
    assert_eq!(sim.now.mono - began, seconds(60 + 60));
}

// Logins.

/// Waits out the pause of a login; how long it was.
fn wait(sim: &mut Sim) -> Duration {
    assert_eq!(sim.place(), Place::Pause);
    let left = sim.left();
    sim.due();
    left
}

#[test]
fn a_login_waits_as_long_as_the_service_asks_within_its_deadline() {
    let overloaded = || not_granted(rest_errors::overloaded());
    let mut sim = Sim::new(config());
    sim.step(by_password());
    // As many as the attempts of a login, and in less than its time.
    for _ in 0..3 {
        assert_eq!(sim.step(overloaded()).opened(), None, "after {:?}", sim.now.mono - seconds(1));
        assert!(wait(&mut sim) >= seconds(7));
    }
    sim.step(fetched(None));
    assert_eq!(sim.accept().opened(), Some(&Ok(())));

    // What would be too late fails at once, with the cause.
    let mut sim = Sim::new(config().login_deadline(seconds(6)));
    sim.step(by_password());
    assert!(matches!(sim.step(overloaded()).open_error(), OpenError::Token { .. }));
}

#[test]
fn discovery_and_the_upgrade_may_ask_for_a_pause_as_well() {
    let mut sim = Sim::new(discovering());
    sim.step(by_token());
    for _ in 0..3 {
        assert_eq!(sim.step(Input::Discovered(Err(rest_errors::nowhere()))).opened(), None);
        assert!(wait(&mut sim) >= seconds(7));
    }
    sim.step(Input::Discovered(Ok(hosts(&["one"]))));
    assert_eq!(sim.accept().opened(), Some(&Ok(())));

    for status in [429, 503] {
        let mut sim = Sim::new(config());
        sim.step(by_token());
        for _ in 0..5 {
            let did = sim.step(Input::Lost(LossCause::UpgradeRefused { status, retry_after: Some(seconds(2)) }));
            assert_eq!(did.opened(), None, "after {:?}", sim.now.mono);
            assert!(wait(&mut sim) >= seconds(2));
        }
        assert_eq!(sim.accept().opened(), Some(&Ok(())));
    }

    // One of nothing does not have the login try for its whole time.
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let did = loop {
        let did = sim.step(Input::Lost(LossCause::UpgradeRefused { status: 503, retry_after: Some(Duration::ZERO) }));
        if did.opened().is_some() {
            break did;
        }
        sim.due();
    };
    assert!(matches!(did.open_error(), OpenError::Unreachable { attempts: 3, .. }), "{did:?}");
}

#[test]
fn what_may_pass_is_tried_three_times_by_a_login_at_rest_as_at_the_socket() {
    for answer in [rest_errors::unavailable, rest_errors::gateway] {
        let mut sim = Sim::new(config());
        sim.step(by_password());
        for _ in 0..2 {
            let did = sim.step(not_granted(answer()));
            assert!(matches!(did.notes()[..], [Diagnostic::LoginRetry { .. }]), "{did:?}");
            assert!(wait(&mut sim) <= seconds(2));
        }
        let did = sim.step(not_granted(answer()));
        assert!(matches!(did.open_error(), OpenError::Token { error, .. } if *error == answer()), "{did:?}");
        assert!(!did.open_error().is_final() && did.events().is_empty());
    }
}

#[test]
fn a_login_that_took_longer_than_its_tokens_life_fetches_another() {
    let mut sim = Sim::new(config());
    sim.step(by_password());
    sim.step(fetched(Some(seconds(5))));
    sim.run(seconds(9));
    sim.lose();
    let did = sim.due();
    assert!(did.0.iter().any(|action| matches!(action, Action::FetchToken { .. })), "{did:?}");
    sim.step(fetched(Some(HOUR)));
    assert_eq!(sim.accept().opened(), Some(&Ok(())));

    // Where its life is not known, the refusal tells.
    let mut sim = Sim::new(config());
    sim.step(by_password());
    sim.step(fetched(None));
    sim.lose();
    sim.due();
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    assert_eq!((asked(&did), did.opened()), (vec![TokenReason::Expired], None));
    sim.step(provided("next", None));
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
}

fn patient() -> ConfigBuilder {
    config().keep_trying_first_login(true)
}

/// One failed attempt of a login, wherever it stands, and the pause after it.
fn fail(sim: &mut Sim, did: &mut Did) {
    let answer = match sim.place() {
        Place::Pause => {
            did.0.extend(sim.due().0);
            return;
        }
        Place::Discovery => Input::Discovered(Err(rest_errors::nowhere())),
        Place::Token if sim.is_asking() => not_provided(),
        Place::Token => not_granted(rest_errors::unavailable()),
        _ => Input::Lost(LossCause::Ended),
    };
    did.0.extend(sim.step(answer).0);
}

#[test]
fn a_first_login_that_is_kept_trying_outlasts_any_outage() {
    for configuration in [patient(), discovering().keep_trying_first_login(true)] {
        for open in KINDS {
            let mut sim = Sim::new(configuration.clone());
            let mut did = sim.step(open());
            while sim.now.mono < 2 * DAY {
                fail(&mut sim, &mut did);
                assert!(matches!(sim.engine.state(), ConnectionState::LoggingIn { .. }), "{did:?}");
            }
            assert!(did.opened().is_none());
            let told = did.events();
            assert!(told.iter().all(|event| matches!(event, EventKind::Reconnecting { .. })));
            assert!((2_000..8_000).contains(&told.len()), "{} attempts in two days", told.len());
            assert!(sim.engine.attempts() > 2_000);
            assert!(sim.step(hello(1)).outcomes()[0].1.is_err(), "nothing is kept before the first login");
            // The service is there.
            let back = sim.now.mono;
            while sim.place() != Place::Online {
                match sim.place() {
                    Place::Discovery => drop(sim.step(Input::Discovered(Ok(hosts(&["one"]))))),
                    Place::Token if sim.is_asking() => drop(sim.step(provided("next", None))),
                    Place::Token => drop(sim.step(fetched(None))),
                    Place::Connect => assert_eq!(sim.accept().opened(), Some(&Ok(()))),
                    _ => drop(sim.due()),
                }
            }
            assert!(sim.now.mono - back <= seconds(60 + 7 + 10));
            assert_eq!(sim.lose().reconnecting().0, 1, "its attempts are not held against the link");
        }
    }
}

#[test]
fn a_first_login_that_is_kept_trying_ends_by_what_is_final_by_close_and_by_a_limit_of_attempts() {
    let mut sim = Sim::new(patient());
    sim.step(by_password());
    let did = sim.step(not_granted(rest_errors::wrong_password()));
    assert!(matches!(did.open_error(), OpenError::Token { .. }) && did.open_error().is_final());

    let mut sim = Sim::new(patient());
    sim.step(by_token());
    for (status, reason) in [(1, None), (7, Some("Sorry, the app online count limit")), (5, None)] {
        sim.step(Input::Connected);
        let did = sim.frame(&peer::refused(status, reason));
        assert!(matches!(did.reconnecting().2, LossCause::Refused(_)), "it may pass: {did:?}");
        sim.due();
    }
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    assert!(matches!(did.open_error(), OpenError::Refused { .. }) && did.open_error().is_final());

    let mut sim = Sim::new(patient());
    sim.step(by_token());
    sim.lose();
    let did = sim.step(Input::Close);
    assert!(matches!(did.open_error(), OpenError::Ended { reason: DisconnectReason::Closed, .. }) && did.closed());

    let mut policy = Reconnect::default();
    policy.max_attempts = Some(7);
    let mut sim = Sim::new(patient().reconnect(policy));
    let mut did = sim.step(by_token());
    while did.opened().is_none() {
        fail(&mut sim, &mut did);
    }
    assert!(matches!(did.open_error(), OpenError::Unreachable { attempts: 7, .. }), "{did:?}");
}

#[test]
fn a_first_login_that_is_kept_trying_gets_a_new_token_where_its_first_has_ended_meanwhile() {
    for life in [Some(HOUR), None] {
        let mut sim = Sim::new(patient());
        let mut did = sim.step(by_password());
        sim.step(fetched(life));
        while sim.now.mono < 2 * HOUR {
            if sim.place() == Place::Token {
                break;
            }
            fail(&mut sim, &mut did);
        }
        if life.is_none() {
            while sim.place() != Place::Connect {
                sim.due();
            }
            sim.step(Input::Connected);
            let did = sim.frame(&peer::refused(6, None));
            assert_eq!(asked(&did), [TokenReason::Expired]);
            sim.step(provided("next", None));
        } else {
            assert_eq!(sim.place(), Place::Token);
            sim.step(fetched(life));
        }
        assert_eq!(sim.accept().opened(), Some(&Ok(())));
    }
}

#[test]
fn a_hint_of_a_changed_network_tries_a_patient_login_at_once() {
    let mut sim = Sim::new(patient());
    let mut did = sim.step(by_token());
    while sim.now.mono < HOUR {
        fail(&mut sim, &mut did);
    }
    while sim.place() != Place::Pause {
        fail(&mut sim, &mut did);
    }
    assert_eq!(sim.step(Input::NetworkChanged).dialed().len(), 1);
    sim.pass(seconds(6));
    assert_eq!(sim.step(Input::NetworkChanged).dialed().len(), 1, "also while one is under way");
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
}

#[test]
fn whether_anything_has_to_be_done_is_told_by_is_final() {
    let user = || "alice".parse().unwrap();
    let unreachable = OpenError::Unreachable { user: user(), attempts: 3, cause: LossCause::Ended };
    let deadline = OpenError::Deadline { user: user(), step: ConnectStep::Token };
    let busy = OpenError::Token { user: user(), error: rest_errors::overloaded() };
    let gateway = OpenError::Token { user: user(), error: rest_errors::gateway() };
    let failed = OpenError::Provider { user: user(), error: ProviderError::new("down").into() };
    for passes in [unreachable, deadline, busy, gateway, failed, OpenError::InProgress { user: user() }] {
        assert!(!passes.is_final(), "{passes}");
    }
    let wrong = OpenError::Token { user: user(), error: rest_errors::wrong_password() };
    let gone = OpenError::Provider { user: user(), error: ProviderError::permanent("gone").into() };
    let empty = OpenError::Credentials(Credentials::token("alice", "").unwrap_err());
    for stays in [wrong, gone, empty, OpenError::AlreadyOpen { user: user() }] {
        assert!(stays.is_final(), "{stays}");
    }
    let attempts = DisconnectReason::AttemptsExhausted { attempts: 1, last: LossCause::Ended };
    assert!(!attempts.is_final() && !DisconnectReason::Closed.is_final());
    assert!(DisconnectReason::TokenExpired.is_final());
    let elsewhere = agora_chat::errors::Kick::LoggedInElsewhere { ext: None };
    assert!(!DisconnectReason::Kicked(elsewhere).is_final());
    assert!(DisconnectReason::Kicked(agora_chat::errors::Kick::PasswordChanged).is_final());
    assert!(DisconnectReason::Rest(rest_errors::wrong_password()).is_final());
}
