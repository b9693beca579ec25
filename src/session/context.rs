//! Context of a step: state that outlives a session, the time, and the actions so far.

use std::{sync::Arc, time::Duration};

use super::{Action, Diagnostic, Now, arrivals::Arrivals, connect::addresses::AddressRotation, server_text::redact};
use crate::wire::Frame;
use crate::{
    config::{Config, Endpoints},
    model::{EventKind, EventMask, account::Device, origin::Origin},
};

/// Bits of a client id that count; those above are random (messages spec §1.8).
const COUNT_BITS: u32 = 31;

/// State that outlives a session.
#[derive(Debug)]
pub(super) struct Env {
    pub(super) config: Arc<Config>,
    /// Origin of this engine's events, with the secrets to redact.
    pub(super) origin: Origin,
    pub(super) random: fastrand::Rng,
    /// This device, for accounts that name none.
    pub(super) device: Arc<Device>,
    /// A device that the service renamed, with its new name.
    renamed: Option<(Arc<Device>, Arc<Device>)>,
    pub(super) sockets: AddressRotation,
    pub(super) wanted: EventMask,
    /// Events for the message handler; empty without one.
    pub(super) handled: EventMask,
    pub(super) arrivals: Arrivals,
    pub(super) unsent: usize,
    /// Messages and notices received and not counted yet.
    pub(super) received: u64,
    /// True if events for the message handler carry their encoded meta.
    pub(super) keeps_encoded: bool,
    /// True if the server answered the last session's LOGOUT.
    pub(super) logout_answered: bool,
    last_page: u64,
    last_session: u64,
    client_ids: u64,
}

impl Env {
    pub(super) fn new(config: Arc<Config>, mut random: fastrand::Rng) -> Self {
        let mut sockets = AddressRotation::default();
        if let Endpoints::Fixed(addresses) = &config.endpoints {
            sockets.set(addresses);
        }
        // Uses a generator of its own, so that a chosen device changes nothing else.
        let device = Arc::new(Device::random(random.clone().u64(..)));
        // 32 random bits above a count: unique among the unanswered sends of all of a user's devices, never 0.
        let client_ids = (u64::from(random.u32(1..)) << COUNT_BITS) + 1;
        Env {
            arrivals: Arrivals::new(config.heartbeat_answer),
            origin: Origin::default(),
            config,
            device,
            renamed: None,
            random,
            sockets,
            wanted: EventMask::ALL,
            handled: EventMask::NONE,
            unsent: 0,
            received: 0,
            keeps_encoded: false,
            logout_answered: false,
            last_page: 0,
            last_session: 0,
            client_ids,
        }
    }

    /// Records that the service renamed a device.
    pub(super) fn rename(&mut self, from: Arc<Device>, to: Arc<Device>) {
        self.renamed = Some((from, to));
    }

    /// Returns a device by the name the service gave it.
    pub(super) fn known_as(&self, device: Arc<Device>) -> Arc<Device> {
        match &self.renamed {
            Some((from, to)) if *from == device => Arc::clone(to),
            _ => device,
        }
    }

    /// Returns a client id that was neither given before nor chosen.
    pub(super) fn fresh_id(&mut self) -> u64 {
        let id = self.client_ids;
        self.client_ids = if id < i64::MAX.unsigned_abs() { id + 1 } else { 1 };
        id
    }

    /// Keeps fresh ids clear of a chosen one: the service may accept an id only once.
    pub(super) fn chosen_id(&mut self, id: u64) {
        if id.checked_sub(self.client_ids).is_some_and(|ahead| ahead < 1 << COUNT_BITS) {
            self.client_ids = id;
            self.fresh_id();
        }
    }

    /// Returns a unique id for a page, or for a load of cursors.
    pub(super) fn new_page_id(&mut self) -> u64 {
        self.last_page = self.last_page.wrapping_add(1);
        self.last_page
    }

    /// Returns a session id, new for every attempt: the wall clock, unless that stands still or steps back.
    pub(super) fn new_session_id(&mut self, now: Now) -> Box<str> {
        self.last_session = now.wall.max(self.last_session.saturating_add(1));
        format!("{}:", self.last_session).into()
    }
}

pub(super) struct Cx<'a> {
    pub(super) env: &'a mut Env,
    pub(super) now: Now,
    pub(super) out: &'a mut Vec<Action>,
}

impl Cx<'_> {
    pub(super) fn transmit(&mut self, kind: &'static str, bytes: bytes::Bytes) {
        self.out.push(Action::Transmit(Frame::new(kind, bytes)));
    }

    pub(super) fn after(&self, pause: Duration) -> Duration {
        self.now.mono.saturating_add(pause)
    }

    pub(super) fn emit(&mut self, event: EventKind) {
        self.out.push(Action::Emit(event));
    }

    pub(super) fn note(&mut self, diagnostic: Diagnostic) {
        self.out.push(Action::Note(diagnostic));
    }

    /// Redacts a text that the server wrote.
    pub(super) fn redact(&self, text: String) -> String {
        redact(self.env.origin.redactor(), text)
    }
}
