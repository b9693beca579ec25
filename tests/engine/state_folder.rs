//! What a state folder keeps is read before anything else, and waited for no longer than it may take.

use agora_chat::{
    ConfigBuilder, ConnectionState, DisconnectReason, OpenError, StateDir,
    account::{Expiry, Token, TokenGrant},
    errors::ConnectStep,
    session::{Action, Diagnostic, Input},
};
use tempfile::TempDir;

use crate::{
    ledger::Place,
    sim::{Sim, T0, by_password, by_token, config, seconds},
};

fn kept() -> (TempDir, ConfigBuilder) {
    let dir = tempfile::tempdir().unwrap();
    let config = config().state_dir(StateDir::open(dir.path()).unwrap());
    (dir, config)
}

fn recalled(token: Option<&str>, expires_at: Option<u64>) -> Input<'static> {
    let kept = token.map(|token| TokenGrant::of(Token::new(token).unwrap(), expires_at.map(Expiry::At)));
    Input::Recalled { device: None, kept }
}

fn reading(sim: &mut Sim, open: Input<'_>) {
    let did = sim.step(open);
    assert!(matches!(&did.0[..], [Action::Recall { user, .. }] if user.as_str() == "alice"), "{did:?}");
    assert_eq!(sim.engine.state(), ConnectionState::LoggingIn { step: ConnectStep::State });
}

#[test]
fn a_login_reads_the_folder_first_and_goes_on_with_the_token_kept_there() {
    let (_dir, config) = kept();
    for (token, end, next) in [
        (Some("YWMtkept"), Some(T0 + 60_000), Place::Connect),
        (Some("YWMtkept"), None, Place::Connect),
        (Some("YWMtkept"), Some(T0 - 1), Place::Token),
        (None, None, Place::Token),
    ] {
        let mut sim = Sim::new(config.clone());
        reading(&mut sim, by_password());
        sim.step(recalled(token, end));
        assert_eq!(sim.place(), next, "{token:?} {end:?}");
        let used = sim.engine.token().map(|token| token.expose().to_owned());
        assert_eq!(used.as_deref(), token.filter(|_| next == Place::Connect));
        sim.step(Input::Close);
    }
}

#[test]
fn a_token_given_goes_before_the_one_kept() {
    let mut sim = Sim::new(kept().1);
    reading(&mut sim, by_token());
    sim.step(recalled(Some("YWMtkept"), None));
    assert_eq!(sim.place(), Place::Connect);
    assert_eq!(sim.engine.token().unwrap().expose(), crate::sim::TOKEN);
}

#[test]
fn a_folder_that_does_not_answer_is_waited_for_5_seconds_and_then_the_login_goes_on_without() {
    let mut sim = Sim::new(kept().1);
    reading(&mut sim, by_password());
    assert_eq!(sim.left(), seconds(5));
    let did = sim.due();
    assert_eq!(did.notes(), [&Diagnostic::StateUnread { limit: seconds(5) }]);
    assert!(matches!(did.0.first(), Some(Action::Hangup)), "it is waited for no more: {did:?}");
    assert_eq!(sim.place(), Place::Token);
    // What comes later is too late.
    sim.step(recalled(Some("YWMtkept"), None));
    assert_eq!((sim.place(), sim.engine.token()), (Place::Token, None));
}

#[test]
fn a_login_with_less_time_leaves_half_of_it_for_the_rest() {
    let mut sim = Sim::new(kept().1.login_deadline(seconds(4)));
    reading(&mut sim, by_password());
    assert_eq!(sim.left(), seconds(2));
    sim.due();
    assert_eq!(sim.place(), Place::Token);
}

#[test]
fn a_login_that_is_tried_until_it_succeeds_does_not_wait_for_the_folder_without_end() {
    let mut sim = Sim::new(kept().1.keep_trying_first_login(true));
    reading(&mut sim, by_password());
    assert_eq!(sim.left(), seconds(5));
}

#[test]
fn meanwhile_a_second_login_is_refused_a_hint_waits_and_close_ends_it() {
    let mut sim = Sim::new(kept().1);
    reading(&mut sim, by_password());
    let did = sim.step(by_token());
    assert!(matches!(&did.0[..], [Action::Rejected(OpenError::InProgress { .. })]), "{did:?}");
    for hint in [Input::NetworkChanged, Input::Lost(agora_chat::LossCause::Ended), Input::Alive, Input::Connected] {
        assert!(sim.step(hint).0.is_empty());
        assert_eq!(sim.place(), Place::State);
    }
    let did = sim.step(Input::Close);
    let error = did.open_error();
    assert!(matches!(error, OpenError::Ended { reason: DisconnectReason::Closed, .. }), "{error:?}");
    assert!(did.closed());
    assert!(sim.step(recalled(Some("YWMtkept"), None)).0.is_empty());
}
