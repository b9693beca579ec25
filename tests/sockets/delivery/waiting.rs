//! Handlers that fail for long: nothing is lost, the other queues flow, and operators hear of it once.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    ConfigBuilder, Connection, DeadLetters, Delivery, MessageHandler, Outgoing, account::AccountKey,
    delivery::FileDeadLetters, local_server::LocalServer,
};
use slog::{Drain, KV, Level, Logger, OwnedKVList, Record, o};
use tokio::sync::mpsc::unbounded_channel;

use super::{LIMIT, acknowledged, config, keys, server, start, within, words};

/// Log records as lines: level, text and values.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Values<'a>(&'a mut String);

impl slog::Serializer for Values<'_> {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}").map_err(|_| slog::Error::Other)
    }
}

impl Drain for Lines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let mut line = record.msg().to_string();
        record.kv().serialize(record, &mut Values(&mut line)).unwrap();
        values.serialize(record, &mut Values(&mut line)).unwrap();
        self.0.lock().unwrap().push((record.level(), line));
        Ok(())
    }
}

impl Lines {
    fn log_into(&self, config: ConfigBuilder) -> ConfigBuilder {
        config.logger(Logger::root(self.clone(), o!()))
    }

    fn having(&self, text: &str) -> Vec<(Level, String)> {
        self.0.lock().unwrap().iter().filter(|(_, line)| line.contains(text)).cloned().collect()
    }
}

/// A handler that fails for texts that begin so, for as long as it is told to.
struct Failing {
    handler: MessageHandler,
    broken: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    /// The texts handled, by sender.
    handled: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

fn failing(prefix: &'static str) -> Failing {
    let (broken, calls) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let handled = Arc::new(Mutex::new(BTreeMap::<String, Vec<String>>::new()));
    let (is_broken, called, notes) = (Arc::clone(&broken), Arc::clone(&calls), Arc::clone(&handled));
    let handler = MessageHandler::new(move |delivery: Delivery| {
        let (text, from) = (words(&delivery), delivery.message().unwrap().from.to_string());
        called.fetch_add(1, Ordering::SeqCst);
        let fails = is_broken.load(Ordering::SeqCst) && text.starts_with(prefix);
        if !fails {
            notes.lock().unwrap().entry(from).or_default().push(text);
        }
        async move { if fails { Err("the database is down") } else { Ok(()) } }
    });
    let handler = handler.attempts(2).unwrap().pause(Duration::from_millis(10), Duration::from_millis(50)).unwrap();
    Failing { handler, broken, calls, handled }
}

impl Failing {
    fn count(&self) -> usize {
        self.handled.lock().unwrap().values().map(Vec::len).sum()
    }

    async fn calls(&self, at_least: usize) {
        within("calls", async {
            while self.calls.load(Ordering::SeqCst) < at_least {
                actix_rt::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    within(what, async {
        while !done() {
            actix_rt::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn waiting(connection: &Connection) -> usize {
    connection.health().await.unwrap().waiting_queues
}

#[actix::test]
async fn of_1500_messages_that_a_handler_cannot_handle_none_is_lost_nor_acknowledged() {
    let server = LocalServer::builder().queue_limit(2000).start().await.unwrap();
    server.create_user("alice", "pw").unwrap();
    for sender in 0..15 {
        server.fill_queue("alice", &format!("sender-{sender}"), 100).unwrap();
    }
    let failing = failing("text");
    let connection = start(config(&server), failing.handler.clone()).await;
    failing.calls(60).await;
    assert_eq!((keys(&server), failing.count()), (vec![], 0));
    assert!(connection.dead_letters().is_none(), "no place was given");
    failing.broken.store(false, Ordering::SeqCst);
    until("all are handled", || failing.count() >= 1500).await;
    let expected: Vec<String> = (0..100).map(|n| format!("text {n}")).collect();
    let handled = failing.handled.lock().unwrap().clone();
    assert_eq!(handled.len(), 15);
    assert!(handled.values().all(|texts| *texts == expected), "each once and in order");
    until("nothing waits", || keys(&server).len() >= 15).await;
    assert_eq!(waiting(&connection).await, 0);
    connection.close().await;
}

#[actix::test]
async fn an_operator_hears_once_that_a_queue_waits_and_once_that_it_goes_on() {
    let (server, lines) = (server().await, Lines::default());
    let failing = failing("bad");
    let connection = start(lines.log_into(config(&server)), failing.handler.clone()).await;
    let id = server.send_text("bob", "alice", "bad secret").unwrap();
    failing.calls(4).await;
    let warned = lines.having("its queue waits on the server");
    assert_eq!(warned.len(), 1, "{warned:?}");
    let (level, line) = &warned[0];
    assert_eq!(*level, Level::Warning);
    for expected in [format!("message={id}"), "conversation=user bob".to_owned(), "database is down".to_owned()] {
        assert!(line.contains(&expected), "`{expected}` is missing in {line}");
    }
    assert_eq!(waiting(&connection).await, 1);
    failing.broken.store(false, Ordering::SeqCst);
    acknowledged(&server, 1).await;
    let told = lines.having("a queue that waited goes on");
    assert!(matches!(&told[..], [(Level::Info, _)]), "{told:?}");
    assert_eq!(waiting(&connection).await, 0);
    connection.close().await;
    assert!(lines.having("secret").is_empty());
}

#[actix::test]
async fn what_goes_to_a_place_is_logged_with_its_id_and_conversation_and_so_is_what_is_dropped_for_it() {
    let (server, lines) = (server().await, Lines::default());
    let letters = DeadLetters::bounded(1, 1 << 20).unwrap().dropping_oldest();
    let failing = failing("bad");
    let handler = failing.handler.clone().dead_letters(letters.clone());
    let connection = start(lines.log_into(config(&server)), handler).await;
    let group = server.create_group("bob", &["alice"]).unwrap();
    let first = server.send_text("bob", "alice", "bad secret").unwrap();
    until("the first letter", || letters.len() == 1).await;
    let to = agora_chat::Conversation::group(&*group);
    let second = server.send_text_to("bob", &to, "bad secret").unwrap();
    until("the second letter", || letters.dropped() == 1).await;
    acknowledged(&server, 2).await;
    connection.close().await;
    let warned = lines.having("is a dead letter now");
    assert_eq!(warned.len(), 2, "{warned:?}");
    for (expected, (level, line)) in
        [format!("message={first} conversation=user bob"), format!("message={second} conversation=group {group}")]
            .into_iter()
            .zip(&warned)
    {
        let values: Vec<&str> = expected.splitn(2, ' ').collect();
        assert!(*level == Level::Warning && values.iter().all(|value| line.contains(value)), "{expected}: {line}");
    }
    let dropped = lines.having("a dead letter was dropped");
    assert!(matches!(&dropped[..], [(Level::Warning, line)] if line.contains(&format!("message={first}"))));
    assert!(lines.having("secret").is_empty());
}

#[actix::test]
async fn letters_in_files_are_acknowledged_outlive_the_connection_and_are_replayed() {
    let (server, dir) = (server().await, tempfile::tempdir().unwrap());
    let files = FileDeadLetters::open(dir.path()).unwrap();
    let account = AccountKey::new(server.app_key().parse().unwrap(), "alice".parse().unwrap());
    let failing = failing("bad");
    let connection = start(config(&server), failing.handler.clone().dead_letter_store(files.clone())).await;
    let bad = server.send_text("bob", "alice", "bad").unwrap();
    server.send_text("bob", "alice", "good").unwrap();
    acknowledged(&server, 1).await;
    connection.close().await;
    assert_eq!(failing.handled.lock().unwrap()["bob"], ["good"], "its queue has gone on");

    let files = FileDeadLetters::open(dir.path()).unwrap();
    let stored = files.list(&account).await.unwrap();
    assert_eq!(stored.iter().map(|letter| letter.message).collect::<Vec<_>>(), [bad]);
    let letter = files.read(&account, &stored[0].id).await.unwrap().unwrap();
    assert_eq!((letter.attempts, letter.message().unwrap().text()), (2, Some("bad")));
    failing.broken.store(false, Ordering::SeqCst);
    let replayed = files.replay(&account, &failing.handler).await.unwrap();
    assert_eq!((replayed.handled, replayed.failed), (1, 0));
    assert_eq!(failing.handled.lock().unwrap()["bob"], ["good", "bad"]);
    assert!(files.list(&account).await.unwrap().is_empty());
}

#[actix::test]
async fn a_full_place_is_none_and_the_queue_waits_until_there_is_room() {
    let (server, lines, dir) = (server().await, Lines::default(), tempfile::tempdir().unwrap());
    server.create_user("carol", "pw").unwrap();
    let files = FileDeadLetters::open(dir.path()).unwrap().bounded(1, 1 << 20).unwrap();
    let account = AccountKey::new(server.app_key().parse().unwrap(), "alice".parse().unwrap());
    let failing = failing("bad");
    let handler = failing.handler.clone().dead_letter_store(files.clone());
    let connection = start(lines.log_into(config(&server)), handler).await;
    server.send_text("bob", "alice", "bad").unwrap();
    acknowledged(&server, 1).await;
    server.send_text("carol", "alice", "bad too").unwrap();
    until("the log tells", || !lines.having("nor kept as a dead letter").is_empty()).await;
    failing.calls(6).await;
    assert_eq!((keys(&server).len(), waiting(&connection).await), (1, 1), "not acknowledged");
    assert_eq!(lines.having("nor kept as a dead letter").len(), 1);
    let stored = files.list(&account).await.unwrap();
    files.remove(&account, &stored[0].id).await.unwrap();
    acknowledged(&server, 2).await;
    assert_eq!(files.list(&account).await.unwrap().len(), 1);
    connection.close().await;
}

#[actix::test]
async fn another_handler_is_asked_at_once_however_long_the_pause_of_the_former_one() {
    let server = server().await;
    let hour = Duration::from_secs(3600);
    let former = failing("bad");
    let connection = start(config(&server), former.handler.clone().pause(hour, hour).unwrap()).await;
    server.send_text("bob", "alice", "bad").unwrap();
    former.calls(1).await;
    server.wait_until(LIMIT, |server| server.stats().heartbeats >= 1).await.unwrap();
    let (tell, mut told) = unbounded_channel();
    connection.set_message_handler(MessageHandler::new(move |delivery: Delivery| {
        tell.send((words(&delivery), delivery.attempt())).unwrap();
        async { Ok::<(), String>(()) }
    }));
    assert_eq!(within("the other handler", told.recv()).await.unwrap(), ("bad".to_owned(), 1));
    acknowledged(&server, 1).await;
    connection.close().await;
}

#[actix::test]
async fn a_hundred_queues_that_always_fail_leave_the_others_their_speed() {
    const GOOD: usize = 3000;
    let server = LocalServer::builder().queue_limit(100_000).start().await.unwrap();
    server.create_user("alice", "pw").unwrap();
    server.create_user("bob", "pw").unwrap();
    for sender in 0..100 {
        server.fill_queue("alice", &format!("poison-{sender}"), 20).unwrap();
    }
    let failing = failing("text");
    let handler = failing.handler.clone().pause(Duration::from_millis(200), Duration::from_secs(1)).unwrap();
    let lines = Lines::default();
    let connection = start(lines.log_into(config(&server)), handler).await;
    failing.calls(200).await;
    let bob = Connection::start(lines.log_into(config(&server)).build().unwrap()).unwrap();
    bob.open(agora_chat::Credentials::password("bob", "pw").unwrap()).await.unwrap();
    for n in 0..GOOD {
        // Past the client's own bound of unanswered sends nothing is sent.
        bob.send(Outgoing::text("alice", n.to_string()).unwrap()).await.unwrap();
        if n % 500 == 0 {
            let begun = std::time::Instant::now();
            until("a good one in between", || failing.count() > n).await;
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }
    }
    until("all good ones", || failing.count() == GOOD).await;
    assert_eq!(waiting(&connection).await, 100);
    assert!(keys(&server).len() >= GOOD / 100);
    assert_eq!(lines.having("the link is lost"), []);
    connection.close().await;
    bob.close().await;
}
