//! Tokens that the application gives while a session lasts: their ends are asked for in turn, and kept with the account.

use agora_chat::{
    DisconnectReason, RequestError,
    account::{Expiry, Token, TokenGrant},
    errors::{ConnectionError, RestErrorKind, TokenError},
    session::{Action, Engine, Input, TokenFetch, TokenSource},
    store::StateDir,
};

use crate::{
    peer, rest_errors,
    sim::{Did, Sim, T0, TOKEN, by_password, by_token, config, granted, millis, seconds},
};

/// How long REST may take for the end of a token: eight hosts, 15 s each.
const LIMIT: std::time::Duration = seconds(8 * 15);

fn token(name: &str) -> Token {
    Token::new(format!("YWMt-{name}")).unwrap()
}

fn give(sim: &mut Sim, name: &str) -> Did {
    let renewal = sim.next_renewal();
    sim.step(Input::RenewToken { renewal, token: token(name) })
}

fn answer(sim: &mut Sim, result: Result<TokenGrant, TokenError>) -> Did {
    sim.step(Input::TokenReady { fetch: TokenFetch::Application, result })
}

fn ends(name: &str, at: u64) -> Result<TokenGrant, TokenError> {
    Ok(TokenGrant::of(token(name), Some(Expiry::At(at))))
}

/// The tokens whose ends are asked for.
fn asked(did: &Did) -> Vec<&str> {
    let asked = did.0.iter().filter_map(|action| match action {
        Action::FetchToken { fetch: TokenFetch::Application, from: TokenSource::Given(token), .. } => {
            Some(token.expose())
        }
        _ => None,
    });
    asked.collect()
}

fn outcomes(did: &Did) -> Vec<(u64, &Result<u64, RequestError>)> {
    let outcomes = did.0.iter().filter_map(|action| match action {
        Action::Renewed { renewal, outcome } => Some((*renewal, outcome)),
        _ => None,
    });
    outcomes.collect()
}

#[test]
fn ends_are_asked_for_in_turn_and_the_last_token_given_stays() {
    let mut sim = Sim::online();
    assert_eq!(asked(&give(&mut sim, "a")), ["YWMt-a"]);
    assert!(give(&mut sim, "b").0.is_empty(), "one at a time");
    let did = answer(&mut sim, ends("a", T0 + 1_000_000));
    assert_eq!((outcomes(&did), asked(&did)), (vec![(1, &Ok(T0 + 1_000_000))], vec!["YWMt-b"]));
    assert_eq!(sim.engine.token(), Some(&token("a")));
    answer(&mut sim, ends("b", T0 + 2_000_000));
    assert_eq!((sim.engine.token(), sim.engine.token_expires_at()), (Some(&token("b")), Some(T0 + 2_000_000)));
}

#[test]
fn a_token_whose_end_cannot_be_had_changes_nothing() {
    let mut sim = Sim::online();
    give(&mut sim, "a");
    let did = answer(&mut sim, Err(rest_errors::overloaded().into()));
    assert!(matches!(did.0[..], [Action::Renewed { renewal: 1, outcome: Err(RequestError::Rest(_)) }]), "{did:?}");
    assert_eq!(sim.engine.token().unwrap().expose(), TOKEN);
}

#[test]
fn sixteen_wait_and_one_more_is_busy() {
    let mut sim = Sim::online();
    for n in 0..Engine::RENEWALS {
        assert!(outcomes(&give(&mut sim, &n.to_string())).is_empty());
    }
    let did = give(&mut sim, "more");
    assert!(matches!(outcomes(&did)[..], [(17, Err(RequestError::Connection(ConnectionError::Busy)))]), "{did:?}");
    answer(&mut sim, ends("0", T0 + 1_000_000));
    assert!(outcomes(&give(&mut sim, "again")).is_empty(), "there is a place again");
    assert_eq!(outcomes(&sim.step(Input::Abort(agora_chat::errors::ActorEnd::Stopped))).len(), 16);
}

#[test]
fn an_end_that_does_not_come_is_given_up_and_the_next_one_asked_for() {
    let mut sim = Sim::online();
    give(&mut sim, "a");
    give(&mut sim, "b");
    let began = sim.now.mono;
    let did = loop {
        let did = sim.due();
        if did.kinds().contains(&"UNREAD") {
            sim.frame(&peer::unread(&[]));
        }
        if !outcomes(&did).is_empty() {
            break did;
        }
    };
    assert_eq!(sim.now.mono - began, LIMIT);
    let [(1, Err(RequestError::Rest(error)))] = outcomes(&did)[..] else { panic!("{did:?}") };
    assert_eq!(*error.kind(), RestErrorKind::Timeout(LIMIT));
    assert!(did.0.iter().any(|action| matches!(action, Action::DropTokenFetch(TokenFetch::Application))));
    assert_eq!(asked(&did), ["YWMt-b"]);
    assert_eq!(sim.engine.token().unwrap().expose(), TOKEN);
}

#[test]
fn one_whose_giver_has_gone_takes_no_place_of_a_later_one() {
    let mut sim = Sim::online();
    give(&mut sim, "a");
    give(&mut sim, "b");
    give(&mut sim, "c");
    assert!(sim.step(Input::CancelRenewal { renewal: 2 }).0.is_empty(), "it was not asked for yet");
    let did = sim.step(Input::CancelRenewal { renewal: 1 });
    assert!(matches!(did.0[0], Action::DropTokenFetch(TokenFetch::Application)));
    assert_eq!((asked(&did), outcomes(&did).len()), (vec!["YWMt-c"], 0));
    assert!(sim.step(Input::CancelRenewal { renewal: 1 }).0.is_empty());
}

#[test]
fn the_end_of_the_session_answers_all_of_them_and_without_one_none_is_taken() {
    let mut sim = Sim::online();
    give(&mut sim, "a");
    give(&mut sim, "b");
    sim.lose();
    let did = sim.step(Input::Close);
    let told = outcomes(&did);
    assert!(matches!(told[..], [(1, Err(RequestError::NotLoggedIn)), (2, Err(RequestError::NotLoggedIn))]), "{did:?}");
    assert!(answer(&mut sim, ends("a", T0)).0.is_empty());
    let renewal = 9;
    let mut out = Vec::new();
    sim.engine.step(Input::RenewToken { renewal, token: token("c") }, sim.now, &mut out);
    assert!(matches!(out[..], [Action::Renewed { renewal: 9, outcome: Err(RequestError::NotLoggedIn) }]), "{out:?}");
}

/// What is to be kept of the account.
fn kept(did: &Did) -> Vec<Option<(&str, Option<Expiry>)>> {
    let kept = did.0.iter().filter_map(|action| match action {
        Action::TokenChanged(grant) => Some(Some((grant.token.expose(), grant.expires_at))),
        Action::ForgetToken => Some(None),
        _ => None,
    });
    kept.collect()
}

fn with_state_folder() -> (tempfile::TempDir, Sim) {
    let dir = tempfile::tempdir().unwrap();
    let mut sim = Sim::new(config().state_dir(StateDir::open(dir.path()).unwrap()));
    sim.step(by_password());
    sim.step(Input::Recalled { device: None, kept: None });
    assert!(kept(&sim.step(granted(TokenGrant::of(token("first"), None)))).is_empty(), "not before it is accepted");
    sim.step(Input::Connected);
    (dir, sim)
}

#[test]
fn a_token_is_kept_once_it_is_accepted_and_whenever_it_or_its_end_changes() {
    let (_dir, mut sim) = with_state_folder();
    let did = sim.frame(&peer::accepted_until(T0 + 1_000_000));
    assert_eq!(kept(&did), [Some(("YWMt-first", Some(Expiry::At(T0 + 1_000_000))))]);
    assert!(kept(&sim.frame(&peer::unread_at(sim.now.wall))).is_empty(), "nothing has changed");
    sim.lose();
    let did = sim.renew(token("next"), T0 + 2_000_000);
    assert_eq!(kept(&did), [Some(("YWMt-next", Some(Expiry::At(T0 + 2_000_000))))]);
}

#[test]
fn a_life_is_kept_as_a_moment_once_the_servers_clock_is_heard() {
    let (_dir, mut sim) = with_state_folder();
    sim.frame(&peer::accepted());
    give(&mut sim, "life");
    let life = Ok(TokenGrant::new("YWMt-life").unwrap().expires_in(seconds(1000)));
    assert_eq!(kept(&answer(&mut sim, life)), [Some(("YWMt-life", None))]);
    sim.pass(millis(500));
    let did = sim.frame(&peer::unread_at(T0 + 500));
    assert_eq!(kept(&did), [Some(("YWMt-life", Some(Expiry::At(T0 + 1_000_000))))]);
}

#[test]
fn a_token_that_ends_with_its_session_is_forgotten_and_no_other() {
    for (code, dead) in [(1, true), (3, true), (2, false)] {
        let (_dir, mut sim) = with_state_folder();
        sim.frame(&peer::accepted());
        let did = sim.frame(&peer::kick(code));
        assert!(matches!(did.reason(), Some(DisconnectReason::Kicked(_))), "{did:?}");
        assert_eq!(kept(&did), if dead { vec![None] } else { vec![] }, "{code}");
    }
    let (_dir, mut sim) = with_state_folder();
    sim.frame(&peer::accepted());
    sim.lose();
    assert!(kept(&sim.step(Input::Close)).is_empty());
}

#[test]
fn without_a_state_folder_nothing_is_said_of_keeping() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let mut did = sim.frame(&peer::accepted_until(T0 + 1_000_000));
    did.0.extend(sim.frame(&peer::kick(1)).0);
    assert!(kept(&did).is_empty());
}
