use super::{DeadLetter, DeadLetterError, DeadLetterStore, DeadLetters};
use crate::{
    config::{count, in_range},
    model::{
        Event, EventKind, EventMask,
        account::{AccountKey, UserId},
        error::ConfigError,
        message::Message,
        origin::Origin,
    },
    util::{
        Escaped,
        backoff::doubled,
        guarded,
        impls::{impl_from, setters},
        lent::caught,
        weight::Weigh,
    },
};
use actix::{MailboxError, Recipient};
use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc, time::Duration};

/// One event offered to the [`MessageHandler`]; an actor answers it with `Ok` once it is handled.
///
/// It prints no text of a message.
#[derive(Clone, actix::Message)]
#[rtype(result = "Result<(), HandlerError>")]
pub struct Delivery {
    event: Event,
    attempt: u32,
}

impl Delivery {
    /// Offers an event; useful for an application's own tests of its handler.
    #[must_use]
    pub fn new(event: Event, attempt: u32) -> Self {
        Delivery { event, attempt }
    }

    /// Returns the event to handle, shared with the subscribers.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Returns the message; `None` for an unreadable one, [`EventKind::Unknown`], and for an event of another kind.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match self.event.kind() {
            EventKind::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Returns the account it came to.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.event.user()
    }

    /// Returns the epoch of the session it came in, as given by [`Account::epoch`](crate::Account::epoch).
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.event.epoch()
    }

    /// Returns whether the account is this session's still: `false` once the session has ended or was
    /// [abandoned](crate::Connection::abandon), or its [gate](crate::network::Gate) is shut.
    ///
    /// A handler whose effects must not be doubled by another process looks here right before them. The call under way
    /// goes on after the session's end, and what it handles then is not acknowledged: the message comes again, wherever
    /// the account logs in next.
    #[must_use]
    pub fn still_ours(&self) -> bool {
        self.event.origin().is_none_or(Origin::is_live)
    }

    /// Returns the number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Delivery");
        shown.field("user", self.user()).field("attempt", &self.attempt);
        if let Some(message) = self.message() {
            shown.field("message", &message.id);
        }
        shown.finish_non_exhaustive()
    }
}

/// Error of a [`MessageHandler`]. Its text goes to the log, so it must not hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Escaped(.0))]
pub struct HandlerError(Box<str>);

impl Weigh for HandlerError {
    fn heap(&self) -> usize {
        self.0.heap()
    }
}

impl HandlerError {
    /// The longest text, in characters; the rest is cut.
    pub const MAX_CHARS: usize = 512;

    /// Makes an error of this text.
    pub fn new(reason: impl fmt::Display) -> Self {
        HandlerError(reason.to_string().chars().take(Self::MAX_CHARS).collect::<String>().into())
    }
}

impl_from! { HandlerError {
    |reason: String| HandlerError::new(reason);
    |reason: &str| HandlerError::new(reason);
} }

#[derive(Debug)]
pub(super) enum Failed {
    Attempt(HandlerError),
    /// The actor has ended for good, so that nothing was tried.
    NobodyThere,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<(), E>>>>;

type Sink = Arc<dyn Fn(DeadLetter) -> Answer<DeadLetterError> + Send + Sync>;

#[derive(Clone)]
enum DeadLetterSink {
    Nowhere,
    Memory(DeadLetters),
    Store(Arc<dyn DeadLetterStore>),
    Sink(Sink),
}

/// Handles a connection's messages without loss: what it has answered with `Ok` is acknowledged to the server, what it
/// has not comes again. Given to [`Connection::set_message_handler`](crate::Connection::set_message_handler).
///
/// A page of a queue (a conversation, or the system) is acknowledged after all of its messages were handled, one after
/// the other in the server's order. Pages of different queues are handled side by side, at most
/// [`Limits::pulls`](crate::Limits) of them. A handler that is slow slows the fetching of its queues, and nothing else:
/// at most [`Limits::in_flight_bytes`](crate::Limits) bytes wait for it.
///
/// An answer of `Err`, a panic, or no answer within the [timeout](MessageHandler::timeout) is a failed attempt. The queue
/// then waits **on the server** for its next try: for a [pause](MessageHandler::pause) that doubles with each attempt, and
/// up to a quarter of it more. Meanwhile nothing of it is acknowledged, in memory or under way, and other queues flow; at
/// most half of [`Limits::pulls`](crate::Limits), and 1 at least, are tried again at once. This goes on for ever, and the
/// messages behind the one that fails wait in their order. The log says so once for each queue, at WARN, when the
/// [attempts](MessageHandler::attempts) are used up, and [`Health`](crate::connection::Health) counts the queues that wait.
///
/// An application that would rather go on gives a durable place for what cannot be handled: a
/// [store](MessageHandler::dead_letter_store) such as [`FileDeadLetters`](crate::delivery::FileDeadLetters), a
/// [sink](MessageHandler::dead_letter_sink), or, where it may end with the process, [memory](MessageHandler::dead_letters).
/// After the last attempt the event goes there, is logged at WARN with id and conversation, and counts as handled. A place
/// that is full or fails is none: the queue waits, and handler and place are tried again.
///
/// When the link is lost, handling goes on; what comes again meanwhile is not handled twice, as long as it is in flight or
/// among the [ids remembered](crate::Limits). When the session ends, the call under way goes on by itself, nothing else
/// begins, and what was not acknowledged comes again after the next login; also what was handled already on a page that
/// was not handled whole, and after a restart of the process a page whose acknowledgement was lost. With a
/// [`CursorStore`](crate::store::CursorStore), only the pages in flight.
///
/// The closure and its future run on the connection's thread, so they must not block.
///
/// ```
/// use agora_chat::{Delivery, MessageHandler, delivery::FileDeadLetters};
///
/// # async fn store(_: &agora_chat::Message) -> Result<(), std::io::Error> { Ok(()) }
/// # let dir = tempfile::tempdir()?;
/// let letters = FileDeadLetters::open(dir.path())?;
/// let handler = MessageHandler::new(|delivery: Delivery| async move {
///     match delivery.message() {
///         Some(message) => store(message).await,
///         None => Ok(()),
///     }
/// })
/// .attempts(5)?
/// .dead_letter_store(letters.clone());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a handler handles nothing until it is set"]
pub struct MessageHandler {
    handle: Arc<dyn Fn(Delivery) -> Answer<Failed> + Send + Sync>,
    events: EventMask,
    timeout: Duration,
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
    place: DeadLetterSink,
}

impl MessageHandler {
    /// Makes a handler of a closure, whose errors become text.
    pub fn new<F, Answer, E>(handle: F) -> Self
    where
        F: Fn(Delivery) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<(), E>> + 'static,
        E: fmt::Display,
    {
        Self::by(move |delivery| {
            let answer = handle(delivery);
            Box::pin(async move { answer.await.map_err(|error| Failed::Attempt(HandlerError::new(error))) })
        })
    }

    /// Makes a handler of an actor, past its mailbox's bound: at most [`Limits::pulls`](crate::Limits) at once.
    ///
    /// An attempt that takes too long is given up here; the actor may still be at it when the next one comes. An actor
    /// that has ended handles nothing and fails nothing: what it was offered last and what comes waits, unacknowledged,
    /// until another handler is [set](crate::Connection::set_message_handler). The log says so once.
    pub fn actor(actor: Recipient<Delivery>) -> Self {
        Self::by(move |delivery| {
            let (asked, actor) = (actor.send(delivery), actor.clone());
            Box::pin(async move {
                let failed = match asked.await {
                    Ok(answer) => return answer.map_err(Failed::Attempt),
                    // A mailbox that is closed once stays so; one restarted by a supervisor keeps it open.
                    Err(MailboxError::Closed) if !actor.connected() => return Err(Failed::NobodyThere),
                    Err(MailboxError::Closed) => "the handler's actor let the message go unanswered",
                    Err(MailboxError::Timeout) => "the handler's actor did not answer",
                };
                Err(Failed::Attempt(HandlerError::new(failed)))
            })
        })
    }

    fn by(handle: impl Fn(Delivery) -> Answer<Failed> + Send + Sync + 'static) -> Self {
        MessageHandler {
            handle: Arc::new(handle),
            events: EventMask::MESSAGE,
            timeout: Duration::from_secs(90),
            attempts: 3,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(300),
            place: DeadLetterSink::Nowhere,
        }
    }

    /// Sets the kinds of events of a page that are handled; the others go to subscribers only. What comes by no page,
    /// such as `Connected`, is never handled. Default: [`EventMask::MESSAGE`].
    ///
    /// Whoever handles messages is offered also what may be one and [cannot be
    /// read](crate::events::UnknownNotice::unreadable), as [`EventKind::Unknown`] with its bytes: nothing is
    /// acknowledged that was not offered.
    pub fn events(mut self, events: EventMask) -> Self {
        self.events = events;
        self
    }

    /// Sets the time limit of one attempt. Default: 90 s.
    ///
    /// An attempt that sends should have longer than
    /// [`ConfigBuilder::buffer_sends_for`](crate::ConfigBuilder::buffer_sends_for) and
    /// [`ConfigBuilder::send_timeout`](crate::ConfigBuilder::send_timeout) together, by default 60 s and 15 s: a send
    /// goes on when the attempt that waits for it is given up, and the next attempt sends again.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for less than 10 ms or more than a day.
    pub fn timeout(mut self, limit: Duration) -> Result<Self, ConfigError> {
        self.timeout = in_range("the handler's timeout", limit, Duration::from_millis(10), "from 10 ms to a day")?;
        Ok(self)
    }

    /// Sets the number of attempts before something is a dead letter, or, without a place for those, before the log
    /// says that its queue waits. Default: 3.
    ///
    /// # Errors
    /// [`ConfigError::Range`] outside 1 to 1000.
    pub fn attempts(mut self, attempts: u32) -> Result<Self, ConfigError> {
        count("the number of attempts", attempts as usize, 1..=1000, "from 1 to 1000")?;
        self.attempts = attempts;
        Ok(self)
    }

    /// Sets the pause after the first failed attempt, which doubles with each one more, and the longest. Default: 1 s
    /// and 5 minutes. Up to a quarter is added by chance, so that queues that fail together come back one by one. A
    /// pause of 0 tries again at once; after the last of the [attempts](MessageHandler::attempts) it is 1 s at least.
    ///
    /// Its queue waits meanwhile, unless another handler is set in the place of this one, which is asked at once.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for more than a day, or a longest pause shorter than the first.
    pub fn pause(mut self, first: Duration, longest: Duration) -> Result<Self, ConfigError> {
        in_range("the longest pause", longest, first, "from the first pause to a day")?;
        (self.first_pause, self.longest_pause) = (first, longest);
        Ok(self)
    }

    setters! {
        /// Keeps what could not be handled in memory, in the place of what was given before; one store may serve many
        /// handlers. What it takes is acknowledged, and ends with the process. Default: nothing is taken, and queues
        /// wait.
        dead_letters(letters: DeadLetters) |this| this.place = DeadLetterSink::Memory(letters);

        /// Has what could not be handled kept by a store, such as
        /// [`FileDeadLetters`](crate::delivery::FileDeadLetters), in the place of what was given before.
        ///
        /// The message counts as handled once the store says `Ok`. With an `Err`, a panic, or no answer within the
        /// [timeout](MessageHandler::timeout), its queue waits, and after a [pause](MessageHandler::pause), of 1 s at
        /// least, the handler and then the store are asked again, for as long as it takes.
        dead_letter_store(store: impl DeadLetterStore) |this| this.place = DeadLetterSink::Store(Arc::new(store));
    }

    /// Has what could not be handled kept by a closure, such as one that writes to a database, in the place of what was
    /// given before.
    ///
    /// It is asked as a [store](MessageHandler::dead_letter_store) is. [`DeadLetter::encode`] gives it the bytes of a
    /// letter. What should be let go is answered with `Ok`.
    ///
    /// ```
    /// use agora_chat::{Delivery, MessageHandler, delivery::DeadLetter};
    /// # async fn insert(_: &DeadLetter) -> Result<(), std::io::Error> { Ok(()) }
    /// # let handler = MessageHandler::new(|_: Delivery| async { Ok::<(), String>(()) });
    /// let handler = handler.dead_letter_sink(|letter: DeadLetter| async move { insert(&letter).await });
    /// ```
    pub fn dead_letter_sink<F, Kept, E>(mut self, keep: F) -> Self
    where
        F: Fn(DeadLetter) -> Kept + Send + Sync + 'static,
        Kept: Future<Output = Result<(), E>> + 'static,
        E: fmt::Display,
    {
        self.place = DeadLetterSink::Sink(Arc::new(move |letter| {
            let kept = keep(letter);
            Box::pin(async move { kept.await.map_err(|error| DeadLetterError::new(HandlerError::new(error))) })
        }));
        self
    }

    /// Returns the dead letters in memory, if they are kept [there](MessageHandler::dead_letters).
    #[must_use]
    pub fn letters(&self) -> Option<&DeadLetters> {
        match &self.place {
            DeadLetterSink::Memory(letters) => Some(letters),
            _ => None,
        }
    }

    pub(super) fn has_place(&self) -> bool {
        !matches!(self.place, DeadLetterSink::Nowhere)
    }

    /// Returns whether its dead letters may outlive the process.
    pub(super) fn keeps_encoded(&self) -> bool {
        matches!(self.place, DeadLetterSink::Store(_) | DeadLetterSink::Sink(_))
    }

    pub(super) fn wanted(&self) -> EventMask {
        self.events
    }

    pub(super) fn limit(&self) -> u32 {
        self.attempts
    }

    #[cfg(test)]
    pub(super) fn limit_of_time(&self) -> Duration {
        self.timeout
    }

    /// Returns the pause after a failed attempt, counted from 1.
    pub(super) fn pause_after(&self, attempt: u32) -> Duration {
        doubled(self.first_pause, self.longest_pause, attempt.saturating_sub(1))
    }

    pub(super) async fn offer(&self, delivery: Delivery) -> Result<(), Failed> {
        let answer = self.answer(|| (self.handle)(delivery), "the handler panicked").await;
        answer.unwrap_or_else(|failed| Err(Failed::Attempt(failed)))
    }

    /// Returns the folder of letters, if the crate's own store is set.
    pub(crate) fn letters_folder(&self) -> Option<&Path> {
        match &self.place {
            DeadLetterSink::Store(store) => caught(|| store.folder()).flatten(),
            _ => None,
        }
    }

    /// Stores a letter, and returns those dropped for it.
    pub(super) async fn keep(
        &self,
        account: &AccountKey,
        letter: &DeadLetter,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let kept = match &self.place {
            DeadLetterSink::Nowhere => return Err(DeadLetterError::new("there is no place for dead letters")),
            DeadLetterSink::Memory(letters) => return letters.push(letter.clone()),
            DeadLetterSink::Store(store) => {
                let keep = || -> Answer<DeadLetterError> { store.keep(account, letter) };
                self.answer(keep, "the store panicked").await
            }
            DeadLetterSink::Sink(sink) => self.answer(|| sink(letter.clone()), "the sink panicked").await,
        };
        kept.unwrap_or_else(|failed| Err(DeadLetterError::new(failed))).map(|()| Vec::new())
    }

    async fn answer<T>(
        &self,
        begin: impl FnOnce() -> Pin<Box<dyn Future<Output = T>>>,
        panicked: &str,
    ) -> Result<T, HandlerError> {
        match actix_rt::time::timeout(self.timeout, guarded(begin)).await {
            Ok(answer) => answer.ok_or_else(|| HandlerError::new(panicked)),
            Err(_) => Err(HandlerError::new(format_args!("no answer within {:?}", self.timeout))),
        }
    }
}

impl fmt::Debug for MessageHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageHandler")
            .field("events", &self.events)
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .field("letters", &self.letters())
            .field("place", &self.has_place())
            .finish_non_exhaustive()
    }
}
