//! Oddities that a peer can repeat without end: the first is logged, the rest are counted and logged now and then.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        EventKind,
        message::{Claims, cut},
    },
    session::{Diagnostic, context::Cx, inbox::LONGEST_NAME},
    wire::{DecodeError, Jid},
};

/// Occurrences of one oddity.
#[derive(Debug, Default)]
pub(super) struct Episode {
    told: Option<Duration>,
    /// Number not yet reported.
    untold: u64,
}

impl Episode {
    /// Minimum interval between reports.
    const APART: Duration = Duration::from_secs(600);

    /// Counts occurrences; returns the number to report, if one is due.
    pub(super) fn strikes(&mut self, times: u64, now: Duration) -> Option<u64> {
        self.untold = self.untold.saturating_add(times);
        if self.told.is_some_and(|told| now.saturating_sub(told) < Self::APART) {
            return None;
        }
        self.told = Some(now);
        self.rest()
    }

    /// Returns the number not yet reported, if any.
    pub(super) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.untold)).filter(|untold| *untold > 0)
    }
}

#[derive(Debug, Default)]
pub(super) struct Oddities {
    undecodable: Episode,
    broken_metas: Episode,
    pub(super) page_status: Episode,
    long_names: Episode,
    claims: Episode,
    resources: Episode,
    /// Author and content of the last false claim.
    last_claim: Option<(Arc<str>, Box<Claims>)>,
}

impl Oddities {
    pub(super) fn undecodable(&mut self, length: usize, error: DecodeError, cx: &mut Cx<'_>) {
        match self.undecodable.strikes(1, cx.now.mono) {
            None => {}
            Some(1) => cx.note(Diagnostic::Undecodable { length, error }),
            Some(count) => cx.note(Diagnostic::MoreUndecodable { count }),
        }
    }

    pub(super) fn broken_metas(&mut self, metas: usize, cx: &mut Cx<'_>) {
        if metas > 0
            && let Some(count) = self.broken_metas.strikes(metas as u64, cx.now.mono)
        {
            cx.note(Diagnostic::BrokenMetas { count: usize::try_from(count).unwrap_or(usize::MAX) });
        }
    }

    /// Reports an overlong queue name, which is not stored.
    pub(super) fn name_too_long(&mut self, cx: &mut Cx<'_>) {
        if let Some(count) = self.long_names.strikes(1, cx.now.mono) {
            cx.note(Diagnostic::QueueNameTooLong { count, limit: LONGEST_NAME });
        }
    }

    /// Reports an invalid name for this device.
    pub(super) fn resource_ignored(&mut self, bytes: usize, cx: &mut Cx<'_>) {
        if let Some(count) = self.resources.strikes(1, cx.now.mono) {
            cx.note(Diagnostic::ResourceIgnored { bytes, count });
        }
    }

    /// Reports an event that contradicts the service about itself.
    pub(super) fn check_claims(&mut self, event: &EventKind, from: Option<&Jid>, cx: &mut Cx<'_>) {
        let Some(claims) = event.claims() else { return };
        // Either name may repeat a secret, and both are logged.
        let shown = |name: &str| cut(&cx.env.origin.redactor().taken_in(name, Claims::MAX_CHARS));
        let from = shown(from.map(Jid::name).unwrap_or_default());
        let claims =
            Claims { from: claims.from.as_deref().map(shown), to: claims.to.as_deref().map(shown), chat: claims.chat };
        self.last_claim = Some((from, Box::new(claims)));
        if let Some(count) = self.claims.strikes(1, cx.now.mono)
            && let Some((from, claims)) = self.last_claim.take()
        {
            cx.note(Diagnostic::FalseClaims { count, from, claims });
        }
    }

    /// Reports the remaining counts at the end of the session.
    pub(super) fn report_rest(&mut self, cx: &mut Cx<'_>) {
        let Oddities { undecodable, broken_metas, page_status: _, resources: _, long_names, claims, last_claim } = self;
        if let Some(count) = undecodable.rest() {
            cx.note(Diagnostic::MoreUndecodable { count });
        }
        if let Some(count) = broken_metas.rest() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            cx.note(Diagnostic::BrokenMetas { count });
        }
        if let Some((count, (from, claims))) = claims.rest().zip(last_claim.take()) {
            cx.note(Diagnostic::FalseClaims { count, from, claims });
        }
        if let Some(count) = long_names.rest() {
            cx.note(Diagnostic::QueueNameTooLong { count, limit: LONGEST_NAME });
        }
    }
}
