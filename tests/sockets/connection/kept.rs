//! Sends while the server is away, and client ids.

use agora_chat::{
    Connection, DisconnectReason, Limits, Outgoing, SendError,
    connection::SendMessage,
    local_server::{Cut, FrameKind, LocalServer},
};

use crate::connection::support::{Heard, LIMIT, alice, bob, online, quick, server, start, text, within};

/// Online, then with the server away.
async fn away(server: &LocalServer) -> (Connection, Heard) {
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    (connection, heard)
}

/// Comes back once so many messages are kept.
async fn keeps(connection: &Connection, messages: usize) {
    let kept = async {
        while connection.health().await.unwrap().buffered_sends != messages {
            actix_rt::task::yield_now().await;
        }
    };
    within("keeping", kept).await;
}

/// The client ids of the messages that alice's links brought, in order.
fn arrived(server: &LocalServer) -> Vec<u64> {
    let ids = server.sent_by("alice").into_iter().filter_map(|frame| match frame.kind {
        FrameKind::Send { id, namespace: 1, .. } => Some(id),
        _ => None,
    });
    ids.collect()
}

#[actix::test]
async fn what_is_sent_while_the_server_is_down_goes_out_in_order_and_once_after_it_is_back() {
    let server = server().await;
    let (connection, mut heard) = away(&server).await;
    let (other, mut others) = start(quick(server.config()));
    let message = |n: u64| Outgoing::text("bob", format!("message {n}")).unwrap().with_client_id(n);
    // Each is in the actor's mailbox when `send` returns, so their order is certain.
    let sends: Vec<_> = (1..=20).map(|n| connection.address().send(SendMessage(message(n)))).collect();
    keeps(&connection, 20).await;
    assert_eq!(connection.health().await.unwrap().pending_sends, 0);
    server.listen_again().await.unwrap();
    for (n, send) in (1..=20).zip(sends) {
        let sent = within("the answer", send).await.unwrap().unwrap();
        assert_eq!(sent.client_id, n);
        assert!(sent.server_id > 0);
    }
    assert!(heard.connected().await);
    assert_eq!(arrived(&server), (1..=20).collect::<Vec<_>>());
    assert_eq!(connection.health().await.unwrap().buffered_sends, 0);
    other.open(bob()).await.unwrap();
    for n in 1..=20 {
        assert_eq!(text(&others.message().await), format!("message {n}"));
    }
    other.close().await;
    connection.close().await;
}

#[actix::test]
async fn close_tells_kept_messages_that_they_were_not_sent() {
    let server = server().await;
    let (connection, _heard) = away(&server).await;
    let send = connection.address().send(SendMessage(Outgoing::text("bob", "too late").unwrap()));
    keeps(&connection, 1).await;
    within("close", connection.close()).await;
    let error = within("the send", send).await.unwrap().unwrap_err();
    assert_eq!(error, SendError::Ended(DisconnectReason::Closed));
    assert_eq!(error.code().number(), 510);
    assert_eq!(connection.send_text("bob", "out").await.unwrap_err(), SendError::NotLoggedIn);
}

#[actix::test]
async fn a_message_that_waits_too_long_fails_and_a_room_does_not_wait_at_all() {
    let server = server().await;
    let mut limits = Limits::default();
    limits.buffered_sends = 1;
    let config = quick(server.config()).limits(limits);
    let config = config.buffer_sends_for(std::time::Duration::from_millis(50));
    let (connection, mut heard) = online(config, alice()).await;
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    assert_eq!(connection.join_room("1").await, Err(SendError::Reconnecting));
    assert_eq!(connection.leave_room("1").await, Err(SendError::Reconnecting));
    let error = within("the send", connection.send_text("bob", "old")).await.unwrap_err();
    assert!(matches!(error, SendError::Expired { .. }), "{error:?}");
    server.listen_again().await.unwrap();
    assert!(heard.connected().await);
    connection.send_text("bob", "new").await.unwrap();
    assert_eq!(arrived(&server).len(), 1, "what is old never goes out");
    connection.close().await;
}

#[actix::test]
async fn a_second_send_under_an_id_in_use_is_refused_and_the_first_has_its_answer() {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    server.set_silent(true);
    let message = |text: &str| Outgoing::text("bob", text).unwrap().with_client_id(7);
    let first = connection.address().send(SendMessage(message("first")));
    for _ in 0..3 {
        let error = within("the refusal", connection.send(message("second"))).await.unwrap_err();
        assert_eq!(error, SendError::InUse { client_id: 7 });
    }
    server.wait_until(LIMIT, |server| arrived(server) == [7]).await.unwrap();
    server.drop_links("alice", Cut::Rst);
    server.set_silent(false);
    let error = within("the first send", first).await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::OutcomeUnknown { client_id: 7, .. }), "{error:?}");
    // What is repeated under its id is taken, also while the link is on its way back.
    let sent = within("the repetition", connection.send(message("first"))).await.unwrap();
    assert_eq!(sent.client_id, 7);
    assert!(heard.connected().await);
    assert_eq!(arrived(&server), [7, 7]);
    connection.close().await;
}
