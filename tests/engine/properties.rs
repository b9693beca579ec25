//! Whatever comes in whatever order: no panic, every promise kept (the [`Ledger`](crate::ledger::Ledger) sees to
//! that), and never stuck.

use std::time::Duration;

use agora_chat::{
    Config, ConfigBuilder, ConnectionState, DisconnectReason, EventMask, KickPolicy, LossCause, Reconnect,
    account::{Expiry, Token, TokenGrant},
    config::{Addresses, Endpoints},
    errors::ConnectStep,
    messages::RoomRequest,
    session::Input,
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    admission::paced,
    ledger::Place,
    peer,
    renewal::{by_provider, not_provided, provided},
    rest_errors,
    sim::{APP, Sim, by_password, by_token, granted, hello, millis, not_granted, pending_sends, seconds},
};

#[derive(Clone, Debug)]
enum Event {
    OpenByToken,
    OpenByPassword,
    OpenByProvider,
    /// With an admission.
    OpenPaced,
    Admitted,
    NotAdmitted,
    /// With a new token and its end, if known; or nothing.
    TokenProvided(Option<(u8, Option<u64>)>),
    Close,
    CloseWithin(u64),
    Abandon,
    Discovered(Option<u8>),
    TokenFetched(Option<Option<u64>>),
    At(ConnectStep),
    Connected,
    Frame(Bytes),
    Alive,
    NetworkChanged,
    Lost(LossCause),
    Send(u64),
    /// Joins, leaves, or joins and leaves all others.
    Room(u64, u8),
    /// Sets or clears the message handler.
    Handler(bool),
    /// The message handler is done with its oldest page.
    Handled,
    Postponed,
    Retry,
    Renewed(u64),
    Tick,
    /// Jumps to the deadline and ticks.
    Due,
    /// What the engine is waiting for arrives, so that runs get far.
    Help,
    Wait(Duration),
    SetWallClock(u64),
}

fn recorded() -> Vec<Bytes> {
    let files = [include_str!("../vectors/client-frames.json"), include_str!("../vectors/server-frames.json")];
    let entries = files.iter().flat_map(|file| serde_json::from_str::<Vec<serde_json::Value>>(file).unwrap());
    entries.map(|entry| hex::decode(entry["hex"].as_str().unwrap()).unwrap().into()).collect()
}

fn frame() -> impl Strategy<Value = Bytes> {
    let queues = vec(prop::sample::select(vec!["alice", "bob", "carol", ""]), 0..4)
        .prop_map(|names| names.into_iter().map(peer::user).collect::<Vec<_>>());
    let damaged = (prop::sample::select(recorded()), vec((any::<Index>(), any::<u8>()), 0..4), any::<Index>());
    prop_oneof![
        2 => Just(peer::accepted()),
        1 => (0_u64..2_000_000).prop_map(|life| peer::accepted_until(crate::sim::T0 + life)),
        1 => any::<u64>().prop_map(peer::accepted_until),
        1 => ".{0,30}".prop_map(|told| peer::accepted_with(&told)),
        2 => (-1..30_i32).prop_map(|status| peer::refused(status, None)),
        1 => (0..4_u32).prop_map(|port| peer::redirect(&[("hop.test", port)])),
        1 => Just(peer::without_status()),
        2 => queues.prop_map(|queues| peer::unread(&queues)),
        1 => prop_oneof![any::<u64>(), crate::sim::T0..crate::sim::T0 + 3_000_000].prop_map(peer::unread_at),
        2 => Just(peer::notice(&peer::user("bob"))),
        3 => (vec(0..20_u64, 0..6), 0..9_u64).prop_map(|(ids, key)| {
            peer::page(&peer::user("bob"), ids.into_iter().map(|id| peer::text(id, "x")).collect(), key)
        }),
        1 => Just(peer::last(&peer::user("bob"))),
        1 => (0..6_i32).prop_map(peer::kick),
        2 => (0..6_u64, 0..21_i32).prop_map(|(id, status)| peer::answer(id, status, None)),
        1 => Just(peer::logged_out()),
        2 => vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        3 => damaged.prop_map(|(frame, damage, end)| {
            let mut frame = frame.to_vec();
            for (at, byte) in damage {
                if !frame.is_empty() {
                    let at = at.index(frame.len());
                    frame[at] = byte;
                }
            }
            let end = end.index(2 * frame.len() + 1);
            frame.truncate(end);
            frame.into()
        }),
    ]
}

fn cause() -> impl Strategy<Value = LossCause> {
    let retry = prop::option::of(any::<u32>().prop_map(|s| seconds(u64::from(s))));
    prop_oneof![
        Just(LossCause::Ended),
        Just(LossCause::Timeout(ConnectStep::Tls)),
        Just(LossCause::ClosedByPeer { code: Some(1000), reason: String::new() }),
        retry.prop_map(|retry_after| LossCause::UpgradeRefused { status: 503, retry_after }),
    ]
}

/// The end of a token.
fn end() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), crate::sim::T0..crate::sim::T0 + 3_000_000]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::OpenByToken),
        1 => Just(Event::OpenByPassword),
        1 => Just(Event::OpenByProvider),
        2 => Just(Event::OpenPaced),
        2 => Just(Event::Admitted),
        1 => Just(Event::NotAdmitted),
        2 => prop::option::of((0..4_u8, prop::option::of(end()))).prop_map(Event::TokenProvided),
        1 => Just(Event::Close),
        1 => (0..9_000_u64).prop_map(Event::CloseWithin),
        1 => Just(Event::Abandon),
        1 => prop::option::of(0..3_u8).prop_map(Event::Discovered),
        1 => prop::option::of(prop::option::of(any::<u64>())).prop_map(Event::TokenFetched),
        1 => prop::sample::select(vec![ConnectStep::Discovery, ConnectStep::Token, ConnectStep::Connect, ConnectStep::Tls, ConnectStep::Provision])
            .prop_map(Event::At),
        1 => Just(Event::Connected),
        8 => frame().prop_map(Event::Frame),
        1 => Just(Event::Alive),
        2 => Just(Event::NetworkChanged),
        3 => cause().prop_map(Event::Lost),
        3 => (0..6_u64).prop_map(Event::Send),
        1 => (0..6_u64, 0..9_u8).prop_map(|(id, room)| Event::Room(id, room)),
        1 => any::<bool>().prop_map(Event::Handler),
        2 => Just(Event::Handled),
        2 => Just(Event::Postponed),
        1 => Just(Event::Retry),
        1 => end().prop_map(Event::Renewed),
        1 => Just(Event::Tick),
        6 => Just(Event::Due),
        9 => Just(Event::Help),
        2 => (0..100_000_u64).prop_map(|ms| Event::Wait(millis(ms))),
        1 => (0..u64::from(u32::MAX)).prop_map(|s| Event::Wait(seconds(s))),
        1 => any::<u64>().prop_map(Event::SetWallClock),
    ]
}

fn kick_policy() -> impl Strategy<Value = KickPolicy> {
    prop_oneof![
        Just(KickPolicy::Park),
        (1..100_u64).prop_map(|pause| KickPolicy::RetryAfter(seconds(pause))),
        (1..4_u32, 1..100_u64).prop_map(|(times, window)| KickPolicy::TakeOver { times, window: seconds(window) }),
    ]
}

prop_compose! {
    fn config()(
        discovery in any::<bool>(), hosts in 1..4_u8, enabled in any::<bool>(), limited in any::<bool>(),
        limit in 1..8_u32, logout in 0..3_u64, kicks in kick_policy(),
        receipts in any::<bool>(), keeps in 1..100_u64,
    ) -> ConfigBuilder {
        let mut policy = Reconnect::default();
        policy.enabled = enabled || limited;
        policy.max_attempts = limited.then_some(limit);
        let endpoints = if discovery {
            Endpoints::Discovery(vec!["http://boot.test".to_owned()])
        } else {
            Endpoints::Fixed(addresses(hosts))
        };
        let config = Config::builder(APP).allow_plaintext().endpoints(endpoints).reconnect(policy);
        let config = config.delivery_receipts(receipts).buffer_sends_for(seconds(keeps));
        config.kick_policy(kicks).logout_timeout(seconds(logout)).limits(pending_sends(3))
    }
}

fn addresses(hosts: u8) -> Addresses {
    let socket = (0..hosts).map(|n| format!("ws://h{n}.test/websocket")).collect();
    Addresses { rest: vec!["http://rest.test".to_owned()], socket }
}

fn fetched(expires_at: Option<u64>) -> Input<'static> {
    granted(TokenGrant::of(Token::new("YWMt").unwrap(), expires_at.map(Expiry::At)))
}

/// The most a step may do: no input here names more than a handful of queues or sends.
const MOST_ACTIONS: usize = 40;

fn give(sim: &mut Sim, event: &Event) {
    let did = match event {
        Event::OpenByToken => sim.step(by_token()),
        Event::OpenByPassword => sim.step(by_password()),
        Event::OpenByProvider => sim.step(by_provider()),
        Event::OpenPaced => sim.step(paced()),
        Event::Admitted => sim.step(Input::Admitted),
        Event::NotAdmitted => sim.step(Input::NotAdmitted),
        Event::TokenProvided(Some((number, end))) => sim.step(provided(&number.to_string(), *end)),
        Event::TokenProvided(None) => sim.step(not_provided()),
        Event::Close => sim.step(Input::Close),
        Event::CloseWithin(ms) => sim.step(Input::CloseWithin { limit: millis(*ms), reason: DisconnectReason::Paused }),
        Event::Abandon => sim.step(Input::Abandon(DisconnectReason::LeaseLost)),
        Event::Discovered(Some(hosts)) => sim.step(Input::Discovered(Ok(addresses(*hosts)))),
        Event::Discovered(None) => sim.step(Input::Discovered(Err(rest_errors::nowhere()))),
        Event::TokenFetched(Some(end)) => sim.step(fetched(*end)),
        Event::TokenFetched(None) => sim.step(not_granted(rest_errors::overloaded())),
        Event::At(step) => sim.step(Input::At(*step)),
        Event::Connected => sim.step(Input::Connected),
        Event::Frame(bytes) => sim.frame(bytes),
        Event::Alive => sim.step(Input::Alive),
        Event::NetworkChanged => sim.step(Input::NetworkChanged),
        Event::Lost(cause) => sim.step(Input::Lost(cause.clone())),
        Event::Send(id) => sim.step(hello(*id)),
        Event::Room(client_id, room) => {
            let name = (room % 3).to_string();
            let request = match room / 3 {
                0 => RoomRequest::join(name).unwrap(),
                1 => RoomRequest::join(name).unwrap().leaving_others(),
                _ => RoomRequest::leave(name).unwrap(),
            };
            sim.step(Input::Room { client_id: *client_id, request })
        }
        Event::Handler(set) => {
            return sim.engine.set_handled(if *set { EventMask::MESSAGE } else { EventMask::NONE });
        }
        Event::Postponed => match sim.given() {
            Some(page) => sim.step(Input::Postponed { page, handled: 1, pause: millis(700) }),
            None => return,
        },
        Event::Retry => sim.step(Input::RetryPostponed),
        Event::Handled => match sim.given() {
            Some(page) => sim.step(Input::Handled { page }),
            None => return,
        },
        Event::Renewed(expires_at) => sim.renew(Token::new("YWMt-new").unwrap(), *expires_at),
        Event::Tick => sim.step(Input::Tick),
        Event::Due if sim.engine.deadline().is_some() => sim.due(),
        Event::Due => return,
        Event::Help => match sim.place() {
            Place::Out => sim.step(by_token()),
            Place::State => sim.step(Input::Recalled { device: None, kept: None }),
            Place::Admission => sim.step(Input::Admitted),
            Place::Discovery => sim.step(Input::Discovered(Ok(addresses(2)))),
            Place::Token | Place::Pause if sim.is_asking() => {
                let (name, wall) = (format!("at-{:?}", sim.now.mono), sim.now.wall);
                sim.step(provided(&name, Some(wall.saturating_add(100_000))))
            }
            Place::Token => sim.step(fetched(None)),
            Place::Connect => sim.step(Input::Connected),
            Place::Provision => sim.frame(&peer::accepted()),
            Place::Pause => sim.due(),
            Place::Online => sim.frame(&peer::unread_at(sim.now.wall)),
            Place::Bye => sim.frame(&peer::logged_out()),
        },
        Event::Wait(time) => return sim.pass(*time),
        Event::SetWallClock(wall) => return sim.now.wall = *wall,
    };
    assert!(did.0.len() <= MOST_ACTIONS, "{} actions", did.0.len());
}

/// With a dead peer the machine goes on by itself, or ends; it never ticks on the spot.
fn never_stuck(sim: &mut Sim) {
    let (mut at, mut ticks) = (sim.now.mono, 0);
    for _ in 0..60 {
        if sim.place() == Place::Admission {
            sim.step(Input::Admitted);
        }
        if sim.engine.deadline().is_none() {
            assert_eq!(sim.engine.state(), ConnectionState::LoggedOut);
            return;
        }
        let did = sim.due();
        assert!(did.0.len() <= MOST_ACTIONS);
        ticks = if sim.now.mono == at { ticks + 1 } else { 0 };
        assert!(ticks < 6, "time stands still at {}", sim.engine.state());
        at = sim.now.mono;
    }
    // The last of these ticks may have ended it.
    let state = sim.engine.state();
    assert!(matches!(state, ConnectionState::Reconnecting { .. } | ConnectionState::LoggedOut), "{state}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_inputs_keeps_every_promise_and_never_gets_stuck(
        config in config(),
        seed in any::<u64>(),
        events in vec(event(), 1..80),
    ) {
        let mut sim = Sim::seeded(config, seed);
        for event in &events {
            give(&mut sim, event);
        }
        never_stuck(&mut sim);
        let began = sim.now.mono;
        sim.step(Input::Close);
        sim.run_out();
        prop_assert!(sim.now.mono - began <= seconds(2), "close ends everything within the logout timeout");
        sim.step(by_token());
        prop_assert!(sim.engine.deadline().is_some(), "and open works again");
    }
}
