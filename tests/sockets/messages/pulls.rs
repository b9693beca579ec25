//! Pulls over a link that is cut at every frame, and at every byte.

use std::{
    thread,
    time::{Duration, Instant},
};

use agora_chat::{
    Connection, Delivery, MessageHandler,
    local_server::{Cut, FaultProxy},
};
use tokio::sync::{Semaphore, mpsc::unbounded_channel};

use crate::messages::{
    cutter::{At, Cutter, PARTS, Way, cut_everywhere},
    support::{LIMIT, Log, MESSAGES, Recipient, Syncs, acknowledged, login, open, quick, server, within},
};

/// Pulls three queues through a link that is cut once; whether it was.
async fn pull_through(cut: At, name: &str) -> bool {
    let when = format!("{cut:?}");
    let server = server().await;
    let recipient = Recipient::new(&server, name);
    let cutter = Cutter::start(&server).await;
    cutter.cut_next(cut);
    let connection = Connection::start(quick(cutter.config(&server)).build().unwrap()).unwrap();
    let (log, syncs) = (Log::default(), Syncs::watch(&connection));
    connection.set_message_handler(log.handler(&server));
    open(&connection, &login(&server, name)).await;
    recipient.all_acknowledged().await;
    log.check(&recipient, &when);
    within("close", connection.close()).await;
    syncs.check(&connection, &when).await;
    cutter.cuts() > 0
}

#[actix::test]
async fn a_cut_before_within_or_behind_any_frame_of_a_pull_loses_nothing_and_repeats_nothing() {
    let mut met = 0;
    for way in [Way::Up, Way::Down] {
        for part in PARTS {
            let frames = cut_everywhere(way, part, async |at| pull_through(at, "alice").await).await;
            // The head, PROVISION, UNREAD, and for each of three queues a pull for each page and one at its end.
            assert!(frames >= 3 + 3 * 4, "{way:?} {part:?}: {frames}");
            met += frames;
        }
    }
    assert!(met >= 10 * 15);
}

#[actix::test]
async fn a_cut_at_any_byte_of_pulls_and_pages_loses_nothing_and_repeats_nothing() {
    let server = server().await;
    server.create_user("alice", "pw").unwrap();
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let config = quick(proxy.config_through(&server).unwrap());
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let log = Log::default();
    connection.set_message_handler(log.handler(&server));
    open(&connection, &login(&server, "alice")).await;
    let (mut waiting, mut untouched) = (Vec::new(), 0);
    // What has come when the link is up is the way in, except for the heartbeat's answer perhaps.
    let way_in = proxy.counts().to_server + proxy.counts().to_client;
    for byte in 1.. {
        // By a reset: a clean end waits for the client's, which is held up below.
        proxy.change(|faults| (faults.cut, faults.cut_after) = (Some(Cut::Rst), Some(way_in + byte)));
        proxy.cut_all(Cut::Rst);
        // The proxy and the server have threads of their own; the client has this one, and notices nothing yet.
        let deadline = Instant::now() + LIMIT;
        while proxy.counts().open > 0 {
            assert!(Instant::now() < deadline, "the cut takes too long");
            thread::yield_now();
        }
        waiting.extend((0..4).map(|n| server.send_text("bob", "alice", &n.to_string()).unwrap()));
        let cuts = proxy.counts().cuts;
        // The server's list of frames is long: it is looked at when it can have changed.
        let (last, all) = (*waiting.last().unwrap(), waiting.len());
        let done = || log.count() == all && acknowledged(&server, "alice", "bob") >= last;
        proxy.wait_until(LIMIT, |counts| counts.cuts > cuts || done()).await.unwrap();
        let was_cut = proxy.counts().cuts > cuts;
        proxy.clear();
        server.wait_until(LIMIT, |_| done()).await.unwrap();
        untouched = if was_cut { 0 } else { untouched + 1 };
        if untouched == 8 {
            assert!(byte > 300, "pages were met: {byte}");
            break;
        }
    }
    let recipient = Recipient { server, user: "alice".to_owned(), waiting: [("bob".to_owned(), waiting)].into() };
    log.check(&recipient, "all of them");
    connection.close().await;
}

#[actix::test]
async fn while_a_message_is_in_hand_no_heartbeat_later_either_is_it_acknowledged() {
    static GO: Semaphore = Semaphore::const_new(0);
    let server = server().await;
    let recipient = Recipient::new(&server, "alice");
    let log = Log::default();
    let (begin, mut begun) = unbounded_channel();
    let (looked_at, handled) = (server.clone(), log.clone());
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let (begin, log, server) = (begin.clone(), handled.clone(), looked_at.clone());
        async move {
            begin.send(delivery.clone()).unwrap();
            GO.acquire().await.unwrap().forget();
            log.not_acknowledged(&server, &delivery);
            log.handled(&delivery);
            Ok::<(), String>(())
        }
    });
    let heartbeat = Duration::from_millis(10);
    let config = quick(server.config()).heartbeat(heartbeat, LIMIT);
    let connection = Connection::start(config.build().unwrap()).unwrap();
    connection.set_message_handler(handler);
    open(&connection, &login(&server, "alice")).await;
    let total = 3 * MESSAGES;
    let mut in_hand = Vec::new();
    for done in 0..total {
        // Of each queue that has some left, one message is in hand.
        while in_hand.is_empty() {
            in_hand.push(within("the next message", begun.recv()).await.unwrap());
        }
        while let Ok(more) = begun.try_recv() {
            in_hand.push(more);
        }
        // Whatever was sent before this heartbeat has come before it.
        let before = server.stats().heartbeats;
        server.wait_until(LIMIT, |server| server.stats().heartbeats > before + 1).await.unwrap();
        for delivery in &in_hand {
            log.not_acknowledged(&server, delivery);
        }
        GO.add_permits(1);
        // The oldest one waits longest for its permit.
        in_hand.remove(0);
        let handled = async {
            while log.count() <= done {
                tokio::task::yield_now().await;
            }
        };
        within("a message", handled).await;
    }
    recipient.all_acknowledged().await;
    log.check(&recipient, "in the end");
    connection.close().await;
}
