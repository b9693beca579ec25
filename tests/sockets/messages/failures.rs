//! Handlers that fail, and links that are cut while one is at work, at every message.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    Connection, DeadLetters, Delivery, MessageHandler,
    local_server::{Cut, LocalServer},
};

use crate::messages::support::{LIMIT, Log, MESSAGES, Recipient, login, open, quick, server, within};

/// What goes wrong once, at one message.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Error,
    Panic,
    Timeout,
    /// The link is cut, and the new one is there before the call ends.
    Cut(Cut),
    /// The same, and then the call fails.
    CutAndError,
    /// The same, but nobody waits for the new link.
    CutAndGoOn,
}

/// Cuts the user's link.
async fn cut(server: &LocalServer, user: &str, how: Cut, wait: bool) {
    let heartbeats = server.stats().heartbeats;
    assert_eq!(server.drop_links(user, how), 1);
    if wait {
        // The first thing on a new link is a heartbeat, which names the queues; after a few more the pages in hand have
        // come again.
        server.wait_until(LIMIT, |server| server.stats().heartbeats > heartbeats + 3).await.unwrap();
    }
}

async fn goes_wrong(server: &LocalServer, wrong: Wrong, at: usize) {
    let when = format!("{wrong:?} at {at}");
    let name = format!("user-{}", server.provision_count());
    let (recipient, log, calls) = (Recipient::new(server, &name), Log::default(), Arc::new(AtomicUsize::new(0)));
    let (at_work, called, letters) = (log.clone(), Arc::clone(&calls), DeadLetters::new());
    let handler = MessageHandler::new({
        let (server, name) = (server.clone(), name.clone());
        move |delivery: Delivery| {
            let (server, log, name) = (server.clone(), at_work.clone(), name.clone());
            let goes_wrong = called.fetch_add(1, Ordering::Relaxed) == at;
            assert!(!(goes_wrong && matches!(wrong, Wrong::Panic)), "on purpose");
            async move {
                log.not_acknowledged(&server, &delivery);
                match wrong {
                    _ if !goes_wrong => {}
                    Wrong::Error | Wrong::Panic => return Err("on purpose"),
                    Wrong::Timeout => pending().await,
                    Wrong::Cut(how) => cut(&server, &name, how, true).await,
                    Wrong::CutAndGoOn => cut(&server, &name, Cut::Rst, false).await,
                    Wrong::CutAndError => {
                        cut(&server, &name, Cut::Fin, true).await;
                        return Err("on purpose");
                    }
                }
                log.not_acknowledged(&server, &delivery);
                log.handled(&delivery);
                Ok(())
            }
        }
    });
    let limit = if matches!(wrong, Wrong::Timeout) { Duration::from_millis(50) } else { LIMIT };
    let handler = handler.pause(Duration::ZERO, Duration::ZERO).unwrap().timeout(limit).unwrap().attempts(100).unwrap();
    let config = quick(server.config()).heartbeat(Duration::from_millis(10), LIMIT);
    let connection = Connection::start(config.build().unwrap()).unwrap();
    connection.set_message_handler(handler.dead_letters(letters.clone()));
    open(&connection, &login(server, &name)).await;
    recipient.all_acknowledged().await;
    log.check(&recipient, &when);
    assert!(letters.is_empty());
    if !matches!(wrong, Wrong::Timeout) {
        let again = usize::from(matches!(wrong, Wrong::Error | Wrong::Panic | Wrong::CutAndError));
        assert_eq!(
            calls.load(Ordering::Relaxed),
            3 * MESSAGES + again,
            "{when}: each is offered once but the failed one"
        );
    }
    within("close", connection.close()).await;
}

async fn at_every_message(wrong: Wrong) {
    let server = server().await;
    for at in 0..3 * MESSAGES {
        goes_wrong(&server, wrong, at).await;
    }
}

#[actix::test]
async fn an_error_at_any_message_has_it_offered_again_in_its_place() {
    at_every_message(Wrong::Error).await;
}

#[actix::test]
async fn a_panic_at_any_message_has_it_offered_again_in_its_place() {
    at_every_message(Wrong::Panic).await;
}

#[actix::test]
async fn a_call_without_an_end_at_any_message_is_given_up_and_the_message_offered_again_in_its_place() {
    at_every_message(Wrong::Timeout).await;
}

#[actix::test]
async fn a_cut_during_the_call_for_any_message_has_nothing_handled_twice_or_lost() {
    for wrong in [Wrong::Cut(Cut::Rst), Wrong::Cut(Cut::Fin), Wrong::CutAndGoOn] {
        at_every_message(wrong).await;
    }
}

#[actix::test]
async fn a_cut_during_a_call_that_then_fails_has_its_message_offered_again_in_its_place() {
    at_every_message(Wrong::CutAndError).await;
}
