//! A disk that hangs below a state folder, which only the line of work on it can play; and who observes a connection.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use crate::{
    config::{Account, Reconnect},
    connection::{Closed, Connection},
    delivery::{DeadLetters, Delivery, FileDeadLetters, HandlerError, MessageHandler},
    local_server::{Cut, LocalServer},
    model::{
        ConnectionState, Observed, Observer,
        account::{AppKey, UserId},
        auth::Credentials,
        error::Kick,
        message::Message,
        totals::Totals,
    },
    store::{FileCursors, StateDir},
    util::threads::{FILES, Job},
};

const LIMIT: Duration = Duration::from_secs(20);

#[actix::test]
async fn a_disk_that_hangs_costs_its_accounts_the_kept_token_and_nobody_else_on_the_thread_anything() {
    const STUCK: usize = 50;
    let server = LocalServer::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let app: AppKey = server.app_key().parse().unwrap();
    let config = || server.config().state_dir(StateDir::open(dir.path()).unwrap());
    let mut held = Vec::new();
    for n in 0..=STUCK {
        let name = format!("user-{n}");
        server.create_user(&name, "pw").unwrap();
        if n < STUCK {
            let user: UserId = name.parse().unwrap();
            let line = StateDir::open(dir.path()).unwrap().place(&app, &user).line();
            let (go, gone) = mpsc::channel::<()>();
            line.submit(&FILES, Job::always(move || assert!(gone.recv().is_err())));
            held.push((go, line));
        }
    }
    // How late the thread is for others.
    let late = Arc::new(Mutex::new(Duration::ZERO));
    let seen = Arc::clone(&late);
    let ticking = actix_rt::spawn(async move {
        loop {
            let due = Instant::now() + Duration::from_millis(5);
            actix_rt::time::sleep(Duration::from_millis(5)).await;
            let mut late = seen.lock().unwrap();
            *late = (*late).max(due.elapsed());
        }
    });
    let opened = |n: usize| {
        let config = config().login_deadline(LIMIT);
        async move {
            let (connection, began) = (Connection::start(config.build().unwrap()).unwrap(), Instant::now());
            let credentials = Credentials::password(&format!("user-{n}"), "pw").unwrap();
            connection.open(credentials).await.unwrap();
            (connection, began.elapsed())
        }
    };
    let stuck: Vec<_> = (0..STUCK).map(|n| actix_rt::spawn(opened(n))).collect();
    let (free, took) = opened(STUCK).await;
    assert!(took < Duration::from_secs(4), "another account needs no time of theirs: {took:?}");
    let mut closing = Vec::new();
    for opening in stuck {
        let (connection, took) = opening.await.unwrap();
        assert!(took >= Duration::from_secs(5), "{took:?}");
        closing.push(actix_rt::spawn(async move {
            let began = Instant::now();
            assert_eq!(connection.close().await, Closed::LoggedOut);
            began.elapsed()
        }));
    }
    for closing in closing {
        let took = closing.await.unwrap();
        assert!(
            (Duration::from_secs(5)..LIMIT).contains(&took),
            "the end waits for the disk, but not for ever: {took:?}"
        );
    }
    assert!(FILES.count() <= STUCK + 17, "{} threads for {STUCK} stuck accounts", FILES.count());
    ticking.abort();
    let late = *late.lock().unwrap();
    assert!(late < Duration::from_millis(450), "the thread was {late:?} late");
    assert_eq!(server.sessions(&format!("user-{STUCK}")).len(), 1);
    free.close().await;
    // The disk is back.
    drop(held);
    let (connection, took) = opened(0).await;
    assert!(took < Duration::from_secs(4), "{took:?}");
    connection.close().await;
}

#[actix::test]
async fn a_close_is_done_after_the_writes_of_its_account_that_were_begun() {
    let server = LocalServer::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    server.create_user("alice", "pw").unwrap();
    let (app, user): (AppKey, UserId) = (server.app_key().parse().unwrap(), "alice".parse().unwrap());
    let connection = Connection::start(server.config().state_dir(state.clone()).build().unwrap()).unwrap();
    connection.open(Credentials::password("alice", "pw").unwrap()).await.unwrap();
    let line = state.place(&app, &user).line();
    let (go, gone) = mpsc::channel::<()>();
    line.submit(&FILES, Job::always(move || assert!(gone.recv().is_err())));
    // Its removal waits behind what is under way.
    server.kick("alice", Kick::UserRemoved);
    let ended = async {
        while connection.state() != ConnectionState::LoggedOut {
            actix_rt::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, ended).await.unwrap();
    let mut closing = std::pin::pin!(connection.close());
    let early = tokio::time::timeout(Duration::from_millis(200), &mut closing).await;
    assert!(early.is_err(), "its token is not removed yet");
    drop(go);
    closing.await;
    assert_eq!(state.token(&app, &user).unwrap().map(|_| ()), None);
    // Nothing is under way any more.
    assert_eq!(connection.close().await, Closed::NotLoggedIn);
}

#[actix::test]
async fn a_close_waits_for_the_files_of_cursors_and_of_dead_letters_too() {
    let server = LocalServer::start().await.unwrap();
    let (cursors, letters) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    server.create_user("alice", "pw").unwrap();
    let (app, user): (AppKey, UserId) = (server.app_key().parse().unwrap(), "alice".parse().unwrap());
    let connection = Connection::start(server.config().build().unwrap()).unwrap();
    let credentials = Credentials::password("alice", "pw").unwrap();
    let account = Account::new(credentials).cursor_store(Arc::new(FileCursors::open(cursors.path()).unwrap()));
    let letters_store = FileDeadLetters::open(letters.path()).unwrap();
    let handler = MessageHandler::new(|_| async { Ok::<_, HandlerError>(()) }).dead_letter_store(letters_store);
    connection.set_message_handler(handler);
    for folder in [cursors.path(), letters.path()] {
        connection.open(account.clone()).await.unwrap();
        let line = StateDir::open(folder).unwrap().place(&app, &user).line();
        let (go, gone) = mpsc::channel::<()>();
        line.submit(&FILES, Job::always(move || assert!(gone.recv().is_err())));
        let mut closing = std::pin::pin!(connection.close());
        let early = tokio::time::timeout(Duration::from_millis(200), &mut closing).await;
        assert!(early.is_err(), "what was begun is not written yet");
        drop(go);
        assert_eq!(closing.await, Closed::LoggedOut);
    }
}

/// Notes what it is told, in short, and may panic each time.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>, bool);

impl Observer for Notes {
    fn observe(&self, what: Observed<'_>) {
        self.0.lock().unwrap().push(match what {
            Observed::State(state) => state.to_string(),
            Observed::Event(kind) => kind.name().to_owned(),
            Observed::Opened(result) => format!("opened: {}", result.is_ok()),
        });
        assert!(!self.1, "an observer that panics, as the test asked");
    }
}

impl Notes {
    /// Waits for a note, and takes all.
    async fn up_to(&self, last: &str) -> Vec<String> {
        let come = async {
            while !self.0.lock().unwrap().iter().any(|note| note == last) {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, come).await.unwrap();
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[actix::test]
async fn an_observer_is_told_each_state_and_control_event_in_order_and_also_of_the_actor_s_end() {
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", "pw").unwrap();
    let pause = Duration::from_millis(1);
    let reconnect = Reconnect { base: pause, cap: pause, ..Reconnect::default() };
    let account = |notes: &Arc<Notes>| {
        let notes: Arc<Notes> = Arc::clone(notes);
        Account::new(Credentials::password("alice", "pw").unwrap()).observer(notes)
    };
    let notes = Arc::new(Notes::default());
    let arbiter = actix_rt::Arbiter::new();
    let connection = Connection::start_on(&arbiter.handle(), server.config().reconnect(reconnect).build().unwrap());
    connection.open(account(&notes)).await.unwrap();
    let came = notes.up_to("opened: true").await;
    let told = |note: &str| came.iter().position(|told| told == note).unwrap_or_else(|| panic!("{note} in {came:?}"));
    assert!(told("logging in (the token request)") < told("online"), "{came:?}");
    assert!(told("online") < told("Connected") && told("Connected") < told("opened: true"), "{came:?}");
    assert!(connection.open(account(&notes)).await.is_err(), "a second open is told to the first's observer");
    assert_eq!(notes.up_to("opened: false").await.last().unwrap(), "opened: false");
    server.drop_links("alice", Cut::Rst);
    let came = notes.up_to("Connected").await;
    assert_eq!(came, ["reconnecting (attempt 1)", "Reconnecting", "online", "Connected"]);
    arbiter.stop();
    let came = notes.up_to("Disconnected").await;
    assert_eq!(came.first().unwrap(), "logged out");

    // One that panics harms nobody.
    let touchy = Arc::new(Notes(Mutex::default(), true));
    let connection = Connection::start(server.config().build().unwrap()).unwrap();
    connection.open(account(&touchy)).await.unwrap();
    assert_eq!(connection.close().await, Closed::LoggedOut);
    assert!(touchy.0.lock().is_err() || !touchy.0.lock().unwrap().is_empty());
}

#[actix::test]
async fn totals_count_what_the_sessions_of_several_accounts_come_to() {
    let server = LocalServer::start().await.unwrap();
    let totals = Arc::new(Totals::default());
    let mut connections = Vec::new();
    for user in ["alice", "bob"] {
        server.create_user(user, "pw").unwrap();
        let pause = Duration::from_millis(1);
        let reconnect = Reconnect { base: pause, cap: pause, ..Reconnect::default() };
        let connection = Connection::start(server.config().reconnect(reconnect).build().unwrap()).unwrap();
        let letters = DeadLetters::new();
        let handler = MessageHandler::new(|delivery: Delivery| async move {
            let text = delivery.message().and_then(Message::text).unwrap_or_default().to_owned();
            if text == "dead" { Err("as the test asked") } else { Ok(()) }
        });
        connection.set_message_handler(handler.attempts(1).unwrap().dead_letters(letters));
        let account = Account::new(Credentials::password(user, "pw").unwrap()).totals(Arc::clone(&totals));
        connection.open(account).await.unwrap();
        connections.push(connection);
    }
    for text in ["one", "two", "dead"] {
        connections[0].send_text("bob", text).await.unwrap();
    }
    connections[1].send_text("alice", "three").await.unwrap();
    let come = async {
        while totals.handler_runs.counts().sum::<u64>() < 4 || totals.dead_letters.get() < 1 {
            actix_rt::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, come).await.unwrap();
    assert_eq!((totals.received.get(), totals.sent.get(), totals.sends_failed.get()), (4, 4, 0));
    assert_eq!(totals.dead_letters.get(), 1);
    server.drop_links("alice", Cut::Rst);
    server.kick("bob", Kick::ByOtherDevice);
    let lost = async {
        while totals.links_lost().map(|(_, count)| count).sum::<u64>() < 2 {
            actix_rt::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, lost).await.unwrap();
    assert!(totals.links_lost().any(|(class, count)| (class.name(), count) == ("kicked", 1)));
    for connection in connections {
        connection.close().await;
    }
    assert_eq!(totals.links_lost().map(|(_, count)| count).sum::<u64>(), 2, "a close is no loss");
}
