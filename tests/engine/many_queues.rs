//! More queues than the table holds, and names longer than any: nothing is forgotten, and nothing grows without a bound.

use std::collections::{BTreeMap, VecDeque};

use agora_chat::{
    EventKind,
    session::{Action, Diagnostic, Input},
    wire::{CommNotice, Jid, MSync, Upward, msync::Command},
};
use bytes::Bytes;

use crate::{
    peer::{self, last, notice, page, text, unread, user},
    sim::{Did, Sim, by_token, config, seconds},
};

/// A server that holds one message in each of its queues, and answers at once.
#[derive(Default)]
struct Server {
    /// What waits, by the queue's name: the message's id.
    waiting: BTreeMap<String, u64>,
    heard: Vec<u64>,
    lists: usize,
    finished: Vec<(u64, u64, bool)>,
}

impl Server {
    fn new(queues: u64) -> Self {
        let waiting = (1..=queues).map(|id| (format!("q{id}"), id)).collect();
        Server { waiting, ..Server::default() }
    }

    fn list(&self) -> Bytes {
        unread(&self.waiting.keys().map(|name| user(name)).collect::<Vec<_>>())
    }

    /// Answers what the client sent, and what it sends to that, until it is silent.
    fn answer(&mut self, sim: &mut Sim, did: Did) {
        let mut left = VecDeque::from([did]);
        while let Some(did) = left.pop_front() {
            self.look(&did);
            for frame in did.sent() {
                let answer = match frame {
                    Upward::Unread(_) => {
                        self.lists += 1;
                        self.list()
                    }
                    Upward::Sync(sync) => match (sync.queue, sync.key) {
                        (Some(queue), None) if self.waiting.contains_key(queue.name()) => {
                            let id = self.waiting[queue.name()];
                            page(&queue, vec![text(id, "x")], id)
                        }
                        (Some(queue), key) => {
                            if key == self.waiting.get(queue.name()).copied() {
                                self.waiting.remove(queue.name());
                            }
                            last(&queue)
                        }
                        other => panic!("{other:?}"),
                    },
                    _ => continue,
                };
                left.push_back(sim.frame(&answer));
            }
        }
    }

    fn look(&mut self, did: &Did) {
        for event in did.events() {
            match event {
                EventKind::Message(message) => self.heard.push(message.id),
                EventKind::OfflineSyncFinished { queues, messages, complete } => {
                    assert!(!complete || self.waiting.len() <= 1, "{} still wait", self.waiting.len());
                    self.finished.push((*queues as u64, *messages, *complete));
                }
                _ => {}
            }
        }
    }
}

fn logged_in() -> (Sim, Did) {
    let mut sim = Sim::new(config());
    sim.step(by_token());
    let did = sim.accept();
    (sim, did)
}

#[test]
fn of_5_000_queues_each_is_fetched_though_a_notice_comes_every_10_s_and_only_then_all_has_come() {
    let (mut server, (mut sim, did)) = (Server::new(5_000), logged_in());
    // The first pulls are answered after a while, so that the table is full when the notices begin.
    server.lists += 1;
    let started = sim.frame(&server.list());
    let events = started.events();
    assert_eq!(events[..], [&EventKind::OfflineSyncStarted { queues: 5_000, messages: 5_000 }], "{did:?}");
    for n in 0..2 {
        sim.pass(seconds(10));
        let name = format!("n{n}");
        server.waiting.insert(name.clone(), 10_000 + n);
        let did = sim.frame(&notice(&user(&name)));
        assert!(did.frames().is_empty(), "no place, and nothing known is dropped for it: {did:?}");
    }
    server.answer(&mut sim, started);
    for n in 2..6 {
        sim.pass(seconds(10));
        let name = format!("n{n}");
        server.waiting.insert(name.clone(), 10_000 + n);
        let did = sim.frame(&notice(&user(&name)));
        server.answer(&mut sim, did);
        let did = sim.step(Input::Tick);
        server.answer(&mut sim, did);
    }
    assert!(server.waiting.is_empty(), "{} were never fetched", server.waiting.len());
    server.heard.sort_unstable();
    let all: Vec<u64> = (1..=5_000).chain(10_000..10_006).collect();
    assert_eq!(server.heard, all, "each once");
    let [(queues, messages, complete)] = server.finished[..] else { panic!("{:?}", server.finished) };
    assert!(complete && queues >= 5_000 && messages >= 5_000, "{queues} {messages}");
    assert!(server.lists < 10, "{} lists of thousands of queues", server.lists);
}

#[test]
fn with_4_096_waiting_one_notice_more_costs_none_of_them_and_is_asked_for_once_there_is_room() {
    let (mut server, (mut sim, _)) = (Server::new(4_096), logged_in());
    let started = sim.frame(&server.list());
    server.waiting.insert("late".to_owned(), 9_999);
    assert!(sim.frame(&notice(&user("late"))).0.is_empty());
    server.answer(&mut sim, started);
    assert_eq!((server.heard.len(), server.waiting.len(), server.lists), (4_097, 0, 1));
    assert_eq!(server.finished, [(4_096, 4_096, true)]);
}

#[test]
fn a_link_that_ends_before_all_was_listed_says_that_not_all_has_come() {
    let (mut sim, _) = logged_in();
    let names: Vec<Jid> = (0..5_000).map(|n| user(&format!("q{n}"))).collect();
    sim.frame(&unread(&names));
    // Those that have a place come to their end, but the list that is asked for then never comes.
    let (mut asked, mut ended) = (0, 0);
    for queue in &names[..4_096] {
        let did = sim.frame(&last(queue));
        asked += did.kinds().iter().filter(|kind| **kind == "UNREAD").count();
        ended += did.events().len();
    }
    assert_eq!((asked, ended), (1, 0));
    let did = sim.lose();
    let told = did.events().into_iter().find_map(|event| match event {
        EventKind::OfflineSyncFinished { queues, complete, .. } => Some((*queues, *complete)),
        _ => None,
    });
    assert_eq!(told, Some((4_096, false)));
}

/// A notice of a queue of this name, the frame as long as it takes.
fn long(name: &str) -> Bytes {
    MSync::from_server(Command::Notice, &CommNotice { queue: Some(user(name)) }).to_bytes()
}

#[test]
fn names_longer_than_any_are_not_kept_and_told_of_once_with_a_count() {
    let (mut sim, _) = logged_in();
    sim.frame(&unread(&[]));
    let mut noted = Vec::new();
    for n in 0..4_000 {
        let did = sim.frame(&long(&format!("{n}{}", "x".repeat(64 << 10))));
        assert!(did.frames().is_empty());
        noted.extend(did.notes().into_iter().cloned());
    }
    assert_eq!(noted, [Diagnostic::QueueNameTooLong { count: 1, limit: 4096 }]);
    assert!(format!("{:?}", sim.engine).len() < 20_000, "nothing of them is kept");
    let whole = long(&"y".repeat(4_000));
    assert_eq!(sim.frame(&whole).pulls().len(), 1, "a long name that could be one is");
    sim.pass(seconds(601));
    let did = sim.frame(&long(&"z".repeat(5_000)));
    assert_eq!(did.notes(), [&Diagnostic::QueueNameTooLong { count: 4_000, limit: 4096 }]);
}

#[test]
fn a_page_of_a_queue_whose_name_is_too_long_is_told_and_not_acknowledged() {
    let mut sim = Sim::online();
    let queue = user(&"x".repeat(5_000));
    let did = sim.frame(&page(&queue, vec![text(1, "a")], 7));
    assert_eq!((did.texts(), did.pulls().len()), (vec!["a"], 0));
    // Listed beside another, it never comes, so not all has come.
    let (mut sim, _) = logged_in();
    sim.frame(&unread(&[user("bob"), queue]));
    let did = sim.frame(&last(&user("bob")));
    assert_eq!(*did.event(), EventKind::OfflineSyncFinished { queues: 1, messages: 0, complete: false });
}

#[test]
fn what_does_not_decode_is_told_of_once_and_then_with_a_count() {
    let mut sim = Sim::online();
    let mut noted = 0;
    for second in 0..1_801 {
        sim.frame(&peer::unread(&[]));
        for did in [sim.frame(b"\xff garbage"), sim.frame(b"\xff more")] {
            match did.notes()[..] {
                [] => {}
                [Diagnostic::Undecodable { length: 9, .. }] => assert_eq!(second, 0),
                [Diagnostic::MoreUndecodable { count }] => assert_eq!((second % 600, *count), (0, 1_200)),
                ref other => panic!("{other:?}"),
            }
            noted += did.notes().len();
        }
        sim.pass(seconds(1));
    }
    assert_eq!(noted, 4);
    sim.step(Input::Close);
    let did = sim.frame(&peer::logged_out());
    assert!(did.closed() && matches!(did.notes()[..], [Diagnostic::MoreUndecodable { count: 1 }]), "{did:?}");
    assert!(matches!(did.0.last(), Some(Action::Closed)));
}
