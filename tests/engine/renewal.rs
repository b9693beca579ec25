//! Sessions that outlive their tokens: by a provider, and by their password.

use std::{future::Pending, time::Duration};

use agora_chat::{
    Account, Code, ConnectionState, Credentials, DisconnectReason, EventKind, LossCause, OpenError,
    account::{Expiry, Token, TokenGrant, TokenReason, TokenRequest},
    errors::{ConnectStep, ProviderError, TokenError},
    session::{Action, Diagnostic, Input, TokenFetch, TokenSource},
};

use crate::{
    peer, rest_errors,
    sim::{Did, Sim, T0, TOKEN, by_password, by_token, config, granted, hello, millis, not_granted, seconds},
};

const MINUTE: Duration = seconds(60);
const HOUR: Duration = seconds(3600);

/// A provider that is never asked: the answers are inputs.
pub(crate) fn nobody(_: TokenRequest) -> Pending<Result<TokenGrant, ProviderError>> {
    std::future::pending()
}

pub(crate) fn by_provider() -> Input<'static> {
    Input::Open(by_provider_account())
}

pub(crate) fn by_provider_account() -> Account {
    Credentials::provider("alice", nobody).unwrap().into()
}

pub(crate) fn by_token_with_provider() -> Input<'static> {
    Input::Open(Credentials::token("alice", TOKEN).unwrap().with_provider(nobody).into())
}

pub(crate) fn provided(name: &str, expires_at: Option<u64>) -> Input<'static> {
    let token = Token::new(format!("YWMt-{name}")).unwrap();
    granted(TokenGrant::of(token, expires_at.map(Expiry::At)))
}

pub(crate) fn not_provided() -> Input<'static> {
    not_granted(ProviderError::new("out of order"))
}

pub(crate) fn asked(did: &Did) -> Vec<TokenReason> {
    let asks = did.0.iter().filter_map(|action| match action {
        Action::FetchToken { fetch: TokenFetch::Session, request, .. } => Some(request.reason),
        _ => None,
    });
    asks.collect()
}

/// When an ask failed, how long until the next.
fn again(did: &Did) -> Option<Duration> {
    let told = did.notes().into_iter().find_map(|note| match note {
        Diagnostic::TokenNotRenewed { again, .. } => Some(*again),
        _ => None,
    });
    told.expect("the failure is noted")
}

fn answer_heartbeats(sim: &mut Sim, did: &mut Did) {
    if did.kinds().contains(&"UNREAD") {
        did.0.extend(sim.frame(&peer::unread_at(sim.now.wall)).0);
    }
}

/// One deadline further with a peer that answers heartbeats.
fn due(sim: &mut Sim) -> Did {
    let mut did = sim.due();
    answer_heartbeats(sim, &mut did);
    did
}

/// Goes on to the next ask; what happened on the way, the ask included.
pub(crate) fn until_asked(sim: &mut Sim) -> Did {
    let mut did = Did::default();
    while asked(&did).is_empty() {
        did.0.extend(due(sim).0);
        assert_ne!(sim.engine.state(), ConnectionState::LoggedOut, "{did:?}");
    }
    did
}

/// Logged in with a token that lives for an hour, by the given credentials.
pub(crate) fn online(open: Input<'static>) -> Sim {
    let mut sim = Sim::new(config());
    let did = sim.step(open);
    if asked(&did) == [TokenReason::Login] {
        sim.step(provided("first", None));
    }
    sim.step(Input::Connected);
    sim.frame(&peer::accepted_until(T0 + HOUR.as_millis() as u64));
    sim.frame(&peer::unread_at(sim.now.wall));
    assert_eq!(sim.engine.state(), ConnectionState::Online);
    sim
}

/// All three kinds of sessions that renew by themselves.
pub(crate) fn renewing() -> [Sim; 3] {
    [online(by_provider()), online(by_token_with_provider()), online(by_password())]
}

fn in_an_hour(sim: &Sim) -> Option<u64> {
    Some(sim.now.wall + HOUR.as_millis() as u64)
}

#[test]
fn a_session_runs_through_50_token_lives_on_one_link_though_asks_fail_and_hang() {
    for mut sim in renewing() {
        let mut asks = 0;
        for life in 0..50_u32 {
            // In a third of the lives asks fail for a while, in a fifth they get no answer.
            let troubles = if life.is_multiple_of(3) { 1 + life % 7 } else { 0 };
            let mut troubles_left = troubles;
            loop {
                let did = until_asked(&mut sim);
                asks += asked(&did).len();
                assert_eq!(asked(&did), [TokenReason::Expiring]);
                let lost = |event: &&EventKind| !matches!(event, EventKind::TokenWillExpire { .. });
                assert_eq!(did.events().into_iter().find(lost), None);
                assert_eq!((sim.engine.state(), did.dialed().len()), (ConnectionState::Online, 0));
                if troubles_left == 0 {
                    break;
                }
                troubles_left -= 1;
                if !life.is_multiple_of(5) {
                    sim.step(not_provided());
                }
            }
            sim.pass(millis(1500));
            let end = in_an_hour(&sim);
            let did = sim.step(provided(&life.to_string(), end));
            assert!(did.frames().is_empty() && did.events().is_empty(), "the link is not touched: {did:?}");
        }
        assert!(sim.now.mono > 40 * HOUR && asks > 50);
        assert_eq!(sim.engine.token(), Some(&Token::new("YWMt-49").unwrap()));
        sim.redial();
        let frame = sim.step(Input::Connected).frames()[0].clone();
        assert!(frame.windows(7).any(|part| part == b"YWMt-49"), "the next login uses the newest token");
    }
}

#[test]
fn the_source_is_the_provider_where_there_is_one_and_the_password_otherwise() {
    for (open, by_rest) in [
        (by_password(), true),
        (by_provider(), false),
        (Input::Open(Credentials::password("alice", "pw").unwrap().with_provider(nobody).into()), false),
    ] {
        let mut sim = online(open);
        let did = until_asked(&mut sim);
        let ask = did.0.iter().find_map(|action| match action {
            Action::FetchToken { request, from, .. } => Some((request, from)),
            _ => None,
        });
        let (request, from) = ask.unwrap();
        assert_eq!((request.user.as_str(), matches!(from, TokenSource::Password(_))), ("alice", by_rest));
        assert!(matches!(did.events()[..], [EventKind::TokenWillExpire { .. }]), "which fires all the same");
    }
}

#[test]
fn an_ask_is_given_up_at_its_deadline_and_repeated_after_growing_pauses_past_the_tokens_end_as_well() {
    for mut sim in renewing() {
        until_asked(&mut sim);
        let began = sim.now.mono;
        let mut did = Did::default();
        while !did.0.iter().any(|action| matches!(action, Action::DropTokenFetch(TokenFetch::Session))) {
            did = due(&mut sim);
        }
        assert_eq!(sim.now.mono - began, seconds(30));
        for longest in [5, 10, 20, 40, 60, 60] {
            let pause = again(&did).unwrap();
            assert!(pause >= seconds(longest) / 2 && pause <= seconds(longest), "{pause:?} of {longest} s");
            let failed = sim.now.mono;
            until_asked(&mut sim);
            assert_eq!(sim.now.mono - failed, pause);
            did = sim.step(not_provided());
        }
        // A day after its token has ended the session is still there, and asks on.
        let mut asks = 0;
        while sim.now.mono < began + 24 * HOUR {
            let did = due(&mut sim);
            assert!(did.events().is_empty() && did.reason().is_none(), "nothing has ended: {did:?}");
            if !asked(&did).is_empty() {
                asks += 1;
                sim.step(not_provided());
            }
        }
        assert_eq!(sim.engine.state(), ConnectionState::Online);
        assert!((24 * 60..2 * 25 * 60).contains(&asks), "{asks} asks in a day");
        until_asked(&mut sim);
        let end = in_an_hour(&sim);
        assert!(sim.step(provided("at-last", end)).events().is_empty());
        let began = sim.now.mono;
        until_asked(&mut sim);
        let waited = sim.now.mono - began;
        assert!(waited.abs_diff(HOUR / 5 * 4) < millis(2), "the new token's countdown: {waited:?}");
    }
}

#[test]
fn a_wrong_password_is_not_asked_with_again_and_the_session_lives_to_its_end() {
    let mut sim = online(by_password());
    until_asked(&mut sim);
    let did = sim.step(not_granted(rest_errors::wrong_password()));
    assert_eq!((again(&did), sim.engine.state()), (None, ConnectionState::Online));
    let mut did = Did::default();
    while sim.engine.state() == ConnectionState::Online {
        did.0.extend(due(&mut sim).0);
    }
    assert_eq!((asked(&did), did.event()), (vec![], &EventKind::TokenExpired));
    assert_eq!(sim.now.wall, T0 + HOUR.as_millis() as u64);
}

#[test]
fn a_pause_asked_for_by_the_service_is_kept() {
    let mut sim = online(by_password());
    until_asked(&mut sim);
    let did = sim.step(not_granted(rest_errors::overloaded()));
    assert_eq!(again(&did), Some(seconds(7)));
}

#[test]
fn a_token_that_ends_while_the_link_is_down_is_renewed_there_and_used_on_the_way_back() {
    for mut sim in renewing() {
        while sim.now.wall < T0 + 48 * 60_000 - 60_000 {
            due(&mut sim);
        }
        sim.lose();
        let did = loop {
            let did = sim.due();
            if !asked(&did).is_empty() {
                break did;
            }
            if !did.dialed().is_empty() {
                sim.lose();
            }
        };
        assert_eq!(asked(&did), [TokenReason::Expiring]);
        let end = in_an_hour(&sim);
        sim.step(provided("next", end));
        while sim.due().dialed().is_empty() {}
        let frame = sim.step(Input::Connected).frames()[0].clone();
        assert!(frame.windows(9).any(|part| part == b"YWMt-next"));
        sim.frame(&peer::accepted());
        let did = until_asked(&mut sim);
        assert!(did.reason().is_none());
        assert!(sim.now.wall > T0 + 90 * 60_000, "the countdown is the new token's");
    }
}

/// On the way back, and the token was refused.
pub(crate) fn refused(sim: &mut Sim, status: i32, text: &str) -> Did {
    while sim.due().dialed().is_empty() {}
    sim.step(Input::Connected);
    sim.frame(&peer::refused(status, Some(text)))
}

#[test]
fn a_refused_token_is_replaced_once_at_once_and_after_the_second_refusal_by_the_next_attempt() {
    for (status, text, reason) in [
        (1, "Sorry, token expired", TokenReason::Expired),
        (6, "r", TokenReason::Expired),
        (1, "Sorry, token or password does not match login info", TokenReason::Refused),
    ] {
        for mut sim in renewing() {
            for turn in 0..3 {
                sim.lose();
                let did = refused(&mut sim, status, text);
                assert_eq!((asked(&did), did.events().len()), (vec![reason], 0), "{did:?}");
                let did = sim.step(provided(&turn.to_string(), None));
                assert_eq!(did.dialed(), ["ws://one.test/websocket"], "at once");
                assert_eq!(sim.accept().events(), [&EventKind::Connected { resumed: true }]);
                sim.frame(&peer::unread_at(sim.now.wall));
            }
            sim.lose();
            refused(&mut sim, status, text);
            for turn in 3..50 {
                sim.step(provided(&turn.to_string(), None));
                sim.step(Input::Connected);
                let did = sim.frame(&peer::refused(status, Some(text)));
                assert!(matches!(did.reconnecting().2, LossCause::Refused(_)) && asked(&did).is_empty(), "{did:?}");
                assert_eq!(asked(&sim.due()), [reason], "the next attempt begins with an ask");
            }
            sim.step(provided("good", None));
            assert_eq!(sim.accept().events(), [&EventKind::Connected { resumed: true }]);
        }
    }
}

#[test]
fn after_a_refusal_a_failed_ask_is_a_failed_attempt_and_the_sources_last_word_the_end() {
    let answers: [fn(&mut Sim) -> Did; 3] = [
        |sim| sim.step(not_provided()),
        |sim| {
            let token = Token::new("YWMt-first").unwrap();
            sim.step(granted(TokenGrant::of(token, None)))
        },
        |sim| sim.run(seconds(30)),
    ];
    for answer in answers {
        let mut sim = online(by_provider());
        sim.lose();
        refused(&mut sim, 1, "Sorry, token expired");
        for _ in 0..20 {
            let did = answer(&mut sim);
            let (_, _, cause) = did.reconnecting();
            assert!(matches!(cause, LossCause::Token(_)), "{did:?}");
            let mut did = Did::default();
            while asked(&did).is_empty() {
                did = sim.due();
                assert!(did.dialed().is_empty(), "the refused token is not tried again");
            }
            assert_eq!(asked(&did), [TokenReason::Expired]);
        }
        sim.step(provided("next", None));
        assert_eq!(sim.accept().event(), &EventKind::Connected { resumed: true });
    }

    let mut sim = online(by_provider());
    sim.lose();
    refused(&mut sim, 1, "Sorry, token expired");
    let did = sim.step(not_granted(ProviderError::permanent("the user has left")));
    assert!(matches!(
        did.events()[..],
        [EventKind::TokenExpired, EventKind::Disconnected { reason: DisconnectReason::TokenExpired }]
    ));
    assert!(did.closed() && asked(&did).is_empty());

    let mut sim = online(by_password());
    sim.lose();
    refused(&mut sim, 1, "Sorry, token expired");
    let did = sim.step(not_granted(rest_errors::overloaded()));
    let (_, delay, cause) = did.reconnecting();
    assert!(delay >= seconds(7) && matches!(cause, LossCause::Rest { step: ConnectStep::Token, .. }), "{did:?}");

    let mut sim = online(by_password());
    sim.lose();
    refused(&mut sim, 1, "Sorry, token expired");
    let did = sim.step(not_granted(rest_errors::wrong_password()));
    assert_eq!(did.reason(), Some(&DisconnectReason::Rest(rest_errors::wrong_password())));
}

#[test]
fn a_refusal_while_an_ask_is_under_way_waits_for_that_one() {
    let mut sim = online(by_provider());
    until_asked(&mut sim);
    sim.lose();
    let did = refused(&mut sim, 1, "Sorry, token expired");
    assert!(asked(&did).is_empty() && sim.is_asking());
    assert_eq!(sim.step(provided("next", None)).dialed().len(), 1);
    sim.accept();
}

#[test]
fn a_hint_of_a_changed_network_does_not_try_the_refused_token_again() {
    let mut sim = online(by_provider());
    sim.lose();
    refused(&mut sim, 1, "Sorry, token expired");
    let did = sim.step(Input::NetworkChanged);
    assert!(did.dialed().is_empty() && asked(&did).is_empty() && sim.is_asking());
    assert_eq!(sim.step(provided("next", None)).dialed().len(), 1);
}

#[test]
fn a_login_by_a_provider_asks_it_first_and_fails_with_it_after_three_attempts() {
    let mut sim = Sim::new(config());
    let mut did = sim.step(by_provider());
    for _ in 0..2 {
        assert_eq!((asked(&did), did.dialed().len()), (vec![TokenReason::Login], 0));
        let failed = sim.step(not_provided());
        assert!(matches!(failed.notes()[..], [Diagnostic::LoginRetry { .. }]), "{failed:?}");
        did = sim.due();
    }
    let did = sim.step(not_provided());
    let OpenError::Provider { error: TokenError::Provider(error), .. } = did.open_error() else { panic!("{did:?}") };
    assert_eq!((error.to_string().as_str(), did.open_error().code()), ("out of order", Code::OPEN_ERROR));
    assert!(did.closed() && did.events().is_empty());

    // What it has just given is not asked for twice.
    sim.step(by_provider());
    sim.step(provided("bad", None));
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    assert!(matches!(did.open_error(), OpenError::Refused { .. }) && asked(&did).is_empty());
}

#[test]
fn a_login_by_an_old_token_with_a_provider_gets_a_new_one_instead_of_failing() {
    let mut sim = Sim::new(config());
    sim.step(by_token_with_provider());
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("Sorry, token expired")));
    assert_eq!((asked(&did), did.opened()), (vec![TokenReason::Expired], None));
    sim.step(provided("next", None));
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
}

#[test]
fn a_local_clock_that_is_wrong_does_not_end_a_login_by_a_provider() {
    let mut sim = Sim::new(config().connect_timeouts(MINUTE, MINUTE));
    sim.step(by_provider());
    sim.step(provided("first", Some(T0 - 1)));
    assert!(sim.run(seconds(25)).events().is_empty());
    sim.step(Input::Connected);
    sim.frame(&peer::accepted());
    assert!(sim.frame(&peer::unread_at(T0 - HOUR.as_millis() as u64)).events().is_empty());
    until_asked(&mut sim);
}

#[test]
fn a_new_token_that_waited_out_an_outage_may_be_replaced_again() {
    let mut sim = online(by_provider());
    sim.lose();
    refused(&mut sim, 1, "Sorry, token expired");
    sim.step(provided("next", None));
    sim.lose();
    assert_eq!(asked(&refused(&mut sim, 1, "Sorry, token expired")), [TokenReason::Expired]);
}

#[test]
fn an_ask_shows_no_secret() {
    let mut sim = online(by_password());
    let shown = format!("{:?} {:?}", until_asked(&mut sim), sim.engine);
    assert!(shown.contains("FetchToken") && !shown.contains("a-password") && !shown.contains("YWMt-first"), "{shown}");
}

#[test]
fn a_token_found_at_its_end_after_a_suspension_is_asked_for_before_the_session_ends() {
    for answered in [true, false] {
        let mut sim = online(by_provider());
        sim.pass(2 * HOUR);
        let did = sim.step(Input::Tick);
        assert_eq!(asked(&did), [TokenReason::Expiring]);
        assert!(matches!(did.events()[0], EventKind::TokenWillExpire { .. }));
        assert!(!did.events().contains(&&EventKind::TokenExpired));
        if !answered {
            assert!(sim.step(not_provided()).events().is_empty());
            assert!(until_asked(&mut sim).events().is_empty(), "nor when the first ask fails");
        }
        let end = in_an_hour(&sim);
        assert!(sim.step(provided("next", end)).events().is_empty());
    }
}

#[test]
fn tokens_that_live_for_nothing_are_not_asked_for_in_a_loop() {
    let mut sim = online(by_provider());
    let mut asks = 0;
    until_asked(&mut sim);
    let began = sim.now.mono;
    while sim.now.mono < began + MINUTE {
        if sim.is_asking() {
            asks += 1;
            let end = sim.now.wall + 1;
            sim.step(provided(&asks.to_string(), Some(end)));
        } else {
            due(&mut sim);
        }
    }
    assert!((50..=61).contains(&asks), "{asks} asks in a minute");
}

#[test]
fn a_token_given_by_hand_meanwhile_takes_the_place_of_the_one_asked_for() {
    let mut sim = online(by_provider());
    until_asked(&mut sim);
    let end = in_an_hour(&sim).unwrap();
    let token = Token::new("YWMt-by-hand").unwrap();
    let did = sim.renew(token.clone(), end);
    assert!(matches!(did.0[..], [Action::DropTokenFetch(TokenFetch::Session), Action::Renewed { outcome: Ok(_), .. }]));
    assert!(sim.step(provided("late", None)).0.is_empty());
    assert_eq!(sim.engine.token(), Some(&token));
    let began = sim.now.mono;
    until_asked(&mut sim);
    assert_eq!(sim.now.mono - began, HOUR / 5 * 4);
}

#[test]
fn what_a_provider_says_is_noted_without_the_token_it_repeats() {
    let mut sim = online(by_token_with_provider());
    until_asked(&mut sim);
    let did = sim.step(not_granted(ProviderError::new(format!("{TOKEN} is no good"))));
    let Diagnostic::TokenNotRenewed { error, .. } = did.notes()[0] else { panic!("{did:?}") };
    assert_eq!(error.to_string(), "the token provider failed: <redacted> is no good");
    until_asked(&mut sim);
    let long = format!("{}{TOKEN}", "x".repeat(ProviderError::MAX_CHARS - 8));
    let did = sim.step(not_granted(ProviderError::new(long)));
    let Diagnostic::TokenNotRenewed { error: TokenError::Provider(error), .. } = did.notes()[0] else {
        panic!("{did:?}")
    };
    assert!(error.to_string().ends_with("x<redacte"), "{error}");
    assert_eq!(error.to_string().chars().count(), ProviderError::MAX_CHARS);
}

#[test]
fn sends_go_on_while_a_token_is_asked_for_and_close_ends_the_ask() {
    let mut sim = online(by_provider());
    until_asked(&mut sim);
    sim.step(hello(1));
    assert_eq!(sim.frame(&peer::answer(1, 0, None)).outcomes().len(), 1);
    sim.step(Input::Close);
    assert!(sim.step(provided("late", None)).0.is_empty());
    assert!(sim.frame(&peer::logged_out()).closed());

    let mut sim = online(by_provider());
    until_asked(&mut sim);
    sim.step(Input::Lost(LossCause::Ended));
    assert!(sim.step(Input::Close).closed() && sim.engine.deadline().is_none());
}

/// A refusal of a token that was replaced while PROVISION was under way says nothing of the new one.
#[test]
fn a_token_that_came_while_the_old_one_was_being_refused_is_tried_and_not_thrown_away() {
    let refusals = [(1, "Sorry, token expired"), (1, "Sorry, token or password does not match login info")];
    for (status, reason) in refusals {
        // On the way back, without anybody who could give another token.
        let mut sim = Sim::online();
        sim.lose();
        sim.due();
        sim.step(Input::Connected);
        sim.renew(Token::new("YWMt-new").unwrap(), T0 + 3_600_000);
        let did = sim.frame(&peer::refused(status, Some(reason)));
        assert!(matches!(did.0[..], [Action::Hangup, Action::Connect { .. }]), "{did:?}");
        assert_eq!(sim.accept().event(), &EventKind::Connected { resumed: true });

        // At a login.
        let mut sim = Sim::new(config());
        sim.step(by_token());
        sim.step(Input::Connected);
        sim.renew(Token::new("YWMt-new").unwrap(), T0 + 3_600_000);
        let did = sim.frame(&peer::refused(status, Some(reason)));
        assert!(matches!(did.0[..], [Action::Hangup, Action::Connect { .. }]), "{did:?}");
        assert_eq!(sim.accept().opened(), Some(&Ok(())));
    }
}
