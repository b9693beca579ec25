//! Sends over a link that is cut at every byte.

use std::collections::HashMap;

use agora_chat::{
    Outgoing, SendError,
    local_server::{Cut, FaultProxy, FrameKind, LocalServer},
};

use crate::faults::{
    support::{LIMIT, online, quick, server, within},
    token,
};

/// How often each client id has arrived as a message.
fn arrivals(server: &LocalServer) -> HashMap<u64, usize> {
    let mut arrivals = HashMap::new();
    for frame in server.sent_by("alice") {
        if let FrameKind::Send { id, namespace: 1, .. } = frame.kind {
            *arrivals.entry(id).or_default() += 1;
        }
    }
    arrivals
}

/// Cuts the link; the client has noticed when this returns, so that what it sends then is kept or finds the next link.
async fn next_link(proxy: &FaultProxy) {
    let before = proxy.counts().connections;
    for _ in 0..50 {
        // A link that the proxy was just accepting may have escaped the cut before this one.
        proxy.cut_all(Cut::Rst);
        if proxy.wait_until(LIMIT / 50, |counts| counts.connections > before).await.is_ok() {
            return;
        }
    }
    panic!("no link within {LIMIT:?}");
}

#[actix::test]
async fn a_cut_at_any_byte_of_a_send_or_its_answer_leaves_it_taken_or_unknown_and_never_sends_it_twice() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let (connection, _heard) = online(quick(proxy.config_through(&server).unwrap()), token(&server)).await;
    // At least the heartbeat's answer is still to come behind this, so the cuts begin before the send.
    let way_in = proxy.counts().to_server + proxy.counts().to_client;
    let message = |id| Outgoing::text("bob", "over a bad line").unwrap().with_client_id(id);
    let (mut taken, mut unknown, mut untouched) = (Vec::new(), Vec::new(), 0);
    for id in 1..1_000 {
        proxy.change(|faults| faults.cut_after = Some(way_in + id));
        next_link(&proxy).await;
        let cuts = proxy.counts().cuts;
        match within("the send", connection.send(message(id))).await {
            Ok(_) => taken.push(id),
            Err(SendError::OutcomeUnknown { client_id, .. }) => {
                assert_eq!(client_id, id);
                unknown.push(id);
            }
            Err(other) => panic!("byte {id}: {other:?}"),
        }
        proxy.clear();
        // Past the answer's last byte nothing is cut any more.
        untouched = if proxy.counts().cuts == cuts { untouched + 1 } else { 0 };
        if untouched == 20 {
            break;
        }
    }
    assert_eq!(untouched, 20, "every byte was met");
    let arrived = arrivals(&server);
    assert!(arrived.values().all(|times| *times == 1), "{arrived:?}");
    assert!(taken.iter().all(|id| arrived.contains_key(id)), "what was taken has arrived");
    let lost = unknown.iter().filter(|id| !arrived.contains_key(id)).count();
    assert!(lost > 0 && lost < unknown.len(), "some of unknown outcome arrived, some did not: {lost}");
    // Repeated under their ids over a whole link they are taken.
    next_link(&proxy).await;
    for id in unknown {
        within("the repetition", connection.send(message(id))).await.unwrap();
    }
    connection.close().await;
}
