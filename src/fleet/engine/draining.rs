//! The orderly end of all accounts.

use std::time::Duration;

use super::{
    Action, CloseHow, Engine, Index, Notice,
    entry::{Session, Want},
};
use crate::{
    fleet::drain::{DrainReport, Left},
    session::Now,
};

/// A drain under way, or over.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) begun: Duration,
    pub(super) until: Duration,
    /// Accounts at its beginning; taken with the report.
    pub(super) total: Option<usize>,
    pub(super) left: Vec<Left>,
    pub(super) abandoned: bool,
}

impl Engine {
    /// Logs everybody out: at once those who are not online, the others paced, each once its handler is done.
    pub(in crate::fleet) fn drain(&mut self, deadline: Duration, now: Now, out: &mut Vec<Action>) {
        if let Some(drain) = &mut self.drain {
            drain.until = drain.until.min(now.mono.saturating_add(deadline));
            return self.settle(now, out);
        }
        let until = now.mono.saturating_add(deadline);
        let left = Vec::new();
        self.drain = Some(Drain { begun: now.mono, until, total: Some(self.users.len()), left, abandoned: false });
        out.push(Action::Notice(Notice::Draining));
        for index in 0..self.accounts.len() {
            let index = Index::try_from(index).unwrap_or(Index::MAX);
            if let Some(entry) = self.entry(index)
                && entry.want != Want::Removed
            {
                entry.want = Want::Drained;
                self.reconcile(index, now, out);
            }
        }
        self.settle(now, out);
    }

    pub(super) fn go_on_draining(&mut self, now: Now, out: &mut Vec<Action>) {
        let Some(drain) = &self.drain else { return };
        let (begun, until, abandoned) = (drain.begun, drain.until, drain.abandoned);
        if now.mono >= until && !abandoned {
            self.to_close.clear();
            if let Some(drain) = &mut self.drain {
                drain.abandoned = true;
            }
            for index in 0..self.accounts.len() {
                let index = Index::try_from(index).unwrap_or(Index::MAX);
                let Some(entry) = self.entry(index) else { continue };
                if entry.session == Session::None {
                    continue;
                }
                let user = entry.spec.user().clone();
                if entry.session == Session::Open {
                    self.close(index, CloseHow::Abandon, now, out);
                } else {
                    let (generation, shard) = (entry.generation, entry.shard);
                    out.push(Action::Close { index, generation, shard, how: CloseHow::Abandon });
                }
                if let Some(drain) = &mut self.drain {
                    drain.left.push(Left { user, why: "not done at the deadline, reset".into() });
                }
            }
        }
        while self.closing < Self::CLOSING
            && let Some(index) = self.to_close.pop_front()
        {
            if self.entry(index).is_some_and(|entry| entry.session == Session::Open) {
                self.close(index, CloseHow::Drain(until.saturating_sub(now.mono)), now, out);
            }
        }
        let over = abandoned && now.mono >= until.saturating_add(Self::ABANDON);
        if (over || self.is_drained())
            && let Some(drain) = &mut self.drain
            && let Some(accounts) = drain.total.take()
        {
            let (left, took) = (std::mem::take(&mut drain.left), now.mono.saturating_sub(begun));
            out.push(Action::Drained(DrainReport { accounts, left, took }));
        }
    }
}
