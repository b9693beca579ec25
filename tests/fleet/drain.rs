//! The orderly end of a fleet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    MessageHandler,
    fleet::{Fleet, FleetChange, FleetError, StateKind},
    local_server::SessionEnd,
};
use tokio::sync::Semaphore;

use crate::support::{LONG, config, ends, left_for, name, online, server, specs, until, within};

#[actix::test]
async fn a_drain_lets_the_handler_finish_and_acknowledges_what_it_did() {
    let server = server(1).await;
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, goes_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let config = config(&server).handler(move |_| {
        let (begins, goes_on) = (Arc::clone(&begins), Arc::clone(&goes_on));
        MessageHandler::new(move |_| {
            let (begins, goes_on) = (Arc::clone(&begins), Arc::clone(&goes_on));
            async move {
                begins.add_permits(1);
                goes_on.acquire().await.map(drop)
            }
        })
    });
    let fleet = Fleet::start(config).unwrap();
    online(&fleet, 0..1).await;
    server.send_text("alice", "bot-0", "one").unwrap();
    within("the handler", begun.acquire()).await.unwrap().forget();
    let drain = actix_rt::spawn({
        let fleet = fleet.clone();
        async move { fleet.drain(Duration::from_secs(20)).await }
    });
    until(&fleet, "draining", |fleet| fleet.summary().of(StateKind::Draining) == 1).await;
    assert_eq!(server.online(), 1, "it stays until its handler is done");
    go_on.add_permits(1);
    let report = within("the drain", drain).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(ends(&server, "bot-0"), [SessionEnd::Logout]);
    assert_eq!(left_for(&server, 0).await, Vec::<String>::new(), "what was handled is acknowledged");
}

#[actix::test]
async fn a_handler_that_hangs_is_reset_at_the_deadline_named_and_its_message_is_not_lost() {
    let server = server(10).await;
    let handled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&handled);
    let config = config(&server).handler(move |account| {
        let (hangs, count) = (account.user().as_str() == "bot-3", Arc::clone(&count));
        MessageHandler::new(move |_| {
            let count = Arc::clone(&count);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                count.fetch_add(1, Ordering::Relaxed);
                Ok::<(), String>(())
            }
        })
    });
    let fleet = Fleet::start(config).unwrap();
    online(&fleet, 0..10).await;
    for number in 0..10 {
        server.send_text("alice", &name(number), "hello").unwrap();
    }
    until(&fleet, "the others' messages", |_| handled.load(Ordering::Relaxed) == 9).await;
    let begun = std::time::Instant::now();
    let report = within("the drain", fleet.drain(Duration::from_secs(1))).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let left: Vec<_> = report.left.iter().map(|left| left.user.as_str().to_owned()).collect();
    assert_eq!((report.accounts, left), (10, vec!["bot-3".to_owned()]));
    assert_eq!(left_for(&server, 3).await, ["hello"]);
}

#[actix::test]
async fn a_fleet_that_drains_takes_nothing_new_and_one_that_has_ended_says_so() {
    let server = server(3).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    online(&fleet, 0..2).await;
    let mut changes = fleet.watch();
    let (first, second) =
        tokio::join!(fleet.drain(Duration::from_secs(10)), async { fleet.drain(Duration::from_secs(10)).await });
    assert_eq!(first, second);
    assert!(!fleet.is_ready());
    let mut drained = None;
    while let Some(change) = within("the end of changes", changes.next()).await {
        if let FleetChange::Drained(report) = change {
            drained = Some(report);
            break;
        }
    }
    assert_eq!(drained, Some(first));
    let refused = fleet.add(specs(2..3).remove(0)).await;
    assert!(matches!(refused, Err(FleetError::Stopped | FleetError::Draining)), "{refused:?}");
    assert_eq!(fleet.summary().of(StateKind::Released), 2, "what it was can still be read");
}

#[actix::test]
async fn dropping_the_last_handle_logs_everybody_out() {
    let server = server(5).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    online(&fleet, 0..5).await;
    let account = fleet.account("bot-0").unwrap();
    drop(fleet);
    let mut changes = account.watch();
    while account.state().kind() != StateKind::Released {
        let _ = within("released", changes.next()).await;
    }
    server.wait_until(LONG, |server| server.online() == 0).await.unwrap();
    for number in 0..5 {
        assert_eq!(ends(&server, &name(number)), [SessionEnd::Logout]);
    }
}
