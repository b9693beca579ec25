//! Tells the changes of accounts' states on standard output, one JSON object a line.

use std::{
    collections::HashMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

use agora_chat::{
    UserId,
    fleet::{AccountChange, CauseKind, Changes, Filter, Fleet, FleetChange, Page, StateKind},
};
use serde::Serialize;

use crate::out::{Gone, Out};

/// Lines that are written at once, where so many have come.
const BATCH: usize = 256;

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    at_ms: u64,
    user: &'a str,
    from: StateKind,
    to: StateKind,
    cause: Option<CauseKind>,
    epoch: u64,
}

/// Tells every change until the fleet has ended, or nobody reads any more.
///
/// A reader who stands still holds up nothing: changes that are lost meanwhile come as one, to the state that an account
/// is in, so that the last line of each account is true.
pub(crate) async fn tell(fleet: &Fleet, mut changes: Changes, out: &Out, epoch: u64) -> Result<(), Gone> {
    let mut told = Told { last: HashMap::new(), epoch };
    let mut behind = false;
    while let Some(first) = changes.next().await {
        let (mut lines, mut next, mut count, mut ended) = (String::new(), Some(first), 0, false);
        while let Some(change) = next {
            match change {
                FleetChange::Account(change) => told.change(&change, &mut lines),
                FleetChange::Missed { .. } => behind = true,
                FleetChange::Drained(_) => ended = true,
                _ => {}
            }
            count += 1;
            next = if count < BATCH { ready(&mut changes) } else { None };
        }
        if count < BATCH {
            if std::mem::take(&mut behind) {
                told.catch_up(fleet, &mut lines);
            }
            told.forget(fleet);
        }
        if lines.pop().is_some() {
            out.written(lines).await?;
        }
        if ended {
            break;
        }
    }
    Ok(())
}

/// Returns the next change if it is there already.
fn ready(changes: &mut Changes) -> Option<FleetChange> {
    match pin!(changes.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(change) => change,
        Poll::Pending => None,
    }
}

/// What was told of each account last.
struct Told {
    last: HashMap<UserId, (StateKind, u64)>,
    epoch: u64,
}

impl Told {
    fn change(&mut self, change: &AccountChange, lines: &mut String) {
        let (to, at_ms) = (change.to.kind(), change.at_ms);
        let cause = change.cause.as_ref().map(|cause| cause.kind);
        // Of an account that was removed and added again, the first change is from `added`.
        let from = match self.last.get(&change.user) {
            Some((last, when)) if change.from != StateKind::Added && *last != change.from => {
                if at_ms < *when || (at_ms == *when && *last == to) {
                    return;
                }
                *last
            }
            _ => change.from,
        };
        self.line(&change.user, from, to, cause, at_ms, lines);
    }

    /// Tells of each account that is not in the state that was told last.
    fn catch_up(&mut self, fleet: &Fleet, lines: &mut String) {
        let mut page = Page::first(Page::MAX);
        loop {
            let list = fleet.accounts(&Filter::all(), &page);
            for account in list.accounts {
                let (to, cause) = (account.state.kind(), account.cause.as_ref().map(|cause| cause.kind));
                let from = self.last.get(&account.user).map_or(StateKind::Added, |(last, _)| *last);
                if from != to {
                    self.line(&account.user, from, to, cause, account.since_ms, lines);
                }
            }
            match list.next {
                Some(user) => page = Page::after(user, Page::MAX),
                None => return,
            }
        }
    }

    /// Forgets accounts that were removed, once they are many.
    fn forget(&mut self, fleet: &Fleet) {
        if self.last.len() > 2 * fleet.summary().total + 1024 {
            self.last.retain(|user, _| fleet.account(user.as_str()).is_ok());
        }
    }

    fn line(
        &mut self,
        user: &UserId,
        from: StateKind,
        to: StateKind,
        cause: Option<CauseKind>,
        at_ms: u64,
        lines: &mut String,
    ) {
        let line = Line { at_ms, user: user.as_str(), from, to, cause, epoch: self.epoch };
        if let Ok(line) = serde_json::to_string(&line) {
            lines.push_str(&line);
            lines.push('\n');
        }
        self.last.insert(user.clone(), (to, at_ms));
    }
}
