//! A day with a thousand losses.

use agora_chat::{ConnectionState, EventKind, session::Input};

use crate::{
    peer,
    sim::{Did, Sim, config, hello, millis, pending_sends, seconds},
};

#[test]
fn a_day_with_1_000_losses_ends_online_with_nothing_left_over() {
    let mut sim = Sim::online_for(config(), seconds(7 * 24 * 60 * 60));
    let (bob, day) = (peer::user("bob"), seconds(24 * 60 * 60));
    let (began, mut message, mut heard) = (sim.now.mono, 0_u64, 0);
    let (mut resumed, mut told, mut settled) = (0, 0, 0);
    for round in 0..1_000_u64 {
        let until = began + day / 1_000 * u32::try_from(round + 1).unwrap();
        message += 1;
        sim.step(hello(message));
        let page = peer::page(&bob, (0..3).map(|n| peer::text(10 * message + n, "x")).collect(), message);
        heard += sim.frame(&page).texts().len();
        heard += sim.frame(&page).texts().len();
        let lost = sim.lose();
        settled += lost.outcomes().len();
        told += lost.events().len();
        // Every third time the way back takes several attempts, each ended by another fault.
        for fault in 0..round % 3 {
            sim.due();
            let did: Did = match fault {
                0 => sim.lose(),
                _ => {
                    sim.step(Input::Connected);
                    sim.frame(&peer::refused(1, None))
                }
            };
            told += did.events().len();
        }
        sim.due();
        resumed += sim.accept().events().iter().filter(|e| ***e == EventKind::Connected { resumed: true }).count();
        sim.frame(&peer::unread_at(sim.now.wall));
        while sim.now.mono < until {
            sim.pass(seconds(25).min(until - sim.now.mono));
            sim.frame(&peer::unread(&[]));
            assert!(sim.step(Input::Tick).0.is_empty());
        }
    }
    assert_eq!(sim.engine.state(), ConnectionState::Online);
    assert_eq!((resumed, settled, heard), (1_000, 1_000, 3_000));
    assert_eq!(told, 1_000 + 333 + 2 * 333);
    assert!(sim.now.mono - began < day + seconds(600));
    // What outlives a link is bounded: the printed engine is no longer than after the first hours.
    let size = format!("{:?}", sim.engine).len();
    assert!(size < 20_000, "{size}");
    sim.step(Input::Close);
    assert!(sim.run(seconds(2)).closed());
    assert!(sim.run(millis(1)).0.is_empty());
}

#[test]
fn what_the_engine_remembers_is_bounded_however_much_comes() {
    let size = |sends: u64| {
        let mut sim = Sim::online_with(config().limits(pending_sends(8)));
        for n in 1..sends {
            sim.step(hello(n));
            sim.frame(&peer::page(&peer::user("bob"), vec![peer::text(n + (1 << 40), "x")], n));
        }
        format!("{:?}", sim.engine).len()
    };
    let (some, many) = (size(1_000), size(10_000));
    assert!(many <= some + some / 10, "{some} and {many}");
}
