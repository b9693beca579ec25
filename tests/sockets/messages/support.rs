//! A recipient with several conversations that hold several pages each, and what its handler and the server know.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    Account, ConfigBuilder, Connection, Conversation, Credentials, Delivery, EventHandler, EventKind, MessageHandler,
    Reconnect,
    account::Device,
    local_server::{FrameKind, LocalServer},
};
use tokio::time::timeout;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// How many messages a page of these tests' server holds.
pub(crate) const PAGE: usize = 3;

/// How many messages wait in each conversation: two full pages and one that is not.
pub(crate) const MESSAGES: usize = 2 * PAGE + 2;

pub(crate) async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    timeout(LIMIT, done).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

pub(crate) async fn server() -> LocalServer {
    let server = LocalServer::builder().page_size(PAGE).start().await.unwrap();
    for user in ["bob", "carol"] {
        server.create_user(user, "pw").unwrap();
    }
    server
}

/// Pauses of no length.
pub(crate) fn quick(config: ConfigBuilder) -> ConfigBuilder {
    let mut quick = Reconnect::default();
    (quick.base, quick.cap, quick.flapping) = (Duration::from_millis(1), Duration::from_millis(1), None);
    config.reconnect(quick)
}

/// A login of a user that needs no REST call, of one device, so that each finds what waits for it.
pub(crate) fn login(server: &LocalServer, user: &str) -> Account {
    phone(Credentials::token(user, server.issue_token(user, None).unwrap()).unwrap())
}

pub(crate) fn phone(credentials: Credentials) -> Account {
    Account::new(credentials).device(Device::new("phone"))
}

/// Logs in, however often that is cut.
pub(crate) async fn open(connection: &Connection, account: &Account) {
    let opened = async { while connection.open(account.clone()).await.is_err() {} };
    within("the login", opened).await;
}

/// The last key of a queue that the server has seen from a user: up to it everything counts as handled.
pub(crate) fn acknowledged(server: &LocalServer, user: &str, queue: &str) -> u64 {
    let key = |kind: &FrameKind| match kind {
        FrameKind::Pull { queue: of, key } if of == queue => *key,
        _ => None,
    };
    server.sent_by(user).iter().filter_map(|frame| key(&frame.kind)).max().unwrap_or(0)
}

/// Somebody for whom messages wait.
pub(crate) struct Recipient {
    pub(crate) server: LocalServer,
    pub(crate) user: String,
    /// The ids that wait, by queue, in order.
    pub(crate) waiting: BTreeMap<String, Vec<u64>>,
}

impl Recipient {
    /// A new user with messages from two users and in a group; the conversations take turns.
    pub(crate) fn new(server: &LocalServer, user: &str) -> Self {
        server.create_user(user, "pw").unwrap();
        let group = server.create_group("bob", &[user]).unwrap();
        let mut recipient = Recipient { server: server.clone(), user: user.to_owned(), waiting: BTreeMap::new() };
        for _ in 0..MESSAGES {
            for from in ["bob", "carol"] {
                recipient.say(from, Conversation::user(user));
            }
            recipient.say("carol", Conversation::group(group.as_str()));
        }
        recipient
    }

    /// One more message.
    pub(crate) fn say(&mut self, from: &str, to: Conversation) {
        let id = self.server.send_text_to(from, &to, "hello").unwrap();
        let queue = if let Conversation::User(_) = to { from } else { to.id() };
        self.waiting.entry(queue.to_owned()).or_default().push(id);
    }

    /// Until the server has been told that everything is handled.
    pub(crate) async fn all_acknowledged(&self) {
        let all = |server: &LocalServer| {
            let last =
                |(queue, ids): (&String, &Vec<u64>)| acknowledged(server, &self.user, queue) >= *ids.last().unwrap();
            self.waiting.iter().all(last)
        };
        self.server.wait_until(LIMIT, all).await.unwrap();
    }
}

/// What a handler has done so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Handled>>);

#[derive(Default)]
struct Handled {
    order: BTreeMap<String, Vec<u64>>,
    wrong: Vec<String>,
}

impl Log {
    /// A message begins or ends to be handled: the server must not take it for handled.
    pub(crate) fn not_acknowledged(&self, server: &LocalServer, delivery: &Delivery) {
        let (queue, id) = place(delivery);
        let key = acknowledged(server, delivery.user().as_str(), &queue);
        if key >= id {
            self.0.lock().unwrap().wrong.push(format!("{id} of {queue} was acknowledged unhandled, by {key}"));
        }
    }

    pub(crate) fn handled(&self, delivery: &Delivery) {
        let (queue, id) = place(delivery);
        self.0.lock().unwrap().order.entry(queue).or_default().push(id);
    }

    /// How many messages were handled.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().order.values().map(Vec::len).sum()
    }

    /// Everything was handled once and in order, and nothing acknowledged before it.
    pub(crate) fn check(&self, recipient: &Recipient, when: &str) {
        let handled = self.0.lock().unwrap();
        assert!(handled.wrong.is_empty(), "{when}: {:?}", handled.wrong);
        assert_eq!(handled.order, recipient.waiting, "{when}");
    }

    /// A handler that needs a moment for each message, and looks at the server before and after it.
    pub(crate) fn handler(&self, server: &LocalServer) -> MessageHandler {
        let (log, server) = (self.clone(), server.clone());
        MessageHandler::new(move |delivery: Delivery| {
            let (log, server) = (log.clone(), server.clone());
            async move {
                log.not_acknowledged(&server, &delivery);
                tokio::task::yield_now().await;
                log.not_acknowledged(&server, &delivery);
                log.handled(&delivery);
                Ok::<(), String>(())
            }
        })
    }
}

/// The queue of a message, and its id.
pub(crate) fn place(delivery: &Delivery) -> (String, u64) {
    let message = delivery.message().unwrap();
    (message.conversation().id().to_owned(), message.id)
}

/// Counts the starts and ends of offline synchronisations.
#[derive(Clone, Default)]
pub(crate) struct Syncs(Arc<[AtomicUsize; 2]>);

impl Syncs {
    pub(crate) fn watch(connection: &Connection) -> Self {
        let syncs = Syncs::default();
        let seen = syncs.clone();
        let observer = EventHandler::new().on_event(move |event| {
            let at = match event.kind() {
                EventKind::OfflineSyncStarted { .. } => 0,
                EventKind::OfflineSyncFinished { .. } => 1,
                _ => return,
            };
            seen.0[at].fetch_add(1, Ordering::Relaxed);
        });
        connection.add_event_handler("syncs", observer).unwrap();
        syncs
    }

    /// Each start has its end, once the session is over.
    pub(crate) async fn check(&self, connection: &Connection, when: &str) {
        within("the registry's answer", connection.subscribers()).await.unwrap();
        let [started, finished] = [0, 1].map(|at| self.0[at].load(Ordering::Relaxed));
        assert!(started > 0 && started == finished, "{when}: {started} started, {finished} finished");
    }
}
