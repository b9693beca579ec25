//! The message handler over real sockets: acknowledged after it has answered, not before and not twice.

mod waiting;

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use agora_chat::{
    Account, ConfigBuilder, Connection, Credentials, DeadLetters, Delivery, EventHandler, HandlerError, MessageBody,
    MessageHandler, Reconnect, SendError,
    account::Device,
    local_server::{Cut, FrameKind, LocalServer},
    store::FileCursors,
};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(10);

async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    timeout(LIMIT, done).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

async fn server() -> LocalServer {
    let server = LocalServer::start().await.unwrap();
    for user in ["alice", "bob"] {
        server.create_user(user, "pw").unwrap();
    }
    server
}

fn config(server: &LocalServer) -> ConfigBuilder {
    let mut quick = Reconnect::default();
    (quick.base, quick.cap, quick.flapping) = (Duration::from_millis(1), Duration::from_millis(1), None);
    server.config().reconnect(quick)
}

/// One device, so that a restart finds what waits for it.
fn alice() -> Account {
    Account::new(Credentials::password("alice", "pw").unwrap()).device(Device::new("phone"))
}

/// The keys of alice's pulls so far that have one: what she has acknowledged.
fn keys(server: &LocalServer) -> Vec<u64> {
    let key = |kind: &FrameKind| if let FrameKind::Pull { key, .. } = kind { *key } else { None };
    server.sent_by("alice").iter().filter_map(|frame| key(&frame.kind)).collect()
}

async fn acknowledged(server: &LocalServer, times: usize) {
    server.wait_until(LIMIT, |server| keys(server).len() >= times).await.unwrap();
}

fn words(delivery: &Delivery) -> String {
    match &delivery.message().unwrap().body {
        MessageBody::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// What was offered, with the way to answer it.
type Asked = (Delivery, oneshot::Sender<Result<(), HandlerError>>);

/// A handler that leaves the answers to the test; one that is let go is a failure.
fn asking() -> (MessageHandler, UnboundedReceiver<Asked>) {
    let (ask, asked): (UnboundedSender<Asked>, _) = unbounded_channel();
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let (answer, answered) = oneshot::channel();
        let _ = ask.send((delivery, answer));
        async move { answered.await.unwrap_or_else(|_| Err(HandlerError::new("nobody answers"))) }
    });
    (handler.pause(Duration::ZERO, Duration::ZERO).unwrap(), asked)
}

async fn next(asked: &mut UnboundedReceiver<Asked>) -> (String, u32, oneshot::Sender<Result<(), HandlerError>>) {
    let (delivery, answer) = within("the next message", asked.recv()).await.unwrap();
    assert_eq!(delivery.user().as_str(), "alice");
    (words(&delivery), delivery.attempt(), answer)
}

async fn start(config: ConfigBuilder, handler: MessageHandler) -> Connection {
    start_as(alice(), config, handler).await
}

async fn start_as(account: Account, config: ConfigBuilder, handler: MessageHandler) -> Connection {
    let connection = Connection::start(config.build().unwrap()).unwrap();
    connection.set_message_handler(handler);
    within("open", connection.open(account)).await.unwrap();
    connection
}

#[actix::test]
async fn a_message_is_acknowledged_after_the_handler_says_so_and_observers_hear_it_before() {
    let server = server().await;
    let (handler, mut asked) = asking();
    let connection = start(config(&server), handler).await;
    let (tell, mut told) = unbounded_channel();
    let observer = EventHandler::new().on_message(move |_, message| {
        let _ = tell.send(message.id);
    });
    connection.add_event_handler("observer", observer).unwrap();
    server.send_text("bob", "alice", "one").unwrap();
    let (text, attempt, answer) = next(&mut asked).await;
    assert_eq!((text.as_str(), attempt), ("one", 1));
    within("the observer", told.recv()).await.unwrap();
    assert!(keys(&server).is_empty());
    answer.send(Err("not yet".into())).unwrap();
    let (text, attempt, answer) = next(&mut asked).await;
    assert_eq!((text.as_str(), attempt), ("one", 2));
    assert!(keys(&server).is_empty());
    answer.send(Ok(())).unwrap();
    acknowledged(&server, 1).await;
    connection.close().await;
}

#[actix::test]
async fn a_link_lost_while_a_message_is_handled_does_not_bring_it_twice_and_the_new_link_acknowledges_it() {
    let server = server().await;
    let (handler, mut asked) = asking();
    let connection = start(config(&server), handler).await;
    let (tell, mut told) = unbounded_channel();
    let observer = EventHandler::new().on_connected(move |_| {
        let _ = tell.send(());
    });
    connection.add_event_handler("observer", observer).unwrap();
    server.send_text("bob", "alice", "one").unwrap();
    let (_, _, answer) = next(&mut asked).await;
    server.drop_links("alice", Cut::Rst);
    within("the new link", told.recv()).await.unwrap();
    let pulls = |server: &LocalServer| {
        let is_pull = |kind: &FrameKind| matches!(kind, FrameKind::Pull { .. });
        server.sent_by("alice").iter().filter(|frame| is_pull(&frame.kind)).count()
    };
    server.wait_until(LIMIT, |server| pulls(server) >= 2).await.unwrap();
    server.send_text("bob", "alice", "two").unwrap();
    assert!(keys(&server).is_empty());
    answer.send(Ok(())).unwrap();
    let (text, _, answer) = next(&mut asked).await;
    assert_eq!(text, "two", "the first one came again, and was known");
    answer.send(Ok(())).unwrap();
    acknowledged(&server, 2).await;
    connection.close().await;
}

#[actix::test]
async fn what_is_under_way_when_a_session_ends_is_not_acknowledged_and_comes_again() {
    let server = server().await;
    let (handler, mut asked) = asking();
    let connection = start(config(&server), handler).await;
    for text in ["one", "two"] {
        server.send_text("bob", "alice", text).unwrap();
    }
    let (text, _, answer) = next(&mut asked).await;
    assert_eq!(text, "one");
    within("close", connection.close()).await;
    assert!(answer.send(Ok(())).is_ok(), "the call under way goes on");
    within("open", connection.open(alice())).await.unwrap();
    for expected in ["one", "two"] {
        let (text, _, answer) = next(&mut asked).await;
        assert_eq!(text, expected);
        answer.send(Ok(())).unwrap();
    }
    acknowledged(&server, 1).await;
    connection.close().await;
}

#[actix::test]
async fn what_cannot_be_handled_is_a_dead_letter_and_its_queue_moves_on() {
    let server = server().await;
    let letters = DeadLetters::new();
    let (good, mut heard) = unbounded_channel();
    let broken = Arc::new(Mutex::new(true));
    let is_broken = Arc::clone(&broken);
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let answer = if words(&delivery) == "bad" && *is_broken.lock().unwrap() { Err("bad") } else { Ok(()) };
        if answer.is_ok() {
            let _ = good.send(words(&delivery));
        }
        async move { answer }
    });
    let handler = handler.pause(Duration::ZERO, Duration::ZERO).unwrap().dead_letters(letters.clone());
    let connection = start(config(&server), handler).await;
    for text in ["bad", "good"] {
        server.send_text("bob", "alice", text).unwrap();
    }
    assert_eq!(within("the good one", heard.recv()).await.unwrap(), "good");
    acknowledged(&server, 1).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(connection.dead_letters().unwrap().len(), 1, "the same store");
    *broken.lock().unwrap() = false;
    let replayed = letters.replay(&connection.message_handler().unwrap()).await;
    assert_eq!((replayed.handled, replayed.failed, letters.len()), (1, 0, 0));
    assert_eq!(heard.recv().await.unwrap(), "bad");
    connection.close().await;
}

#[actix::test]
async fn with_a_store_a_new_process_goes_on_from_the_key_of_the_last_page_it_handled() {
    let (server, dir) = (server().await, tempfile::tempdir().unwrap());
    let stored = || alice().cursor_store(Arc::new(FileCursors::open(dir.path()).unwrap()));
    let (handler, mut asked) = asking();
    let connection = start_as(stored(), config(&server), handler).await;
    server.send_text("bob", "alice", "one").unwrap();
    next(&mut asked).await.2.send(Ok(())).unwrap();
    acknowledged(&server, 1).await;
    let key = keys(&server)[0];
    connection.close().await;

    server.send_text("bob", "alice", "two").unwrap();
    let (handler, mut asked) = asking();
    let connection = start_as(stored(), config(&server), handler).await;
    let (text, _, answer) = next(&mut asked).await;
    assert_eq!(text, "two");
    assert_eq!(keys(&server), [key, key], "the first pull of the queue carries it");
    answer.send(Ok(())).unwrap();
    acknowledged(&server, 3).await;
    connection.close().await;
}

#[actix::test]
async fn without_a_handler_everything_is_acknowledged_at_once_with_a_store_too() {
    let (server, dir) = (server().await, tempfile::tempdir().unwrap());
    let account = alice().cursor_store(Arc::new(FileCursors::open(dir.path()).unwrap()));
    let (handler, mut asked) = asking();
    let connection = start_as(account, config(&server), handler).await;
    assert!(connection.clear_message_handler().is_some());
    assert!(connection.message_handler().is_none());
    server.send_text("bob", "alice", "one").unwrap();
    acknowledged(&server, 1).await;
    assert!(asked.try_recv().is_err());
    connection.close().await;
}

#[actix::test]
async fn a_handler_that_answers_over_its_own_connection_answers_each_message_once() {
    let server = server().await;
    let connection = Connection::start(config(&server).build().unwrap()).unwrap();
    let me = connection.downgrade();
    connection.set_message_handler(MessageHandler::new(move |delivery: Delivery| {
        let me = me.clone();
        async move {
            let (Some(connection), Some(message)) = (me.upgrade(), delivery.message()) else { return Ok(()) };
            connection.send_text(&message.from, &words(&delivery)).await.map(drop)?;
            Ok::<(), SendError>(())
        }
    }));
    within("open", connection.open(alice())).await.unwrap();
    for n in 0..100 {
        server.send_text("bob", "alice", &n.to_string()).unwrap();
    }
    let sent = |server: &LocalServer| {
        let is_send = |kind: &FrameKind| matches!(kind, FrameKind::Send { namespace: 1, .. });
        server.sent_by("alice").iter().filter(|frame| is_send(&frame.kind)).count()
    };
    server.wait_until(LIMIT, |server| sent(server) >= 100).await.unwrap();
    within("close", connection.close()).await;
    assert_eq!(sent(&server), 100);
}
