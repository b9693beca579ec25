//! 500 accounts on a bad day.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use agora_chat::{
    Credentials, MessageHandler,
    errors::Kick,
    fleet::{AccountHandle, AccountSpec, Advice, CauseKind, Fleet, FleetError, StateKind},
    local_server::{Cut, SessionEnd},
};

use crate::support::{config, ends, left_for, name, server, specs, state, until, within};

const ACCOUNTS: usize = 500;
const KICKED: usize = 1;
const WRONG_PASSWORD: usize = 2;
const EXPIRED: usize = 3;
const PANICS: usize = 4;
const HANGS: usize = 5;

/// One kicked, one with a wrong password, one whose token ends, the service down at first and started again later, one
/// handler that panics and one that hangs: every other account gets every message once and in order, and every faulty one
/// says what it is.
#[actix::test]
async fn on_a_bad_day_every_other_account_is_untouched_and_every_faulty_one_says_what_it_is() {
    let server = server(ACCOUNTS).await;
    let handled: Arc<Mutex<HashMap<String, Vec<String>>>> = Arc::default();
    let into = Arc::clone(&handled);
    let config = config(&server).handler(move |account: &AccountHandle| {
        let (into, user) = (Arc::clone(&into), account.user().as_str().to_owned());
        MessageHandler::new(move |delivery| {
            let (into, user) = (Arc::clone(&into), user.clone());
            async move {
                assert_ne!(user, name(PANICS), "as the test asked");
                if user == name(HANGS) {
                    std::future::pending::<()>().await;
                }
                let text = delivery.message().and_then(|message| message.text()).unwrap_or_default().to_owned();
                into.lock().unwrap().entry(user).or_default().push(text);
                Ok::<(), FleetError>(())
            }
        })
    });
    // Down at boot.
    server.stop_listening().await.unwrap();
    let fleet = Fleet::start(config).unwrap();
    let mut all = specs(0..ACCOUNTS);
    all[WRONG_PASSWORD] = Credentials::password(&name(WRONG_PASSWORD), "wrong").unwrap().into();
    let token = server.issue_token(&name(EXPIRED), Some(Duration::from_secs(3600))).unwrap();
    server.expire_tokens(&name(EXPIRED));
    all[EXPIRED] = AccountSpec::new(Credentials::token(&name(EXPIRED), token).unwrap());
    fleet.add_all(all).await.unwrap();
    until(&fleet, "the cause is known", |fleet| fleet.summary().causes.contains_key(&CauseKind::Unreachable)).await;
    assert_eq!(fleet.summary().of(StateKind::Failed), 0, "a service that is down fails no account");
    server.listen_again().await.unwrap();
    until(&fleet, "all but two online", |fleet| fleet.summary().of(StateKind::Online) == ACCOUNTS - 2).await;

    for number in 0..ACCOUNTS {
        server.send_text("alice", &name(number), "first").unwrap();
    }
    server.kick(&name(KICKED), Kick::LoggedInElsewhere { ext: Some("somebody else".into()) });
    state(&fleet, &name(KICKED), StateKind::Parked).await;
    // Started again.
    server.stop_listening().await.unwrap();
    server.drop_all(Cut::Rst);
    for number in 0..ACCOUNTS {
        server.send_text("alice", &name(number), "second").unwrap();
    }
    until(&fleet, "nobody online", |fleet| fleet.summary().of(StateKind::Online) == 0).await;
    server.listen_again().await.unwrap();
    until(&fleet, "all but three online", |fleet| fleet.summary().of(StateKind::Online) == ACCOUNTS - 3).await;
    for number in 0..ACCOUNTS {
        server.send_text("alice", &name(number), "third").unwrap();
    }
    let faulty = [KICKED, WRONG_PASSWORD, EXPIRED, PANICS, HANGS];
    until(&fleet, "all messages", |_| {
        let handled = handled.lock().unwrap();
        let done = |number: &usize| handled.get(&name(*number)).is_some_and(|texts| texts.len() >= 3);
        (0..ACCOUNTS).filter(|number| !faulty.contains(number)).all(|number| done(&number))
    })
    .await;
    for number in (0..ACCOUNTS).filter(|number| !faulty.contains(number)) {
        assert_eq!(handled.lock().unwrap()[&name(number)], ["first", "second", "third"], "{}", name(number));
    }
    let rows = [
        (KICKED, StateKind::Parked, Some(CauseKind::KickedElsewhere), Some(Advice::FindOtherLogin)),
        (WRONG_PASSWORD, StateKind::Failed, Some(CauseKind::BadCredentials), Some(Advice::GiveCredentials)),
        (EXPIRED, StateKind::Failed, Some(CauseKind::TokenEnded), Some(Advice::GiveCredentials)),
        // Their sessions are well; their messages wait on the server.
        (PANICS, StateKind::Online, None, None),
        (HANGS, StateKind::Online, None, None),
    ];
    for (number, kind, cause, action) in rows {
        let seen = fleet.account(&name(number)).unwrap().snapshot();
        assert_eq!(
            (seen.state.kind(), seen.cause.map(|cause| cause.kind), seen.action),
            (kind, cause, action),
            "{}",
            name(number)
        );
    }
    let health = fleet.account(&name(PANICS)).unwrap().health().await.unwrap();
    assert_eq!(health.waiting_queues, 1, "its health tells");
    let report = within("the drain", fleet.drain(Duration::from_secs(2))).await;
    let left: Vec<_> = report.left.iter().map(|left| left.user.as_str().to_owned()).collect();
    assert!(left.iter().all(|user| *user == name(HANGS)), "{left:?}");
    assert!(server.online_twice().is_empty());
    for number in [PANICS, HANGS] {
        assert_eq!(left_for(&server, number).await, ["first", "second", "third"], "{}", name(number));
    }
    assert_eq!(ends(&server, &name(9)).last(), Some(&SessionEnd::Logout));
}
