//! The way back after a lost link (connection spec §11, issue: full jitter, ladder, limit, hosts).

use std::time::Duration;

use agora_chat::{
    Code, ConfigBuilder, ConnectionState, DisconnectReason, EventKind, LossCause, Reconnect,
    config::Endpoints,
    errors::ConfigError,
    session::{Action, Diagnostic, Input},
};

use crate::{
    login::{discovering, hosts},
    peer, rest_errors,
    sim::{Sim, by_token, config, millis, seconds},
};

fn policy(change: impl FnOnce(&mut Reconnect)) -> ConfigBuilder {
    let mut policy = Reconnect::default();
    change(&mut policy);
    config().reconnect(policy)
}

/// The pauses before the first `n` attempts, none of which succeeds.
fn pauses(sim: &mut Sim, n: u32) -> Vec<Duration> {
    let pause = |attempt: u32| {
        let did = sim.lose();
        let (told, delay, cause) = did.reconnecting();
        assert_eq!((told, cause), (attempt, &LossCause::Ended));
        assert_eq!(sim.engine.state(), ConnectionState::Reconnecting { attempt });
        assert_eq!(sim.left(), delay);
        assert_eq!(sim.due().dialed().len(), 1);
        delay
    };
    (1..=n).map(pause).collect()
}

#[test]
fn the_jitter_is_full_below_a_ceiling_that_doubles_from_1_s_to_60_s() {
    const SEEDS: u64 = 1_000;
    let ceilings = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(seconds);
    let mut shares = vec![Vec::new(); ceilings.len()];
    for seed in 0..SEEDS {
        let mut sim = Sim::seeded(config(), seed);
        sim.step(by_token());
        sim.accept();
        for ((pause, ceiling), shares) in pauses(&mut sim, 9).into_iter().zip(ceilings).zip(&mut shares) {
            assert!(pause <= ceiling, "{pause:?} of {ceiling:?}");
            shares.push(pause.as_secs_f64() / ceiling.as_secs_f64());
        }
    }
    for shares in shares {
        let mean = shares.iter().sum::<f64>() / SEEDS as f64;
        assert!((0.45..0.55).contains(&mean), "even between nothing and the ceiling: {mean}");
        assert!(shares.iter().any(|share| *share < 0.02) && shares.iter().any(|share| *share > 0.98));
    }
}

#[test]
fn every_pause_is_at_least_the_configured_one_and_the_drawn_part_comes_on_top() {
    let config = policy(|policy| (policy.at_least, policy.base, policy.cap) = (seconds(3), seconds(1), seconds(2)));
    let mut sim = Sim::online_with(config);
    let pauses = pauses(&mut sim, 200);
    assert!(pauses[0] <= seconds(4));
    assert!(pauses.iter().all(|pause| (seconds(3)..=seconds(5)).contains(pause)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause > millis(4800)) && pauses.iter().any(|pause| *pause < millis(3200)));
    let mut over = Reconnect::default();
    over.at_least = seconds(24 * 60 * 60 + 1);
    assert!(config_refuses(over));
}

fn config_refuses(policy: Reconnect) -> bool {
    matches!(config().reconnect(policy).build(), Err(ConfigError::Range { what: "the shortest pause", .. }))
}

#[test]
fn the_seed_alone_decides_the_pauses() {
    let drawn = |seed| {
        let mut sim = Sim::seeded(config(), seed);
        sim.step(by_token());
        sim.accept();
        pauses(&mut sim, 20)
    };
    assert_eq!(drawn(3), drawn(3));
    assert_ne!(drawn(3), drawn(4));
}

#[test]
fn attempts_are_unlimited_by_default_and_the_pauses_stay_capped() {
    let mut sim = Sim::online();
    assert!(pauses(&mut sim, 10_000).iter().all(|pause| *pause <= seconds(60)));
}

#[test]
fn base_and_cap_are_configurable() {
    let mut sim = Sim::online_with(policy(|p| (p.base, p.cap) = (millis(10), millis(25))));
    for (pause, ceiling) in pauses(&mut sim, 200).into_iter().zip([10, 20].into_iter().chain(std::iter::repeat(25))) {
        assert!(pause <= millis(ceiling));
    }
}

#[test]
fn a_limit_ends_the_session_with_16_after_so_many_attempts() {
    let mut sim = Sim::online_with(policy(|p| p.max_attempts = Some(3)));
    pauses(&mut sim, 3);
    let did = sim.lose();
    let reason = DisconnectReason::AttemptsExhausted { attempts: 3, last: LossCause::Ended };
    assert_eq!(did.event(), &EventKind::Disconnected { reason: reason.clone() });
    assert_eq!((reason.code(), did.closed()), (Some(Code::DISCONNECTED), true));
    sim.step(by_token());
    assert_eq!(sim.accept().opened(), Some(&Ok(())), "open works again after giving up");
}

#[test]
fn switched_off_the_first_loss_ends_the_session() {
    let mut sim = Sim::online_with(policy(|p| p.enabled = false));
    let reason = DisconnectReason::AttemptsExhausted { attempts: 0, last: LossCause::Ended };
    assert_eq!(sim.lose().event(), &EventKind::Disconnected { reason });
}

#[test]
fn switched_off_a_login_still_has_its_three_attempts() {
    let mut sim = Sim::new(policy(|p| p.enabled = false));
    sim.step(by_token());
    sim.lose();
    sim.due();
    assert_eq!(sim.accept().opened(), Some(&Ok(())));
}

#[test]
fn only_a_link_that_held_for_60_s_starts_the_ladder_anew() {
    for (held, next) in [(millis(0), 5), (millis(59_999), 5), (millis(60_000), 1)] {
        let mut sim = Sim::online();
        pauses(&mut sim, 4);
        sim.accept();
        let end = sim.now.mono + held;
        while sim.now.mono < end {
            sim.pass(seconds(20).min(end - sim.now.mono));
            sim.step(Input::Alive);
        }
        assert_eq!(sim.lose().reconnecting().0, next, "{held:?}");
    }
}

#[test]
fn a_link_that_comes_back_is_told_as_resumed_and_asks_for_its_queues() {
    let mut sim = Sim::online();
    sim.redial();
    let did = sim.accept();
    assert_eq!((did.event(), did.kinds()), (&EventKind::Connected { resumed: true }, vec!["PROVISION", "UNREAD"]));
    assert_eq!(did.opened(), None);
}

#[test]
fn every_cause_of_a_loss_is_told_and_repaired() {
    let closed = |code| LossCause::ClosedByPeer { code, reason: "bye".to_owned() };
    for cause in [
        closed(Some(1000)),
        closed(Some(1001)),
        closed(Some(1011)),
        closed(Some(4001)),
        closed(None),
        LossCause::Ended,
        LossCause::Io("reset".to_owned()),
        LossCause::Protocol("mask".to_owned()),
    ] {
        let mut sim = Sim::online();
        assert_eq!(sim.step(Input::Lost(cause.clone())).reconnecting().2, &cause);
        sim.due();
        sim.accept();
    }
}

#[test]
fn each_attempt_goes_to_the_next_of_several_hosts() {
    let mut sim = Sim::new(config().endpoints(Endpoints::Fixed(hosts(&["one", "two", "three"]))));
    sim.step(by_token());
    sim.accept();
    for next in ["two", "three", "one", "two"] {
        sim.lose();
        assert_eq!(sim.due().dialed(), [format!("ws://{next}.test/websocket")]);
    }
}

#[test]
fn a_pause_the_server_asks_for_is_added_and_is_an_hour_at_most() {
    for (asked, added) in [(Some(90), 90), (Some(3_600), 3_600), (Some(1_000_000), 3_600), (None, 0)] {
        let mut sim = Sim::online();
        sim.redial();
        let retry_after = asked.map(seconds);
        let did = sim.step(Input::Lost(LossCause::UpgradeRefused { status: 503, retry_after }));
        let (attempt, delay, _) = did.reconnecting();
        assert_eq!(attempt, 2);
        assert!((seconds(added)..=seconds(added + 2)).contains(&delay), "{asked:?}: {delay:?}");
        assert_eq!(sim.left(), delay);
    }
}

#[test]
fn unanswered_steps_of_an_attempt_are_failed_attempts() {
    let mut sim = Sim::online();
    sim.redial();
    assert_eq!(sim.left(), seconds(10));
    assert_eq!(sim.due().reconnecting().2, &LossCause::Timeout(agora_chat::errors::ConnectStep::Connect));
    sim.due();
    sim.step(Input::Connected);
    assert_eq!(sim.left(), seconds(10));
    assert_eq!(sim.due().reconnecting().2, &LossCause::Timeout(agora_chat::errors::ConnectStep::Provision));
}

#[test]
fn after_every_5_failed_attempts_the_addresses_are_asked_for_again() {
    let mut sim = Sim::new(discovering());
    sim.step(by_token());
    sim.step(Input::Discovered(Ok(hosts(&["old1", "old2", "old3", "old4"]))));
    sim.accept();
    for attempt in 1..=20 {
        sim.lose();
        let did = sim.due();
        if !matches!(attempt, 6 | 11 | 16) {
            assert_eq!(did.dialed().len(), 1, "attempt {attempt}");
            continue;
        }
        assert!(matches!(did.0[..], [Action::Discover]), "attempt {attempt}");
        assert_eq!(sim.engine.state(), ConnectionState::Reconnecting { attempt });
        let did = sim.step(Input::Discovered(Ok(hosts(&["first", "second", "third"]))));
        assert_eq!(did.dialed(), ["ws://first.test/websocket"]);
    }
}

#[test]
fn discovery_that_fails_keeps_the_old_addresses() {
    let failures: [fn(&mut Sim) -> crate::sim::Did; 2] = [
        |sim| sim.step(Input::Discovered(Err(rest_errors::nowhere()))),
        |sim| sim.step(Input::Discovered(Ok(agora_chat::config::Addresses::default()))),
    ];
    for fails in failures {
        let mut sim = Sim::new(discovering());
        sim.step(by_token());
        sim.step(Input::Discovered(Ok(hosts(&["old"]))));
        sim.accept();
        for _ in 0..6 {
            sim.redial();
        }
        let did = fails(&mut sim);
        assert_eq!(did.dialed(), ["ws://old.test/websocket"]);
        assert!(matches!(did.notes()[..], [Diagnostic::DiscoveryFailed(_)] | []));
        sim.accept();
    }
}

#[test]
fn discovery_has_time_to_ask_every_host_to_its_own_limit() {
    let mut sim = Sim::new(discovering());
    sim.step(by_token());
    sim.step(Input::Discovered(Ok(hosts(&["old"]))));
    sim.accept();
    for _ in 0..6 {
        sim.redial();
    }
    assert!(sim.left() > 2 * seconds(15), "{:?}", sim.left());
    assert!(sim.due().dialed().is_empty());
    assert_eq!(sim.due().dialed(), ["ws://old.test/websocket"], "and is not waited for without end");
}

#[test]
fn fixed_addresses_are_never_asked_for() {
    let mut sim = Sim::online();
    pauses(&mut sim, 50);
}

#[test]
fn a_lost_link_costs_no_second_loss() {
    let mut sim = Sim::online();
    sim.lose();
    assert!(sim.lose().0.is_empty(), "reported twice");
    assert_eq!(sim.due().dialed().len(), 1);
    assert!(sim.frame(&peer::kick(1)).events().is_empty(), "of the old link");
}
