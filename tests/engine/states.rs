//! Every state met by every input.

use std::{collections::HashSet, time::Duration};

use agora_chat::{
    Code, Config, ConfigBuilder, DisconnectReason, OpenError,
    account::{Token, TokenGrant},
    config::{Addresses, Endpoints},
    errors::ConnectStep,
    session::{Action, Input},
};

use crate::{
    ledger::Place::{self, Bye, Connect, Discovery, Online, Out, Pause, Provision, Token as TokenStep},
    peer,
    renewal::{not_provided, provided},
    rest_errors,
    sim::{APP, Did, Sim, by_password, config, granted, hello, millis, not_granted, seconds},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Login,
    Resume,
}
pub(crate) use Way::{Login, Resume};

/// Every state, with the way that leads through it.
pub(crate) const STATES: [(Way, Place); 13] = [
    (Login, Out),
    (Login, Discovery),
    (Login, TokenStep),
    (Login, Connect),
    (Login, Provision),
    (Login, Pause),
    (Login, Online),
    (Resume, Pause),
    (Resume, Discovery),
    (Resume, Connect),
    (Resume, Provision),
    (Resume, TokenStep),
    (Resume, Bye),
];

const INPUTS: [&str; 25] = [
    "open",
    "close",
    "discovered",
    "no discovery",
    "token",
    "no token",
    "provided",
    "not provided",
    "refused as expired",
    "at the TLS handshake",
    "at discovery",
    "at PROVISION",
    "connected",
    "accepted",
    "page",
    "logged out",
    "garbage",
    "empty",
    "alive",
    "lost",
    "send",
    "renewed",
    "network changed",
    "early tick",
    "due tick",
];

fn discovering() -> ConfigBuilder {
    let hosts = ["http://a.test", "http://b.test", "http://c.test"].map(str::to_owned).to_vec();
    Config::builder(APP).allow_plaintext().endpoints(Endpoints::Discovery(hosts))
}

fn found() -> Input<'static> {
    let socket = vec!["ws://one.test/websocket".to_owned(), "ws://two.test/websocket".to_owned()];
    Input::Discovered(Ok(Addresses { rest: vec!["http://rest.test".to_owned()], socket }))
}

fn token() -> Input<'static> {
    granted(TokenGrant::of(Token::new("YWMt").unwrap(), None))
}

pub(crate) fn at(way: Way, place: Place) -> Sim {
    let mut sim = Sim::new(discovering());
    let login: [&dyn Fn(&mut Sim) -> Did; 5] = [
        &|sim| sim.step(by_password()),
        &|sim| sim.step(found()),
        &|sim| sim.step(token()),
        &|sim| sim.step(Input::Connected),
        &|sim| {
            sim.frame(&peer::accepted());
            sim.frame(&peer::unread(&[]))
        },
    ];
    for step in login {
        if way == Login && sim.place() == place {
            return sim;
        }
        step(&mut sim);
        if way == Login && place == Pause && sim.place() == Connect {
            sim.lose();
            return sim;
        }
    }
    match place {
        Pause => drop(sim.lose()),
        Connect => drop(sim.redial()),
        Provision => {
            sim.redial();
            sim.step(Input::Connected);
        }
        TokenStep => {
            sim.redial();
            sim.step(Input::Connected);
            give(&mut sim, "refused as expired");
        }
        Discovery => (0..6).for_each(|_| drop(sim.redial())),
        Bye => drop(sim.step(Input::Close)),
        _ => {}
    }
    assert_eq!(sim.place(), place);
    sim
}

fn give(sim: &mut Sim, input: &str) -> Did {
    match input {
        "open" => sim.step(by_password()),
        "close" => sim.step(Input::Close),
        "discovered" => sim.step(found()),
        "no discovery" => sim.step(Input::Discovered(Err(rest_errors::nowhere()))),
        "token" => sim.step(token()),
        "no token" => sim.step(not_granted(rest_errors::wrong_password())),
        "provided" => sim.step(provided("next", None)),
        "not provided" => sim.step(not_provided()),
        "refused as expired" => sim.frame(&peer::refused(1, Some("Sorry, token expired"))),
        "at the TLS handshake" => sim.step(Input::At(ConnectStep::Tls)),
        // Two steps that are not the connection's own: nothing may come of them.
        "at discovery" => sim.step(Input::At(ConnectStep::Discovery)),
        "at PROVISION" => sim.step(Input::At(ConnectStep::Provision)),
        "connected" => sim.step(Input::Connected),
        "accepted" => sim.frame(&peer::accepted()),
        "page" => sim.frame(&peer::page(&peer::user("bob"), vec![peer::text(1, "x")], 4)),
        "logged out" => sim.frame(&peer::logged_out()),
        "garbage" => sim.frame(b"\xff\xff\xff\xff"),
        "empty" => sim.frame(b""),
        "alive" => sim.step(Input::Alive),
        "lost" => sim.lose(),
        "send" => sim.step(hello(3)),
        "renewed" => {
            let expires_at = sim.now.wall + 3_600_000;
            sim.renew(Token::new("YWMt-new").unwrap(), expires_at)
        }
        "network changed" => sim.step(Input::NetworkChanged),
        "early tick" => sim.step(Input::Tick),
        "due tick" if sim.engine.deadline().is_some() => sim.due(),
        "due tick" => sim.step(Input::Tick),
        other => panic!("{other}"),
    }
}

/// Where an input leads; what is not listed leads nowhere.
fn next((way, place): (Way, Place), input: &str) -> Place {
    match (way, place, input) {
        (_, Out, "open") => Discovery,
        (_, Online, "close") => Bye,
        (_, Bye, "close") => Bye,
        (_, _, "close") => Out,
        (Login, Discovery, "discovered") => TokenStep,
        (Login, Discovery, "due tick") => Out,
        (Login, Discovery, "no discovery") => Pause,
        (Resume, Discovery, "discovered" | "no discovery") => Connect,
        (Resume, Discovery, "due tick") => Pause,
        // The one that the session has already is of no use.
        (Resume, TokenStep, "token") => Pause,
        (_, TokenStep, "token" | "provided" | "renewed") => Connect,
        // A wrong password is the source's last word.
        (Login, TokenStep, "no token" | "due tick") | (Resume, TokenStep, "no token") => Out,
        (Login, TokenStep, "not provided") => Pause,
        // The password of the session gets one new token.
        (Resume, Provision, "refused as expired") => TokenStep,
        (Login, Provision, "refused as expired") => Out,
        (Resume, TokenStep, "not provided" | "due tick") => Pause,
        (_, Connect, "connected") => Provision,
        (_, Connect, "lost" | "due tick") => Pause,
        (_, Provision, "accepted") => Online,
        (_, Provision, "lost" | "due tick") => Pause,
        (_, Pause, "due tick") => Connect,
        (_, Pause | Provision, "network changed") | (Resume, Discovery, "network changed") => Connect,
        (_, Online, "lost") => Pause,
        (_, Bye, "lost" | "logged out" | "due tick") => Out,
        (_, place, _) => place,
    }
}

#[test]
fn every_input_in_every_state_leads_to_the_one_legal_next_state() {
    for (way, place) in STATES {
        for input in INPUTS {
            let mut sim = at(way, place);
            let did = give(&mut sim, input);
            assert_eq!(sim.place(), next((way, place), input), "{input} at {place:?} ({way:?}): {did:?}");
        }
    }
}

#[test]
fn every_pair_of_inputs_in_every_state_keeps_every_promise() {
    let mut seen = HashSet::new();
    for (way, place) in STATES {
        for first in INPUTS {
            for second in INPUTS {
                let mut sim = at(way, place);
                give(&mut sim, first);
                seen.insert(sim.place());
                give(&mut sim, second);
                sim.step(Input::Close);
                sim.run_out();
            }
        }
    }
    assert_eq!(seen.len(), 8, "every place was met: {seen:?}");
}

#[test]
fn close_ends_every_state_within_the_logout_timeout_and_leaves_nothing_timed() {
    for (way, place) in STATES {
        let mut sim = at(way, place);
        let began = sim.now.mono;
        let mut did = give(&mut sim, "close");
        did.0.extend(sim.run_out().0);
        assert!(did.closed(), "{place:?}: {did:?}");
        assert!(matches!(did.0.last(), Some(Action::Closed)), "nothing follows the end: {did:?}");
        let limit = if matches!(place, Online | Bye) { seconds(2) } else { Duration::ZERO };
        assert!(sim.now.mono - began <= limit);
        assert_eq!((sim.place(), sim.engine.deadline()), (Out, None));
        if place != Out {
            assert_eq!(did.reason(), Some(&DisconnectReason::Closed), "{place:?}");
        }
        for input in ["connected", "accepted", "lost", "due tick", "alive"] {
            assert!(give(&mut sim, input).0.is_empty(), "{input} after the end");
        }
        assert_eq!(give(&mut sim, "open").opened(), None, "a new login begins");
        let known = !matches!((way, place), (Login, Out | Discovery));
        assert_eq!(sim.place(), if known { TokenStep } else { Discovery }, "addresses are kept");
    }
}

#[test]
fn open_while_logging_in_is_1_and_while_logged_in_208_and_changes_nothing() {
    for (way, place) in STATES.into_iter().filter(|(_, place)| *place != Out) {
        let mut sim = at(way, place);
        let before = sim.engine.deadline();
        let did = give(&mut sim, "open");
        let code = match (way, place) {
            (Login, Online) | (Resume, _) => Code::USER_ALREADY_LOGIN,
            (Login, _) => Code::OPEN_ERROR,
        };
        assert!(matches!(&did.0[..], [Action::Rejected(error)] if error.code() == code), "{place:?}: {did:?}");
        assert_eq!((sim.place(), sim.engine.deadline()), (place, before));
    }
}

#[test]
fn close_during_a_login_tells_the_caller_of_open_that_it_was_ended() {
    for place in [Discovery, TokenStep, Connect, Provision, Pause] {
        let did = give(&mut at(Login, place), "close");
        let ended = matches!(did.open_error(), OpenError::Ended { reason: DisconnectReason::Closed, .. });
        assert!(ended, "{place:?}: {did:?}");
    }
}

#[test]
fn logging_out_ends_with_the_answer_the_end_of_the_link_or_the_deadline() {
    for (input, after) in [("logged out", millis(0)), ("lost", millis(0)), ("due tick", seconds(2))] {
        let mut sim = at(Resume, Bye);
        let began = sim.now.mono;
        let did = give(&mut sim, input);
        assert!(did.closed(), "{input}");
        assert_eq!(sim.now.mono - began, after, "{input}");
    }
}

#[test]
fn without_patience_for_the_answer_logging_out_takes_one_tick() {
    let mut sim = Sim::online_with(config().logout_timeout(Duration::ZERO));
    assert_eq!(sim.step(Input::Close).kinds(), ["LOGOUT"]);
    assert_eq!(sim.left(), Duration::ZERO);
    assert!(sim.due().closed());
}
