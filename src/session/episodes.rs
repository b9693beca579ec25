//! Oddities that a peer can repeat without end: each is told when it shows, and then with a count now and then.

use std::{sync::Arc, time::Duration};

use super::{Action, Diagnostic};
use crate::session::{context::Cx, inbox::queues::Queues, machine::Session};
use crate::{
    model::{
        EventKind,
        message::{Claims, cut},
    },
    wire::Jid,
};

/// One kind of oddity of a session.
#[derive(Debug, Default)]
pub(super) struct Episode {
    told: Option<Duration>,
    /// How many since it was told of.
    untold: u64,
}

impl Episode {
    /// How far apart it is told of at least.
    const APART: Duration = Duration::from_secs(600);

    /// It happened so many times; how many there are to tell of now, if it is to be told of.
    pub(super) fn strikes(&mut self, times: u64, now: Duration) -> Option<u64> {
        self.untold = self.untold.saturating_add(times);
        if self.told.is_some_and(|told| now.saturating_sub(told) < Self::APART) {
            return None;
        }
        self.told = Some(now);
        self.rest()
    }

    /// How many have not been told of, if any.
    pub(super) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.untold)).filter(|untold| *untold > 0)
    }
}

/// The oddities of a session.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    pub(super) undecodable: Episode,
    pub(super) broken_metas: Episode,
    pub(super) page_status: Episode,
    pub(super) long_names: Episode,
    pub(super) claims: Episode,
    pub(super) resources: Episode,
    /// Who made the last false claim, and what it was.
    last_claim: Option<(Arc<str>, Box<Claims>)>,
}

impl Session {
    /// Tells of an event that says something else of itself than the service does.
    pub(super) fn heed_claims(&mut self, event: &EventKind, from: Option<&Jid>, cx: &mut Cx<'_>) {
        let Some(claims) = event.claims() else { return };
        // The server wrote the one and passed on the other: either may repeat a secret, and this is to be shown.
        let shown = |name: &str| cut(&self.redactor.taken_in(name, Claims::MAX_CHARS));
        let from = shown(from.map(Jid::name).unwrap_or_default());
        let claims =
            Claims { from: claims.from.as_deref().map(shown), to: claims.to.as_deref().map(shown), chat: claims.chat };
        self.inbox.odd.last_claim = Some((from, Box::new(claims)));
        if let Some(count) = self.inbox.odd.claims.strikes(1, cx.now.mono)
            && let Some((from, claims)) = self.inbox.odd.last_claim.take()
        {
            cx.out.push(Action::Note(Diagnostic::FalseClaims { count, from, claims }));
        }
    }

    /// The session ends: tells of what was only counted.
    pub(super) fn tell_odd(&mut self, cx: &mut Cx<'_>) {
        let Oddities { undecodable, broken_metas, page_status: _, resources: _, long_names, claims, last_claim } =
            &mut self.inbox.odd;
        if let Some(count) = undecodable.rest() {
            cx.out.push(Action::Note(Diagnostic::MoreUndecodable { count }));
        }
        if let Some(count) = broken_metas.rest() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            cx.out.push(Action::Note(Diagnostic::BrokenMetas { count }));
        }
        if let Some((count, (from, claims))) = claims.rest().zip(last_claim.take()) {
            cx.out.push(Action::Note(Diagnostic::FalseClaims { count, from, claims }));
        }
        if let Some(count) = long_names.rest() {
            cx.out.push(Action::Note(Diagnostic::QueueNameTooLong { count, limit: Queues::LONGEST_NAME }));
        }
    }
}
