//! Sends over a link that is cut at every frame.

use agora_chat::{
    Connection, ConnectionState, Outgoing, SendError, Sent,
    local_server::{Cut, LocalServer},
    wire::MessageBody,
};
use prost::Message as _;

use crate::messages::{
    cutter::{At, Cutter, PARTS, Way, cut_everywhere},
    support::{login, open, quick, server, within},
};

/// How many messages are sent at once.
const MESSAGES: u64 = 3;

/// What the server has stored for bob from alice: its ids and the texts, in order.
fn stored(server: &LocalServer) -> Vec<(u64, u64)> {
    let number = |payload: &[u8]| MessageBody::decode(payload).unwrap().contents[0].text().parse().unwrap();
    let messages = server.messages_between("alice", "bob");
    messages.iter().map(|message| (number(message.meta.payload.as_deref().unwrap()), message.id)).collect()
}

fn message(n: u64) -> Outgoing {
    Outgoing::text("bob", n.to_string()).unwrap().with_client_id(1000 + n)
}

/// What became of messages of a scene.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    sent: usize,
    /// Of unknown outcome, but stored.
    stored: usize,
    /// Of unknown outcome, and not stored.
    lost: usize,
}

impl std::ops::AddAssign for Outcomes {
    fn add_assign(&mut self, more: Self) {
        self.sent += more.sent;
        self.stored += more.stored;
        self.lost += more.lost;
    }
}

/// Sends all messages in order, at once; every answer is on its way when this returns.
fn send_all(connection: &Connection) -> Vec<actix_rt::task::JoinHandle<Result<Sent, SendError>>> {
    let send = |n| {
        let connection = connection.clone();
        actix_rt::spawn(async move { connection.send(message(n)).await })
    };
    (0..MESSAGES).map(send).collect()
}

/// Sends until the server is known to have taken it; the cut may come here, too.
async fn taken(connection: &Connection, message: Outgoing) -> Sent {
    let sent = async {
        loop {
            match connection.send(message.clone()).await {
                Ok(sent) => return sent,
                Err(SendError::OutcomeUnknown { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    within("a message sent until it is taken", sent).await
}

/// What is said of every message is so, and sending those of unknown outcome again stores each of them once.
async fn settle(
    server: &LocalServer,
    connection: &Connection,
    sends: Vec<actix_rt::task::JoinHandle<Result<Sent, SendError>>>,
    when: &str,
) -> Outcomes {
    let (mut outcomes, mut sent, mut unknown) = (Outcomes::default(), Vec::new(), Vec::new());
    for (n, send) in (0..).zip(sends) {
        match within("a send", send).await.unwrap() {
            Ok(answer) => sent.push((n, answer.server_id)),
            Err(SendError::OutcomeUnknown { client_id, .. }) => {
                assert_eq!(client_id, 1000 + n, "{when}");
                unknown.push(n);
            }
            other => panic!("{when}: {other:?}"),
        }
    }
    // What the server has read of a link that is gone is in its books when a later link is answered.
    taken(connection, Outgoing::text("carol", "now?").unwrap().with_client_id(1)).await;
    let first = stored(server);
    assert!(first.is_sorted(), "{when}: in order, once: {first:?}");
    assert!(first.windows(2).all(|two| two[0].0 < two[1].0), "{when}: once: {first:?}");
    for one in &sent {
        assert!(first.contains(one), "{when}: {one:?} of {first:?}");
    }
    outcomes.sent = sent.len();
    for n in unknown {
        let again = taken(connection, message(n)).await;
        match first.iter().find(|(number, _)| *number == n) {
            Some((_, id)) => {
                assert_eq!(again.server_id, *id, "{when}: it is known again");
                outcomes.stored += 1;
            }
            None => outcomes.lost += 1,
        }
    }
    let mut all: Vec<u64> = stored(server).into_iter().map(|(n, _)| n).collect();
    all.sort_unstable();
    assert_eq!(all, (0..MESSAGES).collect::<Vec<_>>(), "{when}: each of them once in the end");
    outcomes
}

async fn start(server: &LocalServer, cutter: &Cutter) -> Connection {
    server.create_user("alice", "pw").unwrap();
    let connection = Connection::start(quick(cutter.config(server)).build().unwrap()).unwrap();
    open(&connection, &login(server, "alice")).await;
    connection
}

#[actix::test]
async fn a_cut_at_any_frame_leaves_a_send_stored_or_unknown_and_its_repetition_stored_once() {
    let (mut all, mut met) = (Outcomes::default(), 0);
    for way in [Way::Up, Way::Down] {
        for part in PARTS {
            let scene = async |at: At| {
                let (server, when) = (server().await, format!("{at:?}"));
                let cutter = Cutter::start(&server).await;
                cutter.cut_next(at);
                let connection = start(&server, &cutter).await;
                all += settle(&server, &connection, send_all(&connection), &when).await;
                within("close", connection.close()).await;
                cutter.cuts() > 0
            };
            met += cut_everywhere(way, part, scene).await;
        }
    }
    // The head, PROVISION, UNREAD, and the messages.
    assert!(met >= 10 * (3 + MESSAGES as usize), "{met}");
    assert!(all.sent > 0 && all.stored > 0 && all.lost > 0, "{all:?}");
}

#[actix::test]
async fn sends_of_an_outage_go_out_in_order_and_once_wherever_the_next_link_is_cut() {
    let (mut all, mut met) = (Outcomes::default(), 0);
    for way in [Way::Up, Way::Down] {
        for part in PARTS {
            let scene = async |at: At| {
                let (server, when) = (server().await, format!("{at:?}"));
                let cutter = Cutter::start(&server).await;
                let connection = start(&server, &cutter).await;
                cutter.shut(true);
                server.drop_links("alice", Cut::Rst);
                let lost = async {
                    while connection.state() == ConnectionState::Online {
                        tokio::task::yield_now().await;
                    }
                };
                within("the loss", lost).await;
                let sends = send_all(&connection);
                let kept = async { while connection.health().await.unwrap().buffered_sends < MESSAGES as usize {} };
                within("the outbox", kept).await;
                cutter.cut_next(at);
                cutter.shut(false);
                let outcomes = settle(&server, &connection, sends, &when).await;
                if at.way == Way::Up && at.frame <= 1 && outcomes.sent < MESSAGES as usize {
                    // Without a whole PROVISION nothing of them went out, so nothing can be unknown.
                    assert_eq!((at.frame, at.part), (1, crate::messages::cutter::Part::Whole), "{outcomes:?}");
                }
                all += outcomes;
                within("close", connection.close()).await;
                cutter.cuts() > 0
            };
            met += cut_everywhere(way, part, scene).await;
        }
    }
    assert!(met >= 10 * (3 + MESSAGES as usize), "{met}");
    assert!(all.sent > 0 && all.stored > 0 && all.lost > 0, "{all:?}");
}
