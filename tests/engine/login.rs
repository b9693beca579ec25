//! The login: attempts, deadline, discovery and token.

use agora_chat::{
    Code, Config, ConfigBuilder, ConnectionState, LossCause, OpenError,
    account::{Token, TokenGrant},
    config::{Addresses, Endpoints},
    errors::ConnectStep,
    session::{Action, Diagnostic, Input},
};

use crate::{
    ledger::Place,
    peer, rest_errors,
    sim::{APP, Sim, by_password, by_token, config, granted, hello, millis, not_granted, seconds},
};

pub(crate) fn hosts(names: &[&str]) -> Addresses {
    let socket = names.iter().map(|name| format!("ws://{name}.test/websocket")).collect();
    Addresses { rest: vec!["http://rest.test".to_owned()], socket }
}

pub(crate) fn discovering() -> ConfigBuilder {
    let hosts = ["http://a.test", "http://b.test"].map(str::to_owned).to_vec();
    Config::builder(APP).allow_plaintext().endpoints(Endpoints::Discovery(hosts))
}

fn fetched() -> Input<'static> {
    granted(TokenGrant::of(Token::new("YWMt").unwrap(), None))
}

#[test]
fn a_login_by_password_walks_through_discovery_token_connect_and_provision() {
    let mut sim = Sim::new(discovering());
    let step = |sim: &Sim| sim.engine.state();
    assert!(matches!(sim.step(by_password()).0[..], [Action::Discover]));
    assert_eq!(step(&sim), ConnectionState::LoggingIn { step: ConnectStep::Discovery });
    let did = sim.step(Input::Discovered(Ok(hosts(&["one"]))));
    assert!(matches!(&did.0[..], [Action::FetchToken { request, .. }] if request.user.as_str() == "alice"));
    assert_eq!(step(&sim), ConnectionState::LoggingIn { step: ConnectStep::Token });
    assert_eq!(sim.step(fetched()).dialed(), ["ws://one.test/websocket"]);
    assert_eq!(step(&sim), ConnectionState::LoggingIn { step: ConnectStep::Connect });
    assert_eq!(sim.step(Input::Connected).kinds(), ["PROVISION"]);
    assert_eq!(step(&sim), ConnectionState::LoggingIn { step: ConnectStep::Provision });
    assert_eq!(sim.frame(&peer::accepted()).opened(), Some(&Ok(())));
    assert_eq!(step(&sim), ConnectionState::Online);
}

#[test]
fn a_token_and_fixed_addresses_need_no_rest_call() {
    assert_eq!(Sim::new(config()).step(by_token()).dialed(), ["ws://one.test/websocket"]);
}

#[test]
fn three_attempts_are_made_each_at_the_next_host_and_then_the_login_fails() {
    let mut sim = Sim::new(config().endpoints(Endpoints::Fixed(hosts(&["one", "two"]))));
    let mut dialed: Vec<String> = sim.step(by_token()).dialed().iter().map(|url| (*url).to_owned()).collect();
    for attempt in 2..=3 {
        let did = sim.lose();
        let [Diagnostic::LoginRetry { attempt: next, delay, cause: LossCause::Ended }] = did.notes()[..] else {
            panic!("{did:?}")
        };
        assert_eq!((*next, sim.left()), (attempt, *delay));
        assert!(did.events().is_empty(), "no event before the login succeeds");
        dialed.extend(sim.due().dialed().iter().map(|url| (*url).to_owned()));
    }
    assert_eq!(dialed, ["ws://one.test/websocket", "ws://two.test/websocket", "ws://one.test/websocket"]);
    let did = sim.lose();
    let OpenError::Unreachable { attempts: 3, cause: LossCause::Ended, .. } = did.open_error() else {
        panic!("{did:?}")
    };
    assert_eq!(did.open_error().code(), Code::DISCONNECTED);
    assert!(did.events().is_empty() && did.closed());
}

#[test]
fn the_third_attempt_may_succeed() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.lose();
    sim.due();
    sim.lose();
    sim.due();
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
    assert_eq!(sim.lose().reconnecting().0, 1, "attempts of the login are not held against the link");
}

#[test]
fn the_pauses_between_attempts_are_at_most_1_and_2_s() {
    for seed in 0..50 {
        let mut sim = Sim::seeded(config(), seed);
        sim.step(by_token());
        sim.lose();
        assert!(sim.left() <= seconds(1));
        sim.due();
        sim.lose();
        assert!(sim.left() <= seconds(2));
    }
}

#[test]
fn unanswered_steps_fail_with_a_timeout_that_names_the_step() {
    let short = config().login_deadline(seconds(3600));
    for (connected, step) in [(false, ConnectStep::Connect), (true, ConnectStep::Provision)] {
        let mut sim = Sim::new(short.clone());
        sim.step(by_token());
        for _ in 0..2 {
            if connected {
                sim.step(Input::Connected);
            }
            assert_eq!(sim.left(), seconds(10));
            sim.due();
            sim.due();
        }
        if connected {
            sim.step(Input::Connected);
        }
        let did = sim.due();
        let OpenError::Unreachable { cause: LossCause::Timeout(named), .. } = did.open_error() else {
            panic!("{did:?}")
        };
        assert_eq!((*named, did.open_error().code()), (step, Code::REQUEST_TIMEOUT));
    }
}

#[test]
fn a_timeout_of_the_connection_names_how_far_it_got() {
    for step in [ConnectStep::Tls, ConnectStep::Upgrade] {
        let mut sim = Sim::online();
        sim.redial();
        sim.pass(seconds(4));
        assert!(sim.step(Input::At(step)).0.is_empty());
        assert_eq!(sim.left(), seconds(6), "the limit is one for all of it");
        assert_eq!(sim.due().reconnecting().2, &LossCause::Timeout(step));
        let mut sim = Sim::new(config());
        sim.step(by_token());
        sim.step(Input::At(step));
        assert_eq!(sim.engine.state(), ConnectionState::LoggingIn { step });
        assert_eq!(sim.accept().opened(), Some(&Ok(())));
    }
}

#[test]
fn the_deadline_of_the_login_as_a_whole_names_the_step_under_way() {
    let wait = |sim: &mut Sim| sim.run(seconds(30)).open_error().clone();
    let is = |error: OpenError, step| {
        assert!(matches!(error, OpenError::Deadline { step: named, .. } if named == step), "{error:?}");
        assert_eq!(error.code(), Code::REQUEST_TIMEOUT);
    };
    let mut sim = Sim::new(discovering());
    sim.step(by_password());
    is(wait(&mut sim), ConnectStep::Discovery);
    sim.step(by_password());
    sim.step(Input::Discovered(Ok(hosts(&["one"]))));
    is(wait(&mut sim), ConnectStep::Token);
    sim.step(by_token());
    is(wait(&mut sim), ConnectStep::Discovery);
    let mut sim = Sim::new(config());
    sim.step(by_token());
    is(wait(&mut sim), ConnectStep::Connect);
    let mut sim = Sim::new(config().connect_timeouts(seconds(10), seconds(60)));
    sim.step(by_token());
    sim.step(Input::Connected);
    is(wait(&mut sim), ConnectStep::Provision);
}

#[test]
fn the_deadline_is_kept_to_the_millisecond_and_bounds_the_whole_login() {
    let mut sim = Sim::new(config().login_deadline(millis(1234)));
    sim.step(by_token());
    assert!(sim.run(millis(1233)).0.is_empty());
    assert!(sim.run(millis(1)).closed());
}

#[test]
fn a_pause_asked_for_that_the_deadline_does_not_allow_ends_the_login_at_once() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let cause = LossCause::UpgradeRefused { status: 503, retry_after: Some(seconds(60)) };
    let did = sim.step(Input::Lost(cause.clone()));
    assert!(matches!(did.open_error(), OpenError::Unreachable { attempts: 1, cause: c, .. } if *c == cause), "{did:?}");
}

#[test]
fn a_pause_asked_for_is_waited_for_within_the_deadline() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Lost(LossCause::UpgradeRefused { status: 429, retry_after: Some(seconds(7)) }));
    assert!((seconds(7)..=seconds(8)).contains(&sim.left()), "{:?}", sim.left());
}

#[test]
fn discovery_that_fails_for_longer_than_the_deadline_fails_the_login_with_304() {
    let mut sim = Sim::new(discovering().login_deadline(seconds(10)));
    sim.step(by_token());
    sim.step(Input::Discovered(Err(rest_errors::nowhere())));
    sim.due();
    let did = sim.step(Input::Discovered(Err(rest_errors::nowhere())));
    assert!(matches!(did.open_error(), OpenError::Discovery { .. }));
    assert_eq!(did.open_error().code(), Code::DISCOVERY_FAILED);
    assert!(did.events().is_empty());
}

#[test]
fn a_token_request_that_fails_fails_the_login_without_an_event() {
    for error in [rest_errors::wrong_password(), rest_errors::overloaded()] {
        // Too short for the pause that the second one asks for.
        let mut sim = Sim::new(config().login_deadline(seconds(5)));
        sim.step(by_password());
        let did = sim.step(not_granted(error.clone()));
        assert!(matches!(did.open_error(), OpenError::Token { error: told, .. } if *told == error));
        assert!(did.events().is_empty() && did.closed());
    }
}

#[test]
fn the_token_is_fetched_once_for_all_attempts() {
    let mut sim = Sim::new(config());
    sim.step(by_password());
    sim.step(fetched());
    sim.lose();
    assert_eq!(sim.due().dialed().len(), 1);
}

#[test]
fn addresses_once_found_serve_the_next_login_unless_the_last_one_failed_on_them() {
    let mut sim = Sim::new(discovering());
    sim.step(by_token());
    sim.step(Input::Discovered(Ok(hosts(&["one"]))));
    sim.accept();
    sim.step(Input::Close);
    sim.frame(&peer::logged_out());
    assert_eq!(sim.step(by_token()).dialed(), ["ws://one.test/websocket"], "found before");
    while sim.place() != Place::Out {
        sim.lose();
        if sim.place() == Place::Pause {
            sim.due();
        }
    }
    assert!(matches!(sim.step(by_token()).0[..], [Action::Discover]), "they may have moved");
}

#[test]
fn an_empty_list_of_addresses_is_a_failed_attempt_that_asks_again() {
    let mut sim = Sim::new(discovering());
    sim.step(by_token());
    let did = sim.step(Input::Discovered(Ok(Addresses::default())));
    assert!(matches!(did.notes()[..], [Diagnostic::LoginRetry { .. }]), "{did:?}");
    assert!(matches!(sim.due().0[..], [Action::Discover]));
}

#[test]
fn nothing_can_be_sent_during_a_login() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let did = sim.step(hello(1));
    assert_eq!(did.outcomes()[0].1.as_ref().unwrap_err().code(), Code::CONNECTION_CLOSED);
}
