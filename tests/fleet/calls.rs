//! The calls of a fleet and of an account.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    Config, Connection, Credentials, EventHandler, EventMask, MessageHandler,
    admission::{Admission, Attempt, Permit, Ticket},
    fleet::{
        AccountSpec, AccountState, Added, Advice, CauseKind, Filter, Fleet, FleetChange, FleetConfig, FleetError,
        LoginPace, Page, Pause, StateKind,
    },
    local_server::{Activity, Cut, SessionEnd},
};

use crate::support::{config, ends, name, online, ponging, quick, server, specs, state, until, within};

#[actix::test]
async fn many_accounts_log_in_answer_messages_and_log_out() {
    let server = server(50).await;
    let fleet = Fleet::start(ponging(config(&server))).unwrap();
    online(&fleet, 0..50).await;
    let alice = Connection::start(quick(server.config()).build().unwrap()).unwrap();
    let pongs = Arc::new(AtomicUsize::new(0));
    let (count, (told, mut heard)) = (Arc::clone(&pongs), tokio::sync::mpsc::unbounded_channel());
    let handler = EventHandler::new().on_message(move |_, message| {
        if message.text() == Some("pong") {
            count.fetch_add(1, Ordering::Relaxed);
            told.send(()).unwrap();
        }
    });
    alice.add_event_handler("pongs", handler).unwrap();
    alice.open(Credentials::password("alice", "password").unwrap()).await.unwrap();
    for number in 0..50 {
        alice.send_text(name(number).as_str(), "ping").await.unwrap();
    }
    for _ in 0..50 {
        within("a pong", heard.recv()).await.unwrap();
    }
    let report = within("the drain", fleet.drain(Duration::from_secs(10))).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.accounts, pongs.load(Ordering::Relaxed)), (50, 50));
    for number in 0..50 {
        assert_eq!(ends(&server, &name(number)), [SessionEnd::Logout]);
    }
    assert!(server.online_twice().is_empty());
    within("close", alice.close()).await;
}

#[actix::test]
async fn one_account_is_seen_watched_used_paused_resumed_restarted_and_removed() {
    let server = server(2).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    let spec = specs(0..1).remove(0).tag("sales").weight(3);
    assert_eq!(fleet.add(spec.clone()).await.unwrap(), Added::New);
    assert_eq!(fleet.add(spec).await.unwrap(), Added::Same);
    let bot = fleet.account("BOT-0").unwrap();
    assert!(within("online", bot.online()).await);
    let seen = bot.snapshot();
    assert_eq!((seen.state, seen.tag.as_deref(), seen.weight), (AccountState::Online, Some("sales"), 3));
    let steps: Vec<_> = bot.transitions().iter().map(|step| (step.from, step.to)).collect();
    use StateKind::{Added as New, LoggingIn, Online, Paused, Waiting};
    assert_eq!(steps, [(New, Waiting), (Waiting, LoggingIn), (LoggingIn, Online)]);
    bot.send_text("alice", "hi").await.unwrap();
    assert_eq!(bot.health().await.unwrap().user.as_deref(), Some("bot-0"));

    let mut watch = bot.watch();
    fleet.pause("bot-0", Pause::until_resumed("maintenance")).await.unwrap();
    let Some(FleetChange::Account(change)) = within("the change", watch.next()).await else { panic!() };
    assert_eq!((change.from, change.to.kind()), (Online, Paused));
    assert_eq!(ends(&server, "bot-0"), [SessionEnd::Logout]);
    let seen = bot.snapshot();
    assert_eq!((seen.action, seen.cause.map(|cause| cause.kind)), (Some(Advice::Resume), Some(CauseKind::Asked)));
    let refused = bot.send_text("alice", "hi").await;
    assert!(matches!(refused, Err(FleetError::NotOnline { state: Paused, .. })), "{refused:?}");

    fleet.resume("bot-0").await.unwrap();
    assert!(within("online", bot.online()).await);
    fleet.restart("bot-0").await.unwrap();
    until(&fleet, "a third session", |_| ends(&server, "bot-0").len() == 2).await;
    state(&fleet, "bot-0", Online).await;
    fleet.remove("bot-0").await.unwrap();
    until(&fleet, "forgotten", |fleet| fleet.account("bot-0").is_err()).await;
    assert_eq!(ends(&server, "bot-0").len(), 3);
    assert!(bot.connection().is_none(), "nothing of it is left");
    for refused in [fleet.remove("bot-0").await, fleet.pause("bot-1", Pause::until_resumed("")).await] {
        assert!(matches!(refused, Err(FleetError::Unknown { .. })), "{refused:?}");
    }
    assert!(matches!(fleet.resume("no spaces").await, Err(FleetError::Credentials(_))));
}

#[actix::test]
async fn lists_are_filtered_and_paged_in_the_order_of_names() {
    let server = server(30).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    let specs: Vec<AccountSpec> = specs(0..30)
        .into_iter()
        .enumerate()
        .map(|(number, spec)| if number % 3 == 0 { spec.tag("third") } else { spec })
        .collect();
    assert_eq!(fleet.add_all(specs).await.unwrap().len(), 30);
    until(&fleet, "all online", |fleet| fleet.summary().of(StateKind::Online) == 30).await;
    let mut page = Page::first(7);
    let mut users = Vec::new();
    loop {
        let part = fleet.accounts(&Filter::all(), &page);
        assert!(part.accounts.len() <= 7);
        users.extend(part.accounts.into_iter().map(|account| account.user.to_string()));
        let Some(next) = part.next else { break };
        page = Page::after(next, 7);
    }
    let mut sorted: Vec<String> = (0..30).map(name).collect();
    sorted.sort();
    assert_eq!(users, sorted);
    assert_eq!(fleet.users(&Filter::all().tag("third")).len(), 10);
    assert_eq!(fleet.users(&Filter::all().search("BOT-2")).len(), 11);
    assert_eq!(fleet.users(&Filter::all().state(StateKind::Paused)).len(), 0);
    fleet.pause("bot-4", Pause::until_resumed("x")).await.unwrap();
    state(&fleet, "bot-4", StateKind::Paused).await;
    assert_eq!(
        fleet.users(&Filter::all().state(StateKind::Paused).cause(CauseKind::Asked)),
        ["bot-4".parse().unwrap()]
    );
    let summary = fleet.summary();
    assert_eq!((summary.total, summary.of(StateKind::Online), summary.of(StateKind::Paused)), (30, 29, 1));
    assert_eq!(summary.causes.get(&CauseKind::Asked), Some(&1));
}

#[actix::test]
async fn one_subscription_hears_all_accounts() {
    let server = server(20).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let into = Arc::clone(&heard);
    let handler = EventHandler::new().on_message(move |event, message| {
        into.lock().unwrap().push(format!("{}: {}", event.user(), message.text().unwrap_or_default()));
    });
    fleet.add_event_handler("audit", handler).unwrap();
    online(&fleet, 0..20).await;
    for number in 0..20 {
        server.send_text("alice", &name(number), "hello").unwrap();
    }
    until(&fleet, "all messages", |_| heard.lock().unwrap().len() == 20).await;
    let mut heard = heard.lock().unwrap().clone();
    heard.sort();
    let mut all: Vec<String> = (0..20).map(|number| format!("{}: hello", name(number))).collect();
    all.sort();
    assert_eq!(heard, all);
    fleet.unsubscribe("audit").unwrap();
    assert!(EventMask::ALL.contains(EventMask::MESSAGE));
}

#[actix::test]
async fn no_second_has_more_logins_than_the_pace_and_rest_calls_keep_their_limits() {
    let server = server(120).await;
    let fleet = Fleet::start(config(&server).pace(LoginPace::per_second(40).burst(40).concurrent(64))).unwrap();
    online(&fleet, 0..120).await;
    let logins = server.rate(Activity::Logins);
    assert_eq!(logins.total(), 120);
    // What was let go within a second may arrive within less; that the second itself is kept shows in simulated time.
    let most = logins.most_within(Duration::from_millis(500));
    assert!(most <= 40, "{most}");
}

#[actix::test]
async fn an_application_may_have_a_queue_of_its_own_behind_the_fleets() {
    struct Gate(Arc<AtomicUsize>, tokio::sync::watch::Receiver<bool>);
    impl Admission for Gate {
        fn ask(&self, _: Attempt) -> Ticket {
            let (asked, mut open) = (Arc::clone(&self.0), self.1.clone());
            Box::pin(async move {
                asked.fetch_add(1, Ordering::Relaxed);
                open.wait_for(|open| *open).await.unwrap();
                Permit::new(|_| ())
            })
        }
    }
    let server = server(5).await;
    let (open, opened) = tokio::sync::watch::channel(false);
    let asked = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Gate(Arc::clone(&asked), opened));
    let fleet = Fleet::start(config(&server).login_queue(gate)).unwrap();
    fleet.add_all(specs(0..5)).await.unwrap();
    until(&fleet, "all ask", |_| asked.load(Ordering::Relaxed) == 5).await;
    assert_eq!(server.connects(), 0);
    open.send(true).unwrap();
    until(&fleet, "all online", |fleet| fleet.summary().of(StateKind::Online) == 5).await;
}

#[actix::test]
async fn new_credentials_bring_a_refused_account_back_and_a_token_goes_to_the_session_that_is_there() {
    let server = server(2).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    fleet.add(Credentials::password("bot-0", "wrong").unwrap()).await.unwrap();
    state(&fleet, "bot-0", StateKind::Failed).await;
    let seen = fleet.account("bot-0").unwrap().snapshot();
    assert_eq!(
        (seen.action, seen.cause.map(|cause| cause.kind)),
        (Some(Advice::GiveCredentials), Some(CauseKind::BadCredentials))
    );
    fleet.update("bot-0", Credentials::password("bot-0", "password").unwrap()).await.unwrap();
    state(&fleet, "bot-0", StateKind::Online).await;

    let token = server.issue_token("bot-1", Some(Duration::from_secs(3600))).unwrap();
    fleet.add(Credentials::token("bot-1", token).unwrap()).await.unwrap();
    state(&fleet, "bot-1", StateKind::Online).await;
    let token = server.issue_token("bot-1", Some(Duration::from_secs(7200))).unwrap();
    fleet.update("bot-1", Credentials::token("bot-1", token).unwrap()).await.unwrap();
    let calls = || server.rest_calls().len();
    let before = calls();
    until(&fleet, "the token's end is asked for", |_| calls() >= before).await;
    assert_eq!(server.session_log().iter().filter(|session| session.user == "bot-1").count(), 1, "no new login");
    let other = fleet.update("bot-1", Credentials::token("bot-0", "YWMt-x").unwrap()).await;
    assert!(matches!(other, Err(FleetError::OtherUser { .. })), "{other:?}");
}

#[actix::test]
async fn a_function_that_makes_handlers_and_panics_costs_its_account_and_no_other() {
    let server = server(3).await;
    let config = config(&server).handler(|account| {
        assert_ne!(account.user().as_str(), "bot-1", "as the test asked");
        MessageHandler::new(|_| async { Ok::<(), String>(()) })
    });
    let fleet = Fleet::start(config).unwrap();
    fleet.add_all(specs(0..3)).await.unwrap();
    state(&fleet, "bot-0", StateKind::Online).await;
    state(&fleet, "bot-2", StateKind::Online).await;
    until(&fleet, "its cause", |fleet| fleet.summary().causes.contains_key(&CauseKind::Application)).await;
    let seen = fleet.account("bot-1").unwrap().snapshot();
    assert_eq!(
        (seen.action, seen.cause.map(|cause| cause.kind)),
        (Some(Advice::CheckApplication), Some(CauseKind::Application))
    );
    assert_eq!(server.session_log().len(), 2);
}

#[actix::test]
async fn a_connection_that_the_application_closes_is_paused_until_resumed() {
    let server = server(1).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    online(&fleet, 0..1).await;
    let bot = fleet.account("bot-0").unwrap();
    bot.connection().unwrap().close().await;
    state(&fleet, "bot-0", StateKind::Paused).await;
    fleet.resume("bot-0").await.unwrap();
    state(&fleet, "bot-0", StateKind::Online).await;
}

#[actix::test]
async fn a_lost_link_is_regained_with_a_permit_and_the_account_says_so() {
    let server = server(1).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    online(&fleet, 0..1).await;
    let mut watch = fleet.account("bot-0").unwrap().watch();
    server.drop_links("bot-0", Cut::Rst);
    let mut seen = Vec::new();
    while seen.last() != Some(&StateKind::Online) {
        let Some(FleetChange::Account(change)) = within("a change", watch.next()).await else { panic!() };
        seen.push(change.to.kind());
    }
    use StateKind::{LoggingIn, Online, Reconnecting, Waiting};
    assert_eq!(seen, [Reconnecting, Waiting, LoggingIn, Online]);
}

#[test]
fn outside_an_actix_system_and_with_bad_settings_no_fleet_starts() {
    let config = || FleetConfig::new(Config::builder("org#app").build().unwrap());
    assert!(matches!(Fleet::start(config()), Err(FleetError::NoSystem)));
    for bad in [
        config().arbiters(0),
        config().arbiters(257),
        config().name(""),
        config().node("x".repeat(65)),
        config().max_accounts(0),
        config().pace(LoginPace::per_second(0)),
    ] {
        assert!(matches!(Fleet::start(bad), Err(FleetError::Config(_))));
    }
}
