//! The subscriber: where messages arrive, as in an application.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use actix::{Actor, Context, Handler, Message, MessageResult};
use agora_chat::{Event, EventKind, EventMask, MessageBody};
use hdrhistogram::Histogram;

use crate::tally::Tally;

/// Hears all sessions of one arbiter.
pub(crate) struct Listener {
    tally: Arc<Tally>,
    prefix: usize,
    began: Instant,
    /// By account number.
    sessions: Vec<Session>,
    heard: Heard,
}

/// Where a session stands.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Session {
    #[default]
    Out,
    Up,
    /// Since so many milliseconds after the beginning.
    Lost(u32),
}

/// What the listener measured.
pub(crate) struct Heard {
    /// From the clock in the text to the handler, in nanoseconds.
    pub(crate) latency: Histogram<u32>,
    /// From the loss of a link until it is up again, in microseconds.
    pub(crate) back: Histogram<u32>,
    /// When the first and the last message came, in nanoseconds since 1970.
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Asks for what was measured.
#[derive(Message)]
#[rtype(result = "Heard")]
pub(crate) struct Report;

/// A histogram of three digits up to ten minutes of a unit; its memory is there before the first reading is taken.
pub(crate) fn histogram(per_second: u64) -> Histogram<u32> {
    // Only bounds that make no sense are refused.
    Histogram::new_with_bounds(1, per_second * 600, 3).unwrap_or_else(|error| unreachable!("{error}"))
}

impl Listener {
    /// The mailbox: as much as a server can send before the thread gets round to it, so that nothing is missed.
    const MAILBOX: usize = 1 << 22;

    /// What it wants to hear.
    pub(crate) const WANTS: EventMask = EventMask::from_bits(
        EventMask::MESSAGE.bits()
            | EventMask::CONNECTED.bits()
            | EventMask::RECONNECTING.bits()
            | EventMask::DISCONNECTED.bits(),
    );

    pub(crate) fn new(tally: Arc<Tally>, prefix: usize, accounts: usize) -> Self {
        Listener {
            tally,
            prefix,
            began: Instant::now(),
            sessions: vec![Session::default(); accounts],
            heard: Heard { latency: histogram(1_000_000_000), back: histogram(1_000_000), first: 0, last: 0 },
        }
    }

    fn message(&mut self, body: &MessageBody) {
        let MessageBody::Text(text) = body else { return };
        let now = clock();
        if let Some(sent) = text.get(..19).and_then(|digits| digits.parse().ok()) {
            // Longer than ten minutes, or a clock that went back.
            self.heard.latency.saturating_record(now.saturating_sub(sent).max(1));
        }
        if self.heard.first == 0 {
            self.heard.first = now;
        }
        self.heard.last = now;
        self.tally.received.add(1);
    }

    /// Where the session of an event stands, unless the user is none of ours.
    fn session(&mut self, event: &Event) -> Option<&mut Session> {
        let number: usize = event.user().as_str().get(self.prefix..)?.parse().ok()?;
        self.sessions.get_mut(number)
    }

    fn now(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX)
    }
}

/// The wall clock, in nanoseconds since 1970.
fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(Self::MAILBOX);
    }
}

impl Handler<Event> for Listener {
    type Result = ();

    fn handle(&mut self, event: Event, _: &mut Self::Context) {
        let now = match event.kind() {
            EventKind::Message(message) => return self.message(&message.body),
            EventKind::Missed { count } => return self.tally.missed.add(*count),
            _ => self.now(),
        };
        let Some(session) = self.session(&event) else { return };
        let before = *session;
        match event.kind() {
            EventKind::Connected { .. } => {
                *session = Session::Up;
                self.tally.up.add(1);
                if let Session::Lost(since) = before {
                    self.heard.back.saturating_record(u64::from(now.saturating_sub(since).max(1)) * 1000);
                    self.tally.reconnected.add(1);
                }
            }
            EventKind::Reconnecting { .. } => {
                self.tally.attempts.add(1);
                if before == Session::Up {
                    self.session(&event).into_iter().for_each(|session| *session = Session::Lost(now));
                    self.tally.up.less();
                    self.tally.disconnects.add(1);
                }
            }
            EventKind::Disconnected { .. } => {
                *session = Session::Out;
                if before == Session::Up {
                    self.tally.up.less();
                    self.tally.disconnects.add(1);
                }
            }
            _ => {}
        }
    }
}

impl Handler<Report> for Listener {
    type Result = MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Self::Result {
        MessageResult(Heard {
            latency: std::mem::replace(&mut self.heard.latency, histogram(1)),
            back: std::mem::replace(&mut self.heard.back, histogram(1)),
            ..self.heard
        })
    }
}
