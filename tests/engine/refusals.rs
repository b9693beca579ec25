//! PROVISION refused, row by row (connection spec §6.3), at login and on the way back.

use agora_chat::{
    Credentials, DisconnectReason, EventKind, LossCause, OpenError,
    account::{Token, TokenGrant},
    errors::RefusalKind as K,
    session::Input,
};

use crate::{
    peer,
    sim::{Sim, by_token, config, granted},
};

struct Row {
    status: i32,
    reason: Option<&'static str>,
    code: i32,
    kind: K,
    passes: bool,
}

const fn last(status: i32, reason: Option<&'static str>, code: i32, kind: K) -> Row {
    Row { status, reason, code, kind, passes: false }
}

const fn passing(status: i32, reason: Option<&'static str>, code: i32, kind: K) -> Row {
    Row { status, reason, code, kind, passes: true }
}

/// The table, with the terminal errors that the spec recommends to tell apart.
const ROWS: &[Row] = &[
    last(1, Some("Sorry, token expired"), 56, K::TokenExpired),
    last(1, Some("Sorry, token or password does not match login info"), 28, K::InvalidToken),
    last(1, Some("Sorry, user not found"), 204, K::UserNotFound),
    passing(1, Some("Sorry, user register limit"), 50, K::RegistrationLimit),
    passing(1, Some("Sorry, user register rate limit"), 50, K::RegistrationRateLimit),
    passing(1, Some("anything else"), 2, K::Failed),
    passing(1, None, 2, K::Failed),
    last(2, Some("r"), 2, K::AuthFailed),
    last(2, None, 2, K::AuthFailed),
    passing(3, Some("r"), 2, K::Other),
    last(4, Some("r"), -3, K::WrongParameter),
    passing(5, Some("r"), 2, K::RedirectWithoutAddress),
    last(6, Some("r"), 56, K::TokenExpired),
    passing(7, Some("Sorry, the app month live count limit"), 50, K::MonthlyActiveLimit),
    passing(7, Some("Sorry, the app day live count limit"), 50, K::DailyActiveLimit),
    passing(7, Some("Sorry, the app online count limit"), 50, K::OnlineLimit),
    last(7, Some("r"), 2, K::AuthFailed),
    last(7, None, 2, K::AuthFailed),
    passing(8, Some("r"), 2, K::Other),
    passing(9, None, 2, K::Other),
    passing(10, None, 2, K::Other),
    last(11, Some("r"), 2, K::BoundToAnotherDevice),
    last(12, Some("r"), 57, K::ServingDisabled),
    last(13, Some("r"), 214, K::TooManyDevices),
    passing(14, None, 2, K::Other),
    passing(15, None, 2, K::Other),
    passing(16, None, 2, K::Other),
    passing(17, None, 2, K::Other),
    passing(18, None, 2, K::Other),
    passing(19, None, 2, K::Other),
    last(20, Some("r"), 220, K::DeviceChanged),
    passing(4242, Some("new"), 2, K::Other),
    passing(-1, None, 2, K::Other),
];

#[test]
fn a_refused_login_fails_at_once_with_its_code_and_is_not_repeated() {
    for row in ROWS {
        let mut sim = Sim::new(config());
        sim.step(by_token());
        sim.step(Input::Connected);
        let did = sim.frame(&peer::refused(row.status, row.reason));
        let OpenError::Refused { user, refusal } = did.open_error() else { panic!("{did:?}") };
        assert_eq!((user.as_str(), refusal.kind(), refusal.status()), ("alice", row.kind, row.status));
        assert_eq!((did.open_error().code().number(), refusal.reason()), (row.code, row.reason));
        assert_eq!(did.reason(), Some(&DisconnectReason::Refused(refusal.clone())), "the event tells the same");
        assert!(did.closed() && did.dialed().is_empty() && sim.engine.deadline().is_none());
        assert!(sim.step(by_token()).dialed().len() == 1, "open works again after status {}", row.status);
    }
}

#[test]
fn on_the_way_back_final_refusals_end_the_session_and_passing_ones_are_tried_again() {
    for row in ROWS {
        let mut sim = Sim::online();
        sim.redial();
        sim.step(Input::Connected);
        let did = sim.frame(&peer::refused(row.status, row.reason));
        if row.passes {
            let (attempt, _, cause) = did.reconnecting();
            let LossCause::Refused(refusal) = cause else { panic!("{cause:?}") };
            assert_eq!((attempt, refusal.kind(), cause.code().number()), (2, row.kind, row.code));
            sim.due();
            assert_eq!(sim.accept().events(), [&EventKind::Connected { resumed: true }]);
            continue;
        }
        assert!(did.closed() && sim.engine.deadline().is_none(), "status {}: {did:?}", row.status);
        let reason = did.reason().unwrap();
        assert_eq!(reason.code().unwrap().number(), row.code);
        if row.kind == K::TokenExpired {
            assert_eq!(did.events()[0], &EventKind::TokenExpired);
            assert_eq!(reason, &DisconnectReason::TokenExpired);
        } else {
            assert!(matches!(reason, DisconnectReason::Refused(refusal) if refusal.kind() == row.kind), "{reason:?}");
            assert_eq!(did.events().len(), 1);
        }
    }
}

#[test]
fn known_texts_are_found_inside_longer_ones() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let did = sim.frame(&peer::refused(1, Some("E4: Sorry, token expired (17)")));
    assert_eq!(did.open_error().code().number(), 56);
}

#[test]
fn an_answer_without_a_status_is_a_failed_attempt() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let did = sim.frame(&peer::without_status());
    assert_eq!(did.opened(), None);
    sim.due();
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
}

#[test]
fn a_second_answer_to_provision_changes_nothing() {
    let mut sim = Sim::online();
    for frame in [peer::refused(1, Some("Sorry, token expired")), peer::accepted(), peer::redirect(&[("x.test", 1)])] {
        let did = sim.frame(&frame);
        assert!(did.events().is_empty() && did.kinds().is_empty(), "{did:?}");
    }
}

#[test]
fn what_a_refusal_means_does_not_hang_on_the_users_password() {
    for (password, reason, code) in [
        ("user", "Sorry, user not found", 204),
        ("Sorry", "Sorry, token expired", 56),
        ("token", "Sorry, token or password does not match login info", 28),
    ] {
        let mut sim = Sim::new(config());
        sim.step(Input::Open(Credentials::password("bob", password).unwrap().into()));
        let token = Token::new("YWMt-fetched").unwrap();
        sim.step(granted(TokenGrant::of(token, None)));
        sim.step(Input::Connected);
        let did = sim.frame(&peer::refused(1, Some(reason)));
        let error = did.open_error();
        assert_eq!(error.code().number(), code);
        assert!(error.to_string().contains(reason), "{error}");
    }
}
