//! Pages are acknowledged after their messages were handled: links cut and processes restarted at every step.

use std::collections::{BTreeMap, HashSet, VecDeque};

use agora_chat::{
    EventKind, EventMask, Limits, LossCause,
    session::{Action, Input, Page, PageId},
    store::{Cursor, CursorFuture, CursorStore},
    wire::{CommSyncDl, Jid, Upward},
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use crate::{
    peer::{self, text, user},
    sim::{Did, Sim, alice, config},
};

/// Tells the engine that there is a store; the tests play it themselves.
struct Played;

impl CursorStore for Played {
    fn load(&self, _: &agora_chat::account::AccountKey) -> CursorFuture<Vec<Cursor>> {
        panic!("the engine reads nothing by itself")
    }

    fn save(&self, _: &agora_chat::account::AccountKey, _: &Cursor) -> CursorFuture<()> {
        panic!("the engine writes nothing by itself")
    }
}

/// A server that keeps every message until it is acknowledged.
#[derive(Debug, Default)]
struct Server {
    queues: BTreeMap<String, VecDeque<u64>>,
}

impl Server {
    const PAGE: usize = 3;

    /// Acknowledges up to the key and gives the next page.
    fn pull(&mut self, queue: &Jid, key: Option<u64>, handled: &HashSet<u64>) -> Bytes {
        let stored = self.queues.entry(queue.name().to_owned()).or_default();
        while let Some(id) = stored.front().filter(|id| key.is_some_and(|key| **id <= key)) {
            assert!(handled.contains(id), "{id} was acknowledged unhandled");
            stored.pop_front();
        }
        let ids: Vec<u64> = stored.iter().take(Self::PAGE).copied().collect();
        peer::sync(CommSyncDl {
            queue: Some(queue.clone()),
            next_key: ids.last().copied(),
            is_last: Some(ids.len() == stored.len()),
            metas: ids.iter().map(|id| text(*id, &id.to_string())).collect(),
            ..CommSyncDl::default()
        })
    }

    fn unread(&self) -> Bytes {
        let names = self.queues.iter().filter(|(_, ids)| !ids.is_empty()).map(|(name, _)| user(name));
        peer::unread(&names.collect::<Vec<_>>())
    }
}

/// A page in the handler's hand.
#[derive(Debug)]
struct InHand {
    id: PageId,
    queue: String,
    key: Option<u64>,
    left: VecDeque<u64>,
    /// How many of it are handled.
    done: usize,
    saved: bool,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// The server takes the next frame.
    Up,
    /// The client takes the next frame.
    Down,
    /// The handler of the nth page in hand is done with a message, with its key, or with all.
    Handle(usize),
    /// The handler of the nth page in hand cannot handle its next message for now.
    Fail(usize),
    /// Nothing happens until the next try of a queue is due.
    Wait,
}

/// The whole: a server, a link, an engine and a handler.
struct Model {
    sim: Sim,
    stores: bool,
    limits: Limits,
    server: Server,
    up: VecDeque<Upward>,
    down: VecDeque<Bytes>,
    hand: Vec<InHand>,
    saved: BTreeMap<String, u64>,
    handled: HashSet<u64>,
    /// What was handled, by queue.
    log: BTreeMap<String, Vec<u64>>,
    /// What may be handled once more.
    may_repeat: HashSet<u64>,
    repeats: usize,
    syncing: bool,
}

impl Model {
    fn new(queues: &[(&str, std::ops::Range<u64>)], stores: bool, limits: Limits) -> Self {
        let mut model = Model {
            sim: Sim::new(config()),
            stores,
            limits,
            server: Server::default(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            hand: Vec::new(),
            saved: BTreeMap::new(),
            handled: HashSet::new(),
            log: BTreeMap::new(),
            may_repeat: HashSet::new(),
            repeats: 0,
            syncing: false,
        };
        for (name, ids) in queues {
            model.server.queues.insert((*name).to_owned(), ids.clone().collect());
        }
        model.restart();
        model
    }

    /// A new process logs in; all that was in memory is gone.
    fn restart(&mut self) {
        self.sim = Sim::new(config().limits(self.limits.clone()));
        self.sim.engine.set_handled(EventMask::MESSAGE);
        self.hand.clear();
        self.up.clear();
        self.down.clear();
        self.syncing = false;
        for (name, stored) in &self.server.queues {
            let kept = self.saved.iter().find(|(queue, _)| queue.ends_with(&format!("/{name}"))).map(|(_, key)| *key);
            let again = stored.iter().filter(|id| self.handled.contains(id) && kept.is_none_or(|key| **id > key));
            self.may_repeat.extend(again);
        }
        let mut account = alice();
        if self.stores {
            account = account.cursor_store(std::sync::Arc::new(Played));
        }
        let did = self.sim.step(Input::Open(account));
        self.act(did);
        let did = self.sim.accept();
        self.act(did);
    }

    fn act(&mut self, did: Did) {
        for action in did.0 {
            match action {
                Action::Transmit(frame) => {
                    let frame = agora_chat::wire::MSync::decode_frame(frame.bytes().clone(), 1 << 20).unwrap();
                    self.up.push_back(frame.upward().unwrap());
                }
                Action::Deliver(Page { id, queue, key, events, .. }) => {
                    let queue = queue.to_string();
                    assert!(self.hand.iter().all(|page| page.queue != queue), "one page of a queue at a time");
                    assert!(self.hand.len() < self.limits.pulls);
                    let ids = events.iter().map(|event| match event.event.kind() {
                        EventKind::Message(message) => message.id,
                        other => panic!("{other:?}"),
                    });
                    self.hand.push(InHand { id, queue, key, left: ids.collect(), done: 0, saved: false });
                }
                Action::LoadCursors { load, .. } => {
                    let cursors = self.saved.iter().map(|(queue, key)| Cursor::new(queue.clone(), *key)).collect();
                    let did = self.sim.step(Input::Cursors { load, cursors });
                    self.act(did);
                }
                Action::Emit(EventKind::OfflineSyncStarted { .. }) => {
                    assert!(!std::mem::replace(&mut self.syncing, true));
                }
                Action::Emit(EventKind::OfflineSyncFinished { .. }) => {
                    assert!(std::mem::take(&mut self.syncing));
                }
                Action::Emit(EventKind::Reconnecting { .. }) => assert!(!self.syncing, "always in pairs"),
                _ => {}
            }
        }
    }

    fn can(&self, what: Move) -> bool {
        match what {
            Move::Up => !self.up.is_empty(),
            Move::Down => !self.down.is_empty(),
            Move::Handle(n) => n < self.hand.len(),
            Move::Fail(n) => self.hand.get(n).is_some_and(|page| !page.left.is_empty()),
            // The server does not let anything wait for so long.
            Move::Wait => self.up.is_empty() && self.down.is_empty() && self.sim.engine.waiting_queues() > 0,
        }
    }

    fn make(&mut self, what: Move) {
        match what {
            Move::Up => match self.up.pop_front().unwrap() {
                Upward::Sync(sync) => {
                    let queue = sync.queue.unwrap();
                    self.down.push_back(self.server.pull(&queue, sync.key, &self.handled));
                }
                Upward::Unread(_) => self.down.push_back(self.server.unread()),
                _ => {}
            },
            Move::Down => {
                let frame = self.down.pop_front().unwrap();
                let did = self.sim.frame(&frame);
                self.act(did);
            }
            Move::Handle(n) => self.handle(n),
            Move::Fail(n) => {
                let InHand { id, done, .. } = self.hand.remove(n);
                let pause = std::time::Duration::from_millis(10);
                let did = self.sim.step(Input::Postponed { page: id, handled: done, pause });
                self.act(did);
            }
            Move::Wait => {
                let did = self.sim.due();
                self.act(did);
            }
        }
    }

    fn handle(&mut self, n: usize) {
        let page = &mut self.hand[n];
        if let Some(id) = page.left.pop_front() {
            if !self.handled.insert(id) {
                assert!(self.may_repeat.remove(&id), "{id} was handled twice");
                self.repeats += 1;
            }
            page.done += 1;
            self.log.entry(page.queue.clone()).or_default().push(id);
        } else if let Some(key) = page.key.filter(|_| !page.saved) {
            page.saved = true;
            self.saved.insert(page.queue.clone(), key);
        } else {
            let page = self.hand.remove(n);
            let did = self.sim.step(Input::Handled { page: page.id });
            self.act(did);
        }
    }

    fn cut(&mut self) {
        self.up.clear();
        self.down.clear();
        let did = self.sim.step(Input::Lost(LossCause::Ended));
        self.act(did);
        let did = self.sim.due();
        self.act(did);
        let did = self.sim.accept();
        self.act(did);
    }

    /// One step in an order of preference; `false` when nothing is left to do.
    fn step(&mut self, order: &[Move]) -> bool {
        let next = order.iter().copied().find(|what| self.can(*what));
        if let Some(what) = next {
            self.make(what);
        }
        next.is_some()
    }

    fn finish(&mut self, order: &[Move]) {
        for _ in 0..10_000 {
            if !self.step(order) {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Nothing is lost, and the order is kept.
    fn check(&self, all: &[(&str, std::ops::Range<u64>)]) {
        assert_eq!((self.sim.engine.in_flight_bytes(), self.sim.engine.waiting_queues()), (0, 0));
        for (name, ids) in all {
            let (_, log) = self.log.iter().find(|(queue, _)| queue.ends_with(&format!("/{name}"))).unwrap();
            let mut seen = HashSet::new();
            let firsts: Vec<u64> = log.iter().copied().filter(|id| seen.insert(*id)).collect();
            assert_eq!(firsts, ids.clone().collect::<Vec<_>>(), "all of {name}'s, in order");
            assert_eq!(self.server.queues[*name].len(), 0, "all of {name}'s are acknowledged");
        }
    }
}

const NETWORK_FIRST: [Move; 5] = [Move::Up, Move::Down, Move::Handle(0), Move::Handle(1), Move::Wait];
const HANDLER_FIRST: [Move; 5] = [Move::Handle(1), Move::Handle(0), Move::Down, Move::Up, Move::Wait];
const QUEUES: [(&str, std::ops::Range<u64>); 2] = [("bob", 1..9), ("carol", 501..505)];

/// So small a memory that only what is in hand or unconfirmed is known.
fn forgetful() -> Limits {
    let mut limits = Limits::default();
    limits.remembered_ids = 0;
    limits
}

/// How many steps it takes without trouble.
fn steps(stores: bool, order: &[Move]) -> usize {
    let mut model = Model::new(&QUEUES, stores, forgetful());
    let mut steps = 0;
    while model.step(order) {
        steps += 1;
    }
    model.check(&QUEUES);
    steps
}

#[test]
fn a_link_cut_at_any_two_steps_loses_nothing_repeats_nothing_and_acknowledges_nothing_unhandled() {
    for (stores, order) in [(false, NETWORK_FIRST), (false, HANDLER_FIRST), (true, NETWORK_FIRST)] {
        let steps = steps(stores, &order);
        assert!(steps > 20, "{steps}");
        for first in 0..=steps {
            for second in 0..=steps {
                let mut model = Model::new(&QUEUES, stores, forgetful());
                for cut_after in [first, second] {
                    for _ in 0..cut_after {
                        model.step(&order);
                    }
                    model.cut();
                }
                model.finish(&order);
                model.check(&QUEUES);
                assert_eq!(model.repeats, 0);
            }
        }
    }
}

#[test]
fn a_process_restarted_at_any_step_repeats_only_what_was_not_acknowledged_and_loses_nothing() {
    let mut repeated = 0;
    for order in [NETWORK_FIRST, HANDLER_FIRST] {
        for restart_after in 0..=steps(false, &order) {
            for cut_before in [None, Some(restart_after / 2)] {
                let mut model = Model::new(&QUEUES, false, forgetful());
                for step in 0..restart_after {
                    if cut_before == Some(step) {
                        model.cut();
                    }
                    model.step(&order);
                }
                model.restart();
                model.finish(&order);
                model.check(&QUEUES);
                repeated += model.repeats;
            }
        }
    }
    assert!(repeated > 0, "what was handled and not acknowledged comes again");
}

#[test]
fn with_a_store_a_restart_at_any_step_repeats_at_most_the_messages_of_the_pages_in_hand() {
    for order in [NETWORK_FIRST, HANDLER_FIRST] {
        for restart_after in 0..=steps(true, &order) {
            let mut model = Model::new(&QUEUES, true, forgetful());
            for _ in 0..restart_after {
                model.step(&order);
            }
            // The model lets nothing be repeated whose key was saved.
            model.restart();
            assert!(model.may_repeat.len() <= QUEUES.len() * Server::PAGE);
            model.finish(&order);
            model.check(&QUEUES);
        }
    }
}

#[test]
fn a_handler_that_fails_at_any_step_and_then_recovers_gets_everything_once_and_in_order() {
    for (stores, order) in [(false, NETWORK_FIRST), (false, HANDLER_FIRST), (true, NETWORK_FIRST)] {
        for fail_after in 0..=steps(stores, &order) {
            for (nth, cut) in [(0, false), (1, false), (0, true)] {
                let mut model = Model::new(&QUEUES, stores, forgetful());
                for _ in 0..fail_after {
                    model.step(&order);
                }
                for _ in 0..3 {
                    // As often as there is something to fail with.
                    while !model.can(Move::Fail(nth)) && model.step(&order) {}
                    if model.can(Move::Fail(nth)) {
                        model.make(Move::Fail(nth));
                    }
                    if cut {
                        model.cut();
                    }
                }
                model.finish(&order);
                model.check(&QUEUES);
                assert_eq!(model.repeats, 0);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Chance {
    Move(Move),
    Cut,
    Restart,
    /// Something new comes, with or without word of it.
    New {
        carol: bool,
        notice: bool,
    },
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        6 => Just(Chance::Move(Move::Up)),
        6 => Just(Chance::Move(Move::Down)),
        12 => (0..3_usize).prop_map(|n| Chance::Move(Move::Handle(n))),
        3 => (0..3_usize).prop_map(|n| Chance::Move(Move::Fail(n))),
        3 => Just(Chance::Move(Move::Wait)),
        1 => Just(Chance::Cut),
        1 => Just(Chance::Restart),
        3 => any::<(bool, bool)>().prop_map(|(carol, notice)| Chance::New { carol, notice }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_in_between_nothing_is_lost_nor_acknowledged_unhandled(
        chances in vec(chance(), 0..200), stores: bool, small in prop::option::of(40_usize..400),
    ) {
        let mut limits = forgetful();
        limits.in_flight_bytes = small.unwrap_or(limits.in_flight_bytes);
        let mut model = Model::new(&QUEUES, stores, limits);
        let mut ends = [9, 1011];
        for id in 1000..1011_u64 {
            model.server.queues.entry("dave".to_owned()).or_default().push_back(id);
        }
        for chance in chances {
            match chance {
                Chance::Move(what) if model.can(what) => model.make(what),
                Chance::Move(_) => {}
                Chance::Cut => model.cut(),
                Chance::Restart => model.restart(),
                Chance::New { carol, notice } => {
                    let name = if carol { "dave" } else { "bob" };
                    let end = &mut ends[usize::from(carol)];
                    model.server.queues.get_mut(name).unwrap().push_back(*end);
                    *end += 1;
                    if notice {
                        model.down.push_back(peer::notice(&user(name)));
                    }
                }
            }
        }
        // What nobody was told of, the next link tells.
        model.finish(&NETWORK_FIRST);
        model.cut();
        model.finish(&NETWORK_FIRST);
        model.check(&[("bob", 1..ends[0]), ("carol", 501..505), ("dave", 1000..ends[1])]);
    }
}
