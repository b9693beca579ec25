//! The token's countdown (connection spec §10).

use std::time::Duration;

use agora_chat::{
    ConnectionState, DisconnectReason, EventKind,
    account::{Expiry, Token, TokenGrant},
    session::{Action, Input},
};

use crate::{
    peer,
    sim::{Did, Sim, T0, by_password, by_token, config, granted, millis, seconds},
};

const DAY: Duration = seconds(24 * 60 * 60);
const MINUTE: Duration = seconds(60);

/// Lets time pass with a peer that answers heartbeats; its clock is `ahead` of the local one.
fn run_answered(sim: &mut Sim, time: Duration, ahead: i64) -> Did {
    let end = sim.now.mono + time;
    let mut did = Did::default();
    while sim.engine.deadline().is_some_and(|due| due <= end) {
        let due = sim.due();
        let beat = due.kinds().contains(&"UNREAD");
        did.0.extend(due.0);
        if beat {
            let clock = sim.now.wall.saturating_add_signed(ahead);
            did.0.extend(sim.frame(&peer::unread_at(clock)).0);
        }
    }
    sim.pass(end - sim.now.mono);
    did
}

/// Logs in by token; the token ends at `end` by the server's clock, which is `ahead` of the local one.
fn login_until(end: u64, ahead: i64) -> (Sim, Did) {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    let mut did = sim.frame(&peer::accepted_until(end));
    did.0.extend(sim.frame(&peer::unread_at(sim.now.wall.saturating_add_signed(ahead))).0);
    (sim, did)
}

fn renew(sim: &mut Sim, expires_at: u64) -> Did {
    sim.renew(Token::new("YWMt-new").unwrap(), expires_at)
}

fn warning(at: u64, left: Duration) -> EventKind {
    EventKind::TokenWillExpire { at, expires_in: left }
}

fn expired() -> [EventKind; 2] {
    [EventKind::TokenExpired, EventKind::Disconnected { reason: DisconnectReason::TokenExpired }]
}

#[test]
fn the_warning_comes_at_80_percent_and_the_end_at_100_with_a_logout() {
    let mut sim = Sim::online_for(config(), 10 * MINUTE);
    let end = T0 + 600_000;
    assert!(run_answered(&mut sim, 8 * MINUTE - millis(1), 0).events().is_empty());
    assert_eq!(run_answered(&mut sim, millis(1), 0).events(), [&warning(end, 2 * MINUTE)]);
    assert!(run_answered(&mut sim, 2 * MINUTE - millis(1), 0).events().is_empty(), "the warning comes once");
    let did = sim.due();
    assert_eq!((did.events(), did.kinds()), (vec![&EventKind::TokenExpired], vec!["LOGOUT"]));
    assert_eq!(sim.engine.state(), ConnectionState::LoggingOut);
    let did = sim.frame(&peer::logged_out());
    assert_eq!(did.event(), &expired()[1]);
    assert!(did.closed());
}

#[test]
fn a_token_of_60_days_neither_overflows_nor_fires_early() {
    let mut sim = Sim::online_for(config().heartbeat(DAY, DAY), 60 * DAY);
    let end = T0 + u64::try_from((60 * DAY).as_millis()).unwrap();
    assert!(run_answered(&mut sim, 48 * DAY - millis(1), 0).events().is_empty());
    assert_eq!(run_answered(&mut sim, millis(1), 0).events(), [&warning(end, 12 * DAY)]);
    assert!(run_answered(&mut sim, 12 * DAY - millis(1), 0).events().is_empty());
    let events: Vec<_> = sim.run_out().events().into_iter().cloned().collect();
    assert_eq!(events, expired());
}

#[test]
fn a_token_without_an_end_has_no_countdown() {
    let answers = [
        "",
        "{}",
        r#"{"expires_in":0}"#,
        r#"{"expires_in":-1}"#,
        r#"{"expires_in":9223372036854775807}"#,
        r#"{"expires_in":18446744073709551615}"#,
        r#"{"expires_in":1e300}"#,
        "nonsense",
    ];
    for told in answers {
        let mut sim = Sim::new(config().heartbeat(DAY, DAY));
        sim.step(by_token());
        sim.step(Input::Connected);
        sim.frame(&peer::accepted_with(told));
        sim.frame(&peer::unread_at(T0));
        assert!(run_answered(&mut sim, 1000 * DAY, 0).events().is_empty(), "{told}");
    }
}

#[test]
fn a_life_of_nothing_warns_and_ends_with_the_servers_first_clock() {
    for end in [T0, T0 - 1, T0 - 3_600_000, 100_000_000_000] {
        let (mut sim, did) = login_until(end, 0);
        let events: Vec<_> = did.events().into_iter().cloned().collect();
        assert_eq!(events[1..], [warning(end, Duration::ZERO), EventKind::TokenExpired]);
        assert_eq!(did.opened(), Some(&Ok(())), "the login itself has succeeded");
        assert_eq!(sim.run_out().reason(), Some(&DisconnectReason::TokenExpired));
    }
}

#[test]
fn the_servers_clock_decides_where_the_local_one_is_wrong() {
    const HOUR: i64 = 3_600_000;
    for ahead in [-HOUR, HOUR] {
        let end = T0.saturating_add_signed(ahead) + 600_000;
        let (mut sim, did) = login_until(end, ahead);
        assert_eq!(did.events().len(), 1, "Connected alone: {did:?}");
        assert!(run_answered(&mut sim, 8 * MINUTE - millis(1), ahead).events().is_empty());
        assert_eq!(run_answered(&mut sim, millis(1), ahead).events(), [&warning(end, 2 * MINUTE)]);
        assert!(run_answered(&mut sim, 2 * MINUTE, ahead).events().contains(&&EventKind::TokenExpired));
    }
}

#[test]
fn a_renewal_counts_by_the_servers_clock_too() {
    const HOUR: i64 = 3_600_000;
    for ahead in [-HOUR, HOUR] {
        let server = T0.saturating_add_signed(ahead);
        let (mut sim, _) = login_until(server + 600_000, ahead);
        run_answered(&mut sim, 5 * MINUTE, ahead);
        let end = server + 300_000 + 600_000;
        renew(&mut sim, end);
        // No heartbeat is answered in between: the link is busy with messages.
        for second in 0..479 {
            sim.pass(seconds(1));
            assert!(sim.frame(&peer::unread(&[])).0.is_empty());
            assert!(sim.step(Input::Tick).0.is_empty(), "after {second} s, {ahead}");
        }
        sim.pass(seconds(1));
        assert_eq!(sim.step(Input::Tick).event(), &warning(end, 2 * MINUTE), "{ahead}");
    }
}

#[test]
fn a_wall_clock_that_is_set_meanwhile_does_not_matter() {
    let mut sim = Sim::online_for(config(), 10 * MINUTE);
    sim.now.wall += 100 * 3_600_000;
    let ahead = -100 * 3_600_000;
    assert!(run_answered(&mut sim, 8 * MINUTE - millis(1), ahead).events().is_empty());
    sim.now.wall = 0;
    sim.step(Input::Alive);
    assert!(matches!(sim.run(millis(1)).event(), EventKind::TokenWillExpire { .. }));
}

#[test]
fn without_the_servers_clock_the_local_one_decides() {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    sim.step(Input::Connected);
    sim.frame(&peer::accepted_until(T0 + 20_000));
    sim.frame(&peer::unread(&[]));
    assert!(sim.run(seconds(16) - millis(1)).events().is_empty());
    assert_eq!(sim.run(millis(1)).event(), &warning(T0 + 20_000, seconds(4)));
}

#[test]
fn a_token_that_ends_while_the_link_is_down_ends_the_session_without_another_attempt() {
    for steps in 0..3 {
        let mut sim = Sim::online_for(config().connect_timeouts(DAY, DAY), MINUTE);
        sim.lose();
        if steps > 0 {
            sim.due();
        }
        if steps > 1 {
            sim.step(Input::Connected);
        }
        let left = T0 + 60_000 - sim.now.wall;
        let mut did = sim.run(millis(left - 1));
        if steps == 0 {
            // The pause is over before the token is: the attempt is under way, or was.
            assert!(did.dialed().len() <= 1);
        }
        did.0.extend(sim.run(millis(1)).0);
        let events: Vec<_> = did.events().into_iter().cloned().collect();
        assert_eq!(events, [warning(T0 + 60_000, seconds(12)), expired()[0].clone(), expired()[1].clone()]);
        assert!(did.closed() && !did.kinds().contains(&"LOGOUT"), "{did:?}");
        assert_eq!(sim.engine.deadline(), None);
    }
}

#[test]
fn a_token_that_ends_in_a_long_pause_is_not_tried_again() {
    let mut sim = Sim::online_for(config(), MINUTE);
    let refused = agora_chat::LossCause::UpgradeRefused { status: 503, retry_after: Some(seconds(3600)) };
    sim.lose();
    sim.due();
    sim.step(Input::Lost(refused));
    let did = sim.run_out();
    assert_eq!((did.reason(), did.dialed().len()), (Some(&DisconnectReason::TokenExpired), 0));
    assert_eq!(sim.now.wall, T0 + 60_000);
}

#[test]
fn a_renewed_token_starts_a_new_countdown_and_is_the_one_of_the_next_login() {
    let mut sim = Sim::online_for(config(), 10 * MINUTE);
    run_answered(&mut sim, 9 * MINUTE, 0);
    let did = renew(&mut sim, T0 + 540_000 + 600_000);
    assert!(matches!(did.0[..], [Action::Renewed { outcome: Ok(_), .. }]), "no frame is sent: {did:?}");
    assert!(run_answered(&mut sim, 8 * MINUTE - millis(1), 0).events().is_empty());
    assert!(matches!(run_answered(&mut sim, millis(1), 0).event(), EventKind::TokenWillExpire { .. }));
    sim.redial();
    let frame = sim.step(Input::Connected).frames()[0].clone();
    assert!(frame.windows(8).any(|part| part == b"YWMt-new"));
    assert_eq!(sim.engine.token(), Some(&Token::new("YWMt-new").unwrap()));
}

#[test]
fn a_reconnect_does_not_start_the_countdown_anew() {
    let mut sim = Sim::online_for(config(), 10 * MINUTE);
    run_answered(&mut sim, 5 * MINUTE, 0);
    sim.lose();
    sim.pass(sim.left());
    sim.step(Input::Tick);
    sim.step(Input::Connected);
    // A server that tells a later end at each login does not lengthen the life of the token.
    sim.frame(&peer::accepted_until(sim.now.wall + 600_000));
    sim.frame(&peer::unread_at(sim.now.wall));
    let left = T0 + 480_000 - sim.now.wall;
    assert!(run_answered(&mut sim, millis(left) - millis(1), 0).events().is_empty());
    assert_eq!(run_answered(&mut sim, millis(2), 0).event(), &warning(T0 + 600_000, 2 * MINUTE));
}

#[test]
fn a_token_fetched_by_password_ends_as_rest_said_where_provision_does_not_say() {
    let mut sim = Sim::new(config());
    sim.step(by_password());
    let token = Token::new("YWMt").unwrap();
    sim.step(granted(TokenGrant::of(token, Some(Expiry::At(T0 + 600_000)))));
    sim.accept();
    sim.frame(&peer::unread_at(T0));
    assert_eq!(run_answered(&mut sim, 8 * MINUTE, 0).event(), &warning(T0 + 600_000, 2 * MINUTE));
}

#[test]
fn a_renewed_token_without_an_end_forgets_the_end_of_the_one_before() {
    let mut sim = Sim::new(config().heartbeat(DAY, DAY));
    sim.step(by_password());
    let token = Token::new("YWMt").unwrap();
    sim.step(granted(TokenGrant::of(token, Some(Expiry::At(T0 + 600_000)))));
    sim.accept();
    renew(&mut sim, u64::MAX);
    sim.redial();
    sim.accept();
    sim.frame(&peer::unread_at(sim.now.wall));
    assert!(run_answered(&mut sim, 20 * MINUTE, 0).events().is_empty());
}

#[test]
fn a_token_that_ends_while_logging_out_is_not_told() {
    let mut sim = Sim::online_for(config().logout_timeout(MINUTE), seconds(20));
    sim.step(Input::Close);
    sim.pass(seconds(25));
    assert!(sim.step(Input::Tick).0.is_empty());
    assert_eq!(sim.run_out().event(), &EventKind::Disconnected { reason: DisconnectReason::Closed });
}

#[test]
fn the_end_of_a_token_can_be_told_as_a_life_or_in_seconds() {
    for told in [r#"{"expires_in":600}"#, r#"{"expires_in":"1700000600"}"#, r#"{"expires_in":1.7000006e12}"#] {
        let mut sim = Sim::new(config());
        sim.step(by_token());
        sim.step(Input::Connected);
        sim.frame(&peer::accepted_with(told));
        sim.frame(&peer::unread_at(T0));
        assert_eq!(run_answered(&mut sim, 8 * MINUTE, 0).event(), &warning(T0 + 600_000, 2 * MINUTE), "{told}");
    }
}

#[test]
fn close_during_the_farewell_of_an_expired_token_does_not_wait_longer() {
    let mut sim = Sim::online_for(config(), MINUTE);
    run_answered(&mut sim, MINUTE, 0);
    assert_eq!(sim.engine.state(), ConnectionState::LoggingOut);
    let left = sim.left();
    sim.step(Input::Close);
    assert_eq!(sim.left(), left);
    assert!(sim.due().closed());
}
