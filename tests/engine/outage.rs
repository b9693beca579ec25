//! Hosts that are dead, a service that is away and comes back, and many clients at once.

use std::time::Duration;

use agora_chat::{
    ConfigBuilder, ConnectionState, LossCause,
    config::{Addresses, Endpoints},
    session::{Action, Input},
};

use crate::{
    ledger::Place,
    login::{discovering, hosts},
    rest_errors,
    sim::{Did, Sim, by_token, config, millis, seconds},
};

const HOUR: Duration = seconds(3600);

fn three() -> ConfigBuilder {
    config().endpoints(Endpoints::Fixed(hosts(&["one", "two", "three"])))
}

/// Lets an attempt succeed unless it leads to the dead host, which refuses or keeps silent. Answers the dials.
fn knock(sim: &mut Sim, mut did: Did, dead: &str, silent: bool) -> usize {
    for attempt in 1..10 {
        assert_eq!(did.dialed().len(), 1, "{did:?}");
        if !did.dialed()[0].contains(dead) {
            sim.accept();
            return attempt;
        }
        if silent {
            sim.due();
        } else {
            sim.lose();
        }
        did = sim.due();
    }
    panic!("every attempt went to the dead host");
}

#[test]
fn one_of_three_hosts_dead_costs_a_login_and_every_way_back_one_attempt_at_most() {
    for dead in ["one", "two", "three"] {
        for silent in [false, true] {
            let mut sim = Sim::new(three());
            let did = sim.step(by_token());
            assert!(knock(&mut sim, did, dead, silent) <= 2);
            for _ in 0..100 {
                sim.lose();
                let did = sim.due();
                assert!(knock(&mut sim, did, dead, silent) <= 2, "{dead}");
            }
        }
    }
}

/// Everything fails until `until`: silently or at once. Answers when connections were tried.
fn away(sim: &mut Sim, until: Duration, silent: bool) -> Vec<Duration> {
    let mut tried = Vec::new();
    loop {
        match sim.place() {
            Place::Connect if silent && sim.now.mono + sim.left() < until => drop(sim.due()),
            Place::Connect if silent => return tried,
            Place::Connect => drop(sim.lose()),
            Place::Discovery => {
                sim.step(Input::Discovered(Err(rest_errors::nowhere())));
                tried.push(sim.now.mono);
            }
            Place::Pause if sim.now.mono + sim.left() >= until => return tried,
            Place::Pause => {
                if sim.due().0.iter().any(|action| matches!(action, Action::Connect { .. })) {
                    tried.push(sim.now.mono);
                }
            }
            place => panic!("{place:?}"),
        }
    }
}

#[test]
fn all_hosts_dead_for_an_hour_and_back_are_found_again_within_the_cap_and_one_attempt() {
    for silent in [false, true] {
        for configuration in [three(), discovering()] {
            let mut sim = Sim::new(configuration);
            sim.step(by_token());
            if sim.place() == Place::Discovery {
                sim.step(Input::Discovered(Ok(hosts(&["one", "two"]))));
            }
            sim.accept();
            sim.lose();
            let back = sim.now.mono + HOUR;
            let tried = away(&mut sim, back, silent);
            assert!((60..200).contains(&tried.len()), "{} attempts in an hour", tried.len());
            let gaps = tried.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(gaps.max().unwrap() <= seconds(60 + 10), "on its way all the time");
            assert!(matches!(sim.engine.state(), ConnectionState::Reconnecting { .. }));
            if sim.place() == Place::Connect {
                sim.due();
            }
            if sim.due().dialed().is_empty() {
                sim.step(Input::Discovered(Ok(Addresses::default())));
            }
            sim.accept();
            assert!(sim.now.mono <= back + seconds(60 + 10), "{:?} after it came back", sim.now.mono - back);
        }
    }
}

/// When each of many clients that lose their links in one moment tries again, in seconds after it.
fn attempts_of(clients: u64, time: Duration) -> Vec<f64> {
    let mut tried = Vec::new();
    for seed in 0..clients {
        let mut sim = Sim::seeded(config(), seed);
        sim.step(by_token());
        sim.accept();
        let began = sim.now.mono;
        sim.lose();
        tried.extend(away(&mut sim, began + time, false).into_iter().map(|at| (at - began).as_secs_f64()));
    }
    tried
}

/// The most that fall into any window of this length, in steps of a tenth of it.
fn peak(tried: &[f64], from: f64, to: f64, window: f64) -> usize {
    let step = window / 10.0;
    let mut counts = vec![0_usize; (to / step) as usize + 11];
    for at in tried {
        if let Some(count) = counts.get_mut((at / step) as usize) {
            *count += 1;
        }
    }
    let first = (from / step) as usize;
    counts[first..(to / step) as usize].windows(10).map(|steps| steps.iter().sum()).max().unwrap()
}

/// With full jitter the n-th attempt of a client that is refused at once falls at the sum of n even shares of 1, 2, 4 …
/// s. So 2 000 clients make 2 000 × (1 + 1/4 + 1/48 …) attempts in the first second and no more in any other, at most
/// 2 000 × (1 + 1/2 + 1/16 …) × 0.1 in a tenth of one, and 2 000 / 30 a second once they stand at the cap. The bounds
/// leave more than five standard deviations above that; without jitter all would come in one moment.
#[test]
fn a_restart_under_2_000_clients_brings_at_most_3_000_attempts_in_any_second_and_420_in_any_tenth() {
    let tried = attempts_of(2_000, seconds(600));
    let (second, tenth) = (peak(&tried, 0.0, 600.0, 1.0), peak(&tried, 0.0, 600.0, 0.1));
    assert!((2_200..3_000).contains(&second), "{second} in a second");
    assert!((240..420).contains(&tenth), "{tenth} in a tenth");
    // They thin out as the ladder climbs.
    for (from, most) in [(2.0, 1_500), (5.0, 800), (15.0, 400), (60.0, 180), (180.0, 120)] {
        let peak = peak(&tried, from, 600.0, 1.0);
        assert!(peak <= most, "{peak} in a second after {from} s");
    }
    let late = tried.iter().filter(|at| (300.0..600.0).contains(*at)).count() as f64 / 300.0;
    assert!((60.0..74.0).contains(&late), "{late} a second at the cap, of 66.7 expected");
}

#[test]
fn after_a_long_outage_2_000_clients_come_back_over_the_whole_cap() {
    const CLIENTS: u64 = 2_000;
    let outage = seconds(900);
    let mut back = Vec::new();
    for seed in 0..CLIENTS {
        let mut sim = Sim::seeded(config(), seed);
        sim.step(by_token());
        sim.accept();
        let end = sim.now.mono + outage;
        sim.lose();
        away(&mut sim, end, false);
        sim.due();
        sim.accept();
        back.push((sim.now.mono - end).as_secs_f64());
    }
    // What is left of an even pause of at most 60 s, seen at any moment: the share of second t falls as 1 - t / 60.
    for tenth in 0..10 {
        let (from, to) = (f64::from(tenth) * 6.0, f64::from(tenth) * 6.0 + 6.0);
        let came = back.iter().filter(|at| (from..to).contains(*at)).count() as f64;
        let share = |t: f64| 2.0 * (t / 60.0) - (t / 60.0).powi(2);
        let expected = CLIENTS as f64 * (share(to) - share(from));
        assert!((came - expected).abs() <= 5.0 * expected.sqrt(), "{came} of {expected} from {from} s on");
    }
    assert!(peak(&back, 0.0, 61.0, 1.0) <= 110, "a second's share of the clients is 1/30 at most");
    assert!(back.iter().all(|at| *at <= 60.0));
}

#[test]
fn clients_that_were_all_asked_to_wait_the_same_time_do_not_come_back_in_one_moment() {
    let mut pauses: Vec<Duration> = (0..1_000)
        .map(|seed| {
            let mut sim = Sim::seeded(config(), seed);
            sim.step(by_token());
            sim.accept();
            sim.redial();
            let refused = LossCause::UpgradeRefused { status: 503, retry_after: Some(seconds(30)) };
            sim.step(Input::Lost(refused)).reconnecting().1
        })
        .collect();
    pauses.sort_unstable();
    assert!(pauses[0] >= seconds(30), "nobody before the time asked for");
    let crowd = pauses.iter().filter(|pause| **pause < seconds(30) + millis(200)).count();
    assert!(crowd < 150, "{crowd} of 1 000 in the first 200 ms of 2 s");
}
