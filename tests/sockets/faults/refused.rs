//! Servers that refuse the upgrade, or take connections and drop them.

use std::time::{Duration, Instant, SystemTime};

use agora_chat::{
    EventKind, LossCause,
    local_server::{Cut, Door, FaultProxy},
};

use crate::faults::{
    support::{online, quick, server},
    token,
};

/// One refusal with this pause asked for: how long the client meant to wait, and did.
async fn pause_after(status: u16, retry_after: &str) -> (Option<Duration>, Duration, Duration) {
    let server = server().await;
    let (connection, mut heard) = online(quick(server.config()), token(&server)).await;
    server.refuse_next_upgrades(1, status, Some(retry_after)).unwrap();
    server.drop_links("alice", Cut::Fin);
    heard.lost().await;
    let EventKind::Reconnecting { delay, cause, .. } = heard.next().await else { panic!() };
    let LossCause::UpgradeRefused { status: told, retry_after } = cause else { panic!("{cause:?}") };
    assert_eq!(told, status);
    let began = Instant::now();
    assert!(heard.connected().await);
    let waited = began.elapsed();
    connection.close().await;
    (retry_after, delay, waited)
}

#[actix::test]
async fn a_refused_upgrade_waits_as_long_as_it_was_asked_to_in_seconds() {
    let second = Duration::from_secs(1);
    let pauses = [401, 403, 404, 429, 503].map(|status| actix_rt::spawn(pause_after(status, "1")));
    for pause in pauses {
        let (asked, delay, waited) = pause.await.unwrap();
        assert_eq!(asked, Some(second));
        assert!(delay >= second && waited >= second - Duration::from_millis(20), "{delay:?} {waited:?}");
    }
}

#[actix::test]
async fn a_refused_upgrade_waits_as_long_as_it_was_asked_to_by_a_date() {
    let until = SystemTime::now() + Duration::from_secs(4);
    let (asked, delay, _) = pause_after(503, &httpdate::fmt_http_date(until)).await;
    // A date has whole seconds, and the login before took some time.
    let asked = asked.unwrap();
    assert!(!asked.is_zero() && asked <= Duration::from_secs(4) && delay >= asked, "{asked:?} {delay:?}");
    assert!(SystemTime::now() >= until - Duration::from_secs(1));
}

#[actix::test]
async fn a_pause_that_is_no_pause_is_not_waited_for() {
    for value in ["0", "soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let (asked, delay, _) = pause_after(503, value).await;
        assert!(asked.unwrap_or_default().is_zero() && delay < Duration::from_secs(1), "{value}: {asked:?} {delay:?}");
    }
}

#[actix::test]
async fn connections_that_are_taken_and_dropped_two_hundred_times_are_two_hundred_attempts() {
    let server = server().await;
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let (connection, mut heard) = online(quick(proxy.config_through(&server).unwrap()), token(&server)).await;
    proxy.door(Door::Dropped(Cut::Fin)).await.unwrap();
    proxy.cut_all(Cut::Rst);
    let mut attempts = 0;
    loop {
        match heard.next().await {
            EventKind::Reconnecting { attempt, cause, .. } => {
                attempts += 1;
                assert_eq!(attempt, attempts, "a link that never stands does not count anew");
                assert!(matches!(cause, LossCause::Failed { .. } | LossCause::Io(_)), "{cause:?}");
            }
            EventKind::Connected { resumed: true } => break,
            other => panic!("{other:?}"),
        }
        match attempts {
            100 => proxy.door(Door::Dropped(Cut::Rst)).await.unwrap(),
            200 => proxy.door(Door::Open).await.unwrap(),
            _ => {}
        }
    }
    assert!(attempts >= 200);
    assert_eq!(proxy.counts().connections, u64::from(attempts) + 1, "one connection an attempt, and the first");
    assert_eq!(server.connects(), 2, "only the first and the last came through");
    connection.close().await;
}
