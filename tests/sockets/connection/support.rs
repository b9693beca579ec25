//! Starting things, and waiting for events.

use std::{fmt::Debug, future::Future, time::Duration};

use agora_chat::{
    Account, ConfigBuilder, Connection, ConnectionState, Credentials, DisconnectReason, Event, EventHandler, EventKind,
    EventMask, LossCause, Message, MessageBody, Reconnect, local_server::LocalServer,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, error::TryRecvError, unbounded_channel},
    time::timeout,
};

/// Long enough for a busy machine, short enough to fail.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A server with the users alice and bob.
pub(crate) async fn server() -> LocalServer {
    let server = LocalServer::start().await.unwrap();
    for (user, password) in [("alice", "pw-a"), ("bob", "pw-b")] {
        server.create_user(user, password).unwrap();
    }
    server
}

pub(crate) fn alice() -> Credentials {
    Credentials::password("alice", "pw-a").unwrap()
}

pub(crate) fn bob() -> Credentials {
    Credentials::password("bob", "pw-b").unwrap()
}

/// A configuration whose pauses take no time; everything else as by default.
pub(crate) fn quick(config: ConfigBuilder) -> ConfigBuilder {
    config.reconnect(pauses_of(Duration::from_millis(1)))
}

/// Pauses of at most so long.
pub(crate) fn pauses_of(longest: Duration) -> Reconnect {
    let mut reconnect = Reconnect::default();
    reconnect.base = longest;
    reconnect.cap = longest;
    // These tests lose many links in a row on purpose.
    reconnect.flapping = None;
    reconnect
}

/// The events of one connection, in order.
pub(crate) struct Heard(UnboundedReceiver<Event>);

/// A connection and what its subscriber hears.
pub(crate) fn start(config: ConfigBuilder) -> (Connection, Heard) {
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let heard = listen(&connection, "test");
    (connection, heard)
}

/// One more subscriber.
pub(crate) fn listen(connection: &Connection, id: &str) -> Heard {
    let (tell, heard) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| {
        // Whether something waits when a link comes up is a matter of chance here; the engine's tests see to it.
        if event.kind().mask() != EventMask::OFFLINE_SYNC {
            // The test may have heard enough.
            let _ = tell.send(event.clone());
        }
    });
    connection.add_event_handler(id, handler).unwrap();
    Heard(heard)
}

/// A connection that is logged in, with `Connected` heard already.
pub(crate) async fn online(config: ConfigBuilder, account: impl Into<Account>) -> (Connection, Heard) {
    let (connection, mut heard) = start(config);
    within("open", connection.open(account)).await.unwrap();
    assert_eq!(heard.next().await, EventKind::Connected { resumed: false });
    assert_eq!(connection.state(), ConnectionState::Online);
    (connection, heard)
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    timeout(LIMIT, done).await.unwrap_or_else(|_| panic!("{what} takes too long"))
}

impl Heard {
    /// The next event, whatever it is.
    pub(crate) async fn next(&mut self) -> EventKind {
        self.event().await.kind().clone()
    }

    pub(crate) async fn event(&mut self) -> Event {
        within("the next event", self.0.recv()).await.expect("the registry has ended")
    }

    /// The first event the predicate takes; those before it are passed over.
    pub(crate) async fn until<T: Debug>(&mut self, wanted: impl Fn(EventKind) -> Option<T>) -> T {
        let mut passed = Vec::new();
        loop {
            match timeout(LIMIT, self.0.recv()).await {
                Ok(Some(event)) => match wanted(event.kind().clone()) {
                    Some(found) => return found,
                    None => passed.push(event),
                },
                Ok(None) => panic!("the registry has ended after {passed:?}"),
                Err(_) => panic!("waited in vain, hearing {passed:?}"),
            }
        }
    }

    pub(crate) async fn connected(&mut self) -> bool {
        self.until(|event| match event {
            EventKind::Connected { resumed } => Some(resumed),
            _ => None,
        })
        .await
    }

    /// Why the link was lost.
    pub(crate) async fn lost(&mut self) -> LossCause {
        self.until(|event| match event {
            EventKind::Reconnecting { cause, .. } => Some(cause),
            _ => None,
        })
        .await
    }

    pub(crate) async fn disconnected(&mut self) -> DisconnectReason {
        self.until(|event| match event {
            EventKind::Disconnected { reason } => Some(reason),
            _ => None,
        })
        .await
    }

    pub(crate) async fn message(&mut self) -> Message {
        self.until(|event| match event {
            EventKind::Message(message) => Some(message),
            _ => None,
        })
        .await
    }

    /// What has come and was not heard yet. Only right after something that is ordered behind it.
    pub(crate) fn rest(&mut self) -> Vec<EventKind> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|event| event.kind().clone()).collect()
    }

    /// Whether everybody who could tell something is gone, after what came before.
    pub(crate) async fn ended(&mut self) -> Vec<EventKind> {
        let mut heard = Vec::new();
        while let Some(event) = within("the end of the registry", self.0.recv()).await {
            heard.push(event.kind().clone());
        }
        assert!(matches!(self.0.try_recv(), Err(TryRecvError::Disconnected)));
        heard
    }
}

/// Everything published before has been offered to the subscribers when this returns.
pub(crate) async fn published(connection: &Connection) {
    within("the registry's answer", connection.subscribers()).await.unwrap();
}

pub(crate) fn text(message: &Message) -> &str {
    match &message.body {
        MessageBody::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    }
}
