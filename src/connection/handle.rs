use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use actix::{Addr, MailboxError, Message, Recipient, dev::ToEnvelope};
use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::oneshot;

use super::{
    actor::ConnectionActor,
    health::Health,
    messages::{
        Abandon, Call, ChangeRoom, Close, CloseWithin, GetHealth, NetworkChanged, Open, RegisterUser, RenewToken,
        SendMessage, Stop,
    },
    session_calls::Cancellable,
};
#[cfg(doc)]
use crate::config::ConfigBuilder;
use crate::connection::watch::{StateCell, StatePublisher, StateWatch};
use crate::{
    config::{Account, Config},
    connection::Closed,
    delivery::{DeadLetters, MessageHandler, Slot},
    handlers::{EventHandler, HandlerRegistry, Handlers, SubscriberId, SubscriberInfo, Subscription},
    model::{
        ConnectionState, Event,
        account::{Nickname, Password, Token},
        error::{ActorEnd, ConnectionError, DisconnectReason, OpenError, RequestError, SendError},
        message::Conversation,
        outgoing::{Outgoing, RoomInfo, RoomRequest, Sent},
    },
    rest::RegisteredUser,
    util::spawn::spawn_bounded,
};

/// A connection of one account at a time: cheap to clone, usable from every thread.
///
/// The connection lives on the arbiter it was started on. When the last handle is dropped it logs out and ends; to know
/// when that is done, await [`close`](Connection::close) first.
///
/// ```no_run
/// use agora_chat::{Config, Connection, Credentials, EventHandler};
///
/// # #[actix::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Connection::start(Config::builder("org#app").build()?)?;
/// connection.add_event_handler(
///     "console",
///     EventHandler::new()
///         .on_connected(|_| println!("connected"))
///         .on_disconnected(|_, reason| println!("logged out: {reason}")),
/// )?;
/// connection.open(Credentials::password("alice", "password")?).await?;
/// connection.send(agora_chat::Outgoing::text("bob", "hello")?).await?;
/// connection.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    actor: Addr<ConnectionActor>,
    handlers: Handlers,
    shared: Arc<StateCell>,
    slot: Arc<Slot>,
    config: Arc<Config>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Past the mailbox's bound, since it is sent once in a connection's life and must not be lost.
        self.actor.do_send(Stop);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("config", &self.0.config).field("state", &self.state()).finish()
    }
}

/// A handle that does not keep the connection logged in, from [`Connection::downgrade`].
///
/// ```no_run
/// use agora_chat::{Connection, EventHandler};
/// # fn reply(connection: &Connection) -> Result<(), agora_chat::ConnectionError> {
/// let me = connection.downgrade();
/// connection.add_event_handler("console", EventHandler::new().on_disconnected(move |_, reason| {
///     let again = me.upgrade().is_some();
///     println!("logged out: {reason}; in use still: {again}");
/// }))
/// # }
/// ```
#[derive(Clone)]
pub struct WeakConnection(Weak<Inner>);

impl WeakConnection {
    /// Returns the connection, unless its last handle has been dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<Connection> {
        self.0.upgrade().map(Connection)
    }
}

impl fmt::Debug for WeakConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakConnection")
    }
}

impl Event {
    /// Returns the connection it happened on, so that a subscriber of several can answer on the right one.
    ///
    /// `None` once the connection's last handle is dropped, for an event does not keep it logged in; and for one that no
    /// connection made, such as [`Event::new`], [`EventKind::Missed`](crate::EventKind::Missed) and what a stored dead letter
    /// holds.
    ///
    /// ```
    /// use agora_chat::{Event, EventKind};
    /// # use agora_chat::SendError;
    /// /// Answers whoever wrote, as the account that was written to.
    /// async fn echo(event: Event) -> Result<(), SendError> {
    ///     if let EventKind::Message(message) = event.kind()
    ///         && let Some(text) = message.text()
    ///         && let Some(connection) = event.connection()
    ///     {
    ///         connection.send_text(message.conversation(), text).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        self.origin()?.connection().map(Connection)
    }
}

impl Connection {
    /// Returns a handle that does not keep the connection logged in, for subscribers, which it keeps.
    #[must_use]
    pub fn downgrade(&self) -> WeakConnection {
        WeakConnection(Arc::downgrade(&self.0))
    }

    /// Starts a connection's actors on this thread's arbiter; nothing is sent before [`open`](Connection::open).
    ///
    /// Many connections may share one configuration by an `Arc<Config>`.
    ///
    /// # Errors
    /// [`ConnectionError::NoSystem`] outside an actix system.
    pub fn start(config: impl Into<Arc<Config>>) -> Result<Self, ConnectionError> {
        let arbiter = Arbiter::try_current().ok_or(ConnectionError::NoSystem)?;
        Ok(Self::start_on(&arbiter, config))
    }

    /// Starts a connection's actors on the given arbiter, from any thread; for spreading many over several threads.
    ///
    /// On an arbiter that has ended, every call fails with [`ConnectionError::Stopped`].
    #[must_use]
    pub fn start_on(arbiter: &ArbiterHandle, config: impl Into<Arc<Config>>) -> Self {
        let config = config.into();
        let handlers = HandlerRegistry::start_guarded(arbiter, config.logger.clone());
        Self::start_with(arbiter, config, handlers)
    }

    /// Like [`start_on`](Connection::start_on), with a registry that may serve several connections.
    #[must_use]
    pub fn start_with(arbiter: &ArbiterHandle, config: impl Into<Arc<Config>>, handlers: Handlers) -> Self {
        let (config, shared, slot) = (config.into(), Arc::<StateCell>::default(), Arc::<Slot>::default());
        Connection(Arc::new_cyclic(|me: &Weak<Inner>| {
            let (me, publisher) = (Weak::clone(me), StatePublisher::new(Arc::clone(&shared)));
            let (for_actor, subscribers, handling) = (Arc::clone(&config), handlers.clone(), Arc::clone(&slot));
            let make = move || ConnectionActor::new(for_actor, subscribers, handling, publisher, me);
            let actor = spawn_bounded(arbiter, ConnectionActor::MAILBOX, make);
            Inner { actor, handlers, shared, slot, config }
        }))
    }

    /// As [`ask`](Self::ask), of what ends when this future is dropped.
    pub(super) async fn ask_while_wanted<M>(&self, ask: M) -> Result<M::Result, ConnectionError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        ConnectionActor: actix::Handler<Cancellable<M>>,
        <ConnectionActor as actix::Actor>::Context: ToEnvelope<ConnectionActor, Cancellable<M>>,
    {
        let (_here, gone) = tokio::sync::oneshot::channel();
        self.ask(Cancellable { ask, gone }).await
    }

    pub(super) async fn ask<M>(&self, message: M) -> Result<M::Result, ConnectionError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        ConnectionActor: actix::Handler<M>,
        <ConnectionActor as actix::Actor>::Context: ToEnvelope<ConnectionActor, M>,
    {
        self.0.actor.send(message).await.map_err(|error| match error {
            MailboxError::Closed | MailboxError::Timeout => ConnectionError::Stopped,
        })
    }

    /// Calls the actor; answered even if it ends meanwhile, and `None` where the message was never handled.
    async fn ask_for_good<M, T>(&self, message: M) -> Option<T>
    where
        M: Message + Send + 'static,
        T: Send + 'static,
        ConnectionActor: actix::Handler<Call<M, T>>,
        <ConnectionActor as actix::Actor>::Context: ToEnvelope<ConnectionActor, Call<M, T>>,
    {
        let (asked, answer) = oneshot::channel();
        // Whether it was handled or dropped, the answer tells.
        let _ = self.0.actor.send(Call { message, answer: asked }).await;
        answer.await.ok()
    }

    /// Logs a user in and returns once the server has accepted.
    ///
    /// [`Credentials`](crate::Credentials) are enough; an [`Account`] also names this device and its cursor store.
    ///
    /// Subscribers receive `Connected`. A lost link is regained by itself from then on. A login makes at most
    /// [`Engine::LOGIN_ATTEMPTS`](crate::session::Engine::LOGIN_ATTEMPTS) attempts within the login deadline; what
    /// fails at discovery or the token request and may pass is tried again like a connection, and a pause that the
    /// service asks for is waited out where the deadline leaves time for it. With
    /// [`ConfigBuilder::keep_trying_first_login`](crate::ConfigBuilder::keep_trying_first_login) neither limit holds,
    /// and this waits until the login is accepted or fails for good.
    ///
    /// Add subscribers and set the [message handler](Connection::set_message_handler) first: waiting messages are
    /// fetched at once, and acknowledged (with a warning in the log) even if nobody receives them.
    ///
    /// # Errors
    /// [`OpenError`] names the failed step and carries the vendor's number; [`OpenError::is_final`] says whether to try
    /// again can help. A login under way or done is refused with [`OpenError::InProgress`] or
    /// [`OpenError::AlreadyOpen`] and not disturbed. After any other error `open` may be called again.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the login; [`close`](Connection::close) does.
    pub async fn open(&self, account: impl Into<Account>) -> Result<(), OpenError> {
        self.ask_for_good(Open(account.into())).await.unwrap_or(Err(ConnectionError::Stopped.into()))
    }

    /// Logs out, in every state, and returns once nothing of the session is left: no socket, timer or call.
    ///
    /// Where the link is up, LOGOUT is sent first and its answer awaited for `ConfigBuilder::logout_timeout`.
    /// Subscribers receive `Disconnected` with the reason `Closed`. On a connection that is logged out nothing happens.
    /// Pending sends fail or succeed at once, and so does an `open` that is under way.
    ///
    /// What was begun of the account's files, in a [`ConfigBuilder::state_dir`](crate::ConfigBuilder::state_dir) and in
    /// the stores of this library, is written by then, so that whoever opens the account next finds it; a disk that has
    /// not answered for 5 s is not waited for (the log says so).
    ///
    /// The answer says whether the server knows of the end: see [`Closed`]. It is no error to leave it unread.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the logout.
    pub async fn close(&self) -> Closed {
        self.ask_for_good(Close).await.unwrap_or_else(|| self.0.shared.closed())
    }

    /// Logs out as [`close`](Connection::close) does, once the [message handler](crate::MessageHandler) is done with the
    /// pages it has, and at the latest after the limit.
    ///
    /// No more messages are fetched meanwhile; those that are handled are acknowledged, and the rest comes with the next
    /// login. The account stays online and can send, so that a handler can answer. Where the link is down or gets lost,
    /// the session ends at once; so it does with a `close` meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the logout.
    pub async fn close_within(&self, limit: Duration) -> Closed {
        self.close_as(DisconnectReason::Closed, limit).await
    }

    /// Logs out as [`close_within`](Connection::close_within) does, for this reason, such as
    /// [`Paused`](DisconnectReason::Paused) or [`Moved`](DisconnectReason::Moved).
    ///
    /// # Cancel safety
    /// As [`close_within`](Connection::close_within).
    pub async fn close_as(&self, reason: DisconnectReason, limit: Duration) -> Closed {
        self.ask_for_good(CloseWithin { limit, reason }).await.unwrap_or_else(|| self.0.shared.closed())
    }

    /// Ends the session at once, in every state: the socket is reset, no LOGOUT is sent, and nothing is waited for.
    ///
    /// For an account that is no longer this process's to act for; the server learns of the end by the reset, or when
    /// the account's next session replaces this one. Subscribers receive `Disconnected` with the reason:
    /// [`LeaseLost`](crate::DisconnectReason::LeaseLost), [`Moved`](crate::DisconnectReason::Moved),
    /// [`Paused`](crate::DisconnectReason::Paused) or another that fits. A logout under way keeps its own. Pending sends
    /// end with an unknown outcome, buffered ones surely unsent, and an `open` under way fails.
    ///
    /// This does not wait; to know when nothing of the session is left, await [`close`](Connection::close) after it.
    /// On a connection that is logged out nothing happens.
    ///
    /// ```no_run
    /// # async fn lose(connection: &agora_chat::Connection) {
    /// use agora_chat::DisconnectReason;
    /// connection.abandon(DisconnectReason::LeaseLost);
    /// connection.close().await;
    /// # }
    /// ```
    pub fn abandon(&self, reason: DisconnectReason) {
        // Past the mailbox's bound: a full mailbox must not keep a session alive.
        self.0.actor.do_send(Abandon(reason));
    }

    /// Returns how the connection's actor ended, if it has: every call fails from then on.
    ///
    /// While there are handles it ends by a panic or with its arbiter alone. Subscribers receive
    /// [`DisconnectReason::ActorEnded`](crate::DisconnectReason::ActorEnded) where a session ended with it.
    #[must_use]
    pub fn ended(&self) -> Option<ActorEnd> {
        self.0.shared.ended()
    }

    /// Sends a message and returns once the server has taken it.
    ///
    /// It waits for at most [`ConfigBuilder::send_timeout`]. While a lost link is being regained the message is
    /// buffered: it goes out right after the next login, in order with the others and once, and its time begins then.
    /// It is buffered for at most [`ConfigBuilder::buffer_sends_for`] (60 s), besides at most
    /// [`Limits::buffered_sends`](crate::Limits::buffered_sends) (256) others; past either, and when the session ends
    /// first, it fails and surely was not sent. A message that was on its way when the link was lost is never sent
    /// again by itself.
    ///
    /// # Errors
    /// [`SendError`] tells a refused message from one whose outcome is unknown and from one that was not sent.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the message back; only its answer is lost.
    pub async fn send(&self, message: Outgoing) -> Result<Sent, SendError> {
        self.ask_for_good(SendMessage(message)).await.unwrap_or(Err(ConnectionError::Stopped.into()))
    }

    /// Sends a text to a conversation, a user by name alone: [`send`](Connection::send) of [`Outgoing::text`].
    ///
    /// # Errors
    /// As [`send`](Connection::send).
    pub async fn send_text(&self, to: impl Into<Conversation>, text: &str) -> Result<Sent, SendError> {
        self.send(Outgoing::text(to, text)?).await
    }

    /// Sends a command to a conversation, a user by name alone: [`send`](Connection::send) of [`Outgoing::command`].
    ///
    /// # Errors
    /// As [`send`](Connection::send).
    pub async fn send_command(&self, to: impl Into<Conversation>, action: &str) -> Result<Sent, SendError> {
        self.send(Outgoing::command(to, action)?).await
    }

    /// Joins a chat room and returns what the service says of it (messages spec §4.2).
    ///
    /// The room is joined again when a lost link comes back, unless [`ConfigBuilder::rejoin_rooms`] is off; where that
    /// fails, [`RoomLost`](crate::EventKind::RoomLost) tells.
    ///
    /// # Errors
    /// As [`change_room`](Connection::change_room).
    pub async fn join_room(&self, room: &str) -> Result<RoomInfo, SendError> {
        self.change_room(RoomRequest::join(room)?).await
    }

    /// Joins or leaves a chat room; a [`RoomRequest`] may have a text for the members, and leave the other rooms.
    ///
    /// It waits for at most [`ConfigBuilder::send_timeout`] and is not kept while the link is down.
    ///
    /// # Errors
    /// [`SendError::Reconnecting`] (16) while the link is down; [`SendError::OutcomeUnknown`] where no answer came: -1
    /// when its time ran out, after which the link is replaced; otherwise as [`send`](Connection::send).
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back; only its answer is lost.
    pub async fn change_room(&self, request: RoomRequest) -> Result<RoomInfo, SendError> {
        let sent = self.ask_for_good(ChangeRoom(request)).await.unwrap_or(Err(ConnectionError::Stopped.into()))?;
        Ok(sent.room.map(|room| *room).unwrap_or_default())
    }

    /// Leaves a chat room; it is not joined again, whatever the answer.
    ///
    /// # Errors
    /// As [`change_room`](Connection::change_room).
    pub async fn leave_room(&self, room: &str) -> Result<(), SendError> {
        self.change_room(RoomRequest::leave(room)?).await.map(drop)
    }

    /// Registers a user by open registration (connection spec §3.1); no login is needed.
    ///
    /// # Errors
    /// [`RequestError::Credentials`] for values the service would refuse, before anything is sent;
    /// [`RequestError::Rest`] with a kind for every answer of the service.
    pub async fn register_user(
        &self,
        user: &str,
        password: impl Into<String>,
        nickname: Option<&str>,
    ) -> Result<RegisteredUser, RequestError> {
        let nickname = nickname.map(Nickname::new).transpose()?;
        let message = RegisterUser { user: user.parse()?, password: Password::new(password)?, nickname };
        self.ask(message).await?
    }

    /// Gives the session a new token and returns its end in milliseconds since 1970 (connection spec §10.3).
    ///
    /// One REST call asks for the end; the link is not touched. The countdown starts anew and the next login of this
    /// session uses the new token. Works while the link is down, too.
    ///
    /// # Errors
    /// [`RequestError::NotLoggedIn`] without a session; otherwise the REST call's error, and nothing has changed.
    pub async fn renew_token(&self, token: impl Into<String>) -> Result<u64, RequestError> {
        self.ask(RenewToken(Token::new(token)?)).await?
    }

    /// Returns the connection's state, without a round trip to its actor.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.0.shared.state()
    }

    /// Watches the state: what it is now, then every change in order.
    ///
    /// ```no_run
    /// # async fn watch(connection: agora_chat::Connection) {
    /// let mut states = connection.watch();
    /// while let Some(change) = states.next().await {
    ///     println!("{change:?}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self) -> StateWatch {
        self.0.shared.watch()
    }

    /// Returns the connection's health.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when its actor has [ended](Connection::ended) or its registry was shut down.
    pub async fn health(&self) -> Result<Health, ConnectionError> {
        let mut health = self.ask(GetHealth).await?;
        if let Some(Ok(user)) = health.user.as_ref().map(|user| user.parse()) {
            health.missed_events = self.handlers().missed_events(&user).await?;
        }
        health.handler_panics = self.handlers().panics().await?;
        Ok(health)
    }

    /// Reports that the machine's network has changed, such as from one Wi-Fi to another.
    ///
    /// Where the link seems up, one heartbeat finds out whether it is; where it is down, one attempt is made at once,
    /// and an attempt under way is given up for it. Either way the backoff starts anew. What the server asked to wait
    /// by `Retry-After`, the pause after a kick and the floor of [`Flapping`](crate::config::Flapping) are waited for
    /// all the same. A hint within 5 s of the last one followed is ignored.
    ///
    /// # Errors
    /// [`ConnectionError::Stopped`] when the actor has ended.
    pub async fn network_changed(&self) -> Result<(), ConnectionError> {
        self.ask(NetworkChanged).await
    }

    /// Returns the configuration the connection was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Returns the actor's address, for its [messages](crate::connection). It does not keep the connection alive.
    #[must_use]
    pub fn address(&self) -> &Addr<ConnectionActor> {
        &self.0.actor
    }

    /// Returns the subscribers' registry.
    #[must_use]
    pub fn handlers(&self) -> &Handlers {
        &self.0.handlers
    }

    /// Subscribes an actor to every event; see [`Handlers::add_subscriber`].
    ///
    /// # Errors
    /// As [`Handlers::add_subscriber`].
    pub fn add_subscriber(
        &self,
        id: impl Into<SubscriberId>,
        recipient: Recipient<Event>,
    ) -> Result<(), ConnectionError> {
        self.0.handlers.add_subscriber(id, recipient)
    }

    /// Subscribes an actor to some kinds of events, or with another policy; see [`Handlers::subscribe`].
    ///
    /// # Errors
    /// As [`Handlers::add_subscriber`].
    pub fn subscribe(&self, subscription: Subscription) -> Result<(), ConnectionError> {
        self.0.handlers.subscribe(subscription)
    }

    /// Subscribes closures to events; see [`Handlers::add_event_handler`].
    ///
    /// A closure that needs the connection takes [`downgrade`](Connection::downgrade): one that holds a `Connection`
    /// keeps it logged in until the handler is removed.
    ///
    /// # Errors
    /// As [`Handlers::add_subscriber`].
    pub fn add_event_handler(&self, id: impl Into<SubscriberId>, handler: EventHandler) -> Result<(), ConnectionError> {
        self.0.handlers.add_event_handler(id, handler)
    }

    /// Lets somebody handle messages without loss, in the place of who did so far: see [`MessageHandler`].
    ///
    /// It has effect from the next message on, whatever the state; a call that is under way stays with its former handler.
    /// Queues that wait because of what could not be handled are tried again at once. Set it before [`open`](Connection::open), or what waits on the server is acknowledged unhandled. Like a
    /// subscriber, one that needs the connection takes [`downgrade`](Connection::downgrade).
    ///
    /// ```no_run
    /// use agora_chat::{Connection, Delivery, MessageHandler, Outgoing, SendError};
    /// # fn answer(connection: &Connection) {
    /// let me = connection.downgrade();
    /// connection.set_message_handler(MessageHandler::new(move |delivery: Delivery| {
    ///     let me = me.clone();
    ///     async move {
    ///         let unasked = delivery.message().filter(|message| !message.own && message.id != 0);
    ///         let Some(message) = unasked else { return Ok(()) };
    ///         let connection = me.upgrade().ok_or(SendError::NotLoggedIn)?;
    ///         // Under one id for all attempts, so that the answer arrives once.
    ///         let answer = Outgoing::text(message.conversation(), "got it")?.with_client_id(message.id);
    ///         connection.send(answer).await.map(drop)
    ///     }
    /// }));
    /// # }
    /// ```
    pub fn set_message_handler(&self, handler: MessageHandler) {
        self.0.slot.set(Some(handler));
    }

    /// Removes the message handler from the next message on, and returns it.
    ///
    /// Messages then go to subscribers and are acknowledged at once. To replace a handler, set the new one.
    pub fn clear_message_handler(&self) -> Option<MessageHandler> {
        self.0.slot.set(None)
    }

    /// Returns the message handler, if one is set.
    #[must_use]
    pub fn message_handler(&self) -> Option<MessageHandler> {
        self.0.slot.get()
    }

    /// Returns the message handler's in-memory dead letters: its [`letters`](MessageHandler::letters).
    #[must_use]
    pub fn dead_letters(&self) -> Option<DeadLetters> {
        self.0.slot.get()?.letters().cloned()
    }

    /// Forgets a subscriber; see [`Handlers::remove_subscriber`].
    ///
    /// # Errors
    /// As [`Handlers::add_subscriber`].
    pub fn remove_subscriber(&self, id: impl Into<SubscriberId>) -> Result<(), ConnectionError> {
        self.0.handlers.remove_subscriber(id)
    }

    /// Returns the subscribers and their counts; see [`Handlers::subscribers`].
    ///
    /// # Errors
    /// As [`Handlers::subscribers`].
    pub async fn subscribers(&self) -> Result<Vec<SubscriberInfo>, ConnectionError> {
        self.0.handlers.subscribers().await
    }
}
