//! A session that may go on no longer: its gate is shut, or it is abandoned.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::Duration,
};

use agora_chat::{
    Account, Connection, Credentials, Delivery, DisconnectReason, EventKind, HandlerError, MessageHandler, OpenError,
    Outgoing, SendError, connection::Closed, network::Gate,
};
use tokio::{io::AsyncReadExt, sync::Notify};

use crate::connection::{
    raw::{BINARY, Peer, Port, frame},
    support::{Heard, alice, bob, online, quick, server, start, within},
};

fn token() -> Account {
    Credentials::token("alice", "YWMt-token").unwrap().into()
}

fn open_gate() -> Gate {
    let gate = Gate::new();
    gate.open_until(Gate::now() + Duration::from_secs(60));
    gate
}

/// A connection by hand, online.
async fn at(port: &Port, account: Account) -> (Connection, Heard, Peer) {
    let (connection, mut heard) = start(port.config());
    let opening = actix_rt::spawn({
        let connection = connection.clone();
        async move { connection.open(account).await }
    });
    let peer = port.login().await;
    within("open", opening).await.unwrap().unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    (connection, heard, peer)
}

/// Reads to the end: nothing comes, and the end is a reset.
async fn is_reset(peer: &mut Peer) {
    let mut rest = Vec::new();
    let end = within("the reset", peer.stream.read_to_end(&mut rest)).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(rest.is_empty(), "nothing is written before it");
}

#[actix::test]
async fn an_abandoned_session_is_reset_without_a_logout() {
    let port = Port::open().await;
    let (connection, mut heard, mut peer) = at(&port, token()).await;
    connection.abandon(DisconnectReason::Moved);
    is_reset(&mut peer).await;
    assert_eq!(heard.disconnected().await, DisconnectReason::Moved);
    assert_eq!(connection.close().await, Closed::NotLoggedIn);
    // For comparison, one that is closed says so.
    let (connection, _heard, mut peer) = at(&port, token()).await;
    within("close", connection.close()).await;
    assert!(!peer.end().await.is_empty());
}

#[actix::test]
async fn nothing_is_written_once_the_gate_is_shut_and_the_session_ends_by_a_reset() {
    let port = Port::open().await;
    type Stir = fn(&Connection);
    let stirs: [Stir; 3] = [
        |connection| {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.send(Outgoing::text("bob", "hi").unwrap()).await });
        },
        |connection| {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.network_changed().await });
        },
        |connection| {
            let connection = connection.clone();
            actix_rt::spawn(async move { connection.close().await });
        },
    ];
    for stir in stirs {
        let gate = open_gate();
        let (connection, mut heard, mut peer) = at(&port, token().gate(gate.clone())).await;
        gate.shut();
        stir(&connection);
        is_reset(&mut peer).await;
        let reason = heard.disconnected().await;
        // One that is logging out already has its reason.
        assert!(matches!(reason, DisconnectReason::LeaseLost | DisconnectReason::Closed), "{reason}");
    }
}

#[actix::test]
async fn a_gate_that_runs_out_answers_nothing_more() {
    let port = Port::open().await;
    let gate = open_gate();
    let (connection, mut heard, mut peer) = at(&port, token().gate(gate.clone())).await;
    assert!(
        within("a send", async {
            let sending = actix_rt::spawn({
                let connection = connection.clone();
                async move { connection.send(Outgoing::text("bob", "hi").unwrap()).await }
            });
            let sent = peer.frame().await;
            gate.open_until(Gate::now() + Duration::from_millis(30));
            actix_rt::time::sleep(Duration::from_millis(60)).await;
            // A ping would have its pong, and a frame be taken.
            peer.send(&frame(0x89, b"ping")).await;
            is_reset(&mut peer).await;
            let unknown = sending.await.unwrap().unwrap_err();
            assert!(matches!(unknown, SendError::OutcomeUnknown { .. }), "{unknown:?}");
            sent
        })
        .await
        .is_some_and(|(opcode, _)| opcode == BINARY)
    );
    assert_eq!(heard.disconnected().await, DisconnectReason::LeaseLost);
}

#[actix::test]
async fn behind_a_shut_gate_no_login_dials() {
    let server = server().await;
    let (connection, mut heard) = start(quick(server.discovery_config()));
    let error = within("open", connection.open(Account::from(alice()).gate(Gate::new()))).await.unwrap_err();
    assert!(matches!(&error, OpenError::Ended { reason: DisconnectReason::LeaseLost, .. }), "{error:?}");
    assert_eq!(heard.disconnected().await, DisconnectReason::LeaseLost);
    assert_eq!(server.connects(), 0);
    // Without it the same login goes through.
    within("open", connection.open(Account::from(alice()).gate(open_gate()))).await.unwrap();
    within("close", connection.close()).await;
}

#[actix::test]
async fn a_delivery_knows_its_epoch_and_whether_its_session_is_still_the_one() {
    let server = server().await;
    let (writer, _) = online(quick(server.config()), bob()).await;
    for end in ["abandoned", "closed", "gate shut"] {
        let (connection, mut heard) = start(quick(server.config()));
        let (came, go) = (Arc::new(Mutex::new(Vec::<Delivery>::new())), Arc::new(Notify::new()));
        connection.set_message_handler(MessageHandler::new({
            let (came, go) = (Arc::clone(&came), Arc::clone(&go));
            move |delivery: Delivery| {
                came.lock().unwrap().push(delivery);
                let go = Arc::clone(&go);
                async move {
                    go.notified().await;
                    Ok::<_, HandlerError>(())
                }
            }
        }));
        let gate = open_gate();
        within("open", connection.open(Account::from(alice()).gate(gate.clone()).epoch(7))).await.unwrap();
        assert_eq!(heard.event().await.epoch(), Some(7));
        writer.send_text("alice", "hi").await.unwrap();
        within("the message", async {
            while came.lock().unwrap().is_empty() {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let first = came.lock().unwrap()[0].clone();
        assert!(first.still_ours() && first.epoch() == Some(7));
        match end {
            "abandoned" => connection.abandon(DisconnectReason::Moved),
            "closed" => drop(within("close", connection.close()).await),
            _ => gate.shut(),
        }
        if end != "gate shut" {
            heard.disconnected().await;
        }
        assert!(!first.still_ours(), "{end}");
        // The next session is another one, and the message comes again in it.
        if end != "gate shut" {
            within("open", connection.open(Account::from(alice()).epoch(8))).await.unwrap();
            within("the message again", async {
                while came.lock().unwrap().len() < 2 {
                    actix_rt::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
            let again = came.lock().unwrap()[1].clone();
            assert_eq!((again.epoch(), again.still_ours()), (Some(8), true));
            assert_eq!((first.epoch(), first.still_ours()), (Some(7), false));
            go.notify_waiters();
        }
        within("close", connection.close()).await;
    }
    let without = Delivery::new(agora_chat::Event::new("alice".parse().unwrap(), EventKind::TokenExpired), 1);
    assert_eq!((without.epoch(), without.still_ours()), (None, true), "an application's own test");
    within("close", writer.close()).await;
}
