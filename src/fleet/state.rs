//! The state of an account.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    fleet::cause::{Advice, Cause, CauseKind, named},
    model::{account::UserId, error::ConnectStep},
};

named! {
    /// The kind of an [`AccountState`]: what filters and metrics use.
    StateKind {
        /// The fleet knows it, and nothing has begun.
        Added = "added", "added";
        /// It waits for its turn to log in.
        Waiting = "waiting", "waiting to log in";
        /// A login is under way.
        LoggingIn = "logging_in", "logging in";
        /// It is logged in, and its link is up.
        Online = "online", "online";
        /// Its link was lost; the next attempt comes after a pause.
        Reconnecting = "reconnecting", "reconnecting";
        /// It was kicked, and does not come back before its time or an operator's word.
        Parked = "parked", "parked after a kick";
        /// It was refused for good, and waits for somebody to do something.
        Failed = "failed", "failed";
        /// An operator has paused it.
        Paused = "paused", "paused";
        /// The fleet is being drained, and it logs out.
        Draining = "draining", "draining";
        /// It was logged out by a drain.
        Released = "released", "released";
    }
}

/// What an account in [`AccountState::Waiting`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitFor {
    /// Its turn in the login queue.
    Turn,
    /// The breaker: logins fail for a cause that all accounts share.
    Breaker,
    /// The pause after a failed attempt.
    Backoff,
    /// The end of the session before: it is being logged out first.
    Logout,
}

/// Who took an account's place, as far as the kick said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OtherLogin {
    /// The text of the other login, without secrets; `None` where it had none.
    pub ext: Option<Arc<str>>,
    /// The node, where it is of this fleet.
    pub node: Option<Arc<str>>,
    /// The process, where it is of this fleet.
    pub pid: Option<u32>,
}

impl fmt::Display for OtherLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, self.pid, &self.ext) {
            (Some(node), Some(pid), _) => write!(f, "process {pid} of this fleet's node {node:?}"),
            (_, _, Some(ext)) => write!(f, "a login that says {ext:?}"),
            _ => f.write_str("a login that does not say who it is"),
        }
    }
}

/// The state of an account in a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AccountState {
    /// The fleet knows it, and nothing has begun.
    #[default]
    Added,
    /// It waits to log in.
    Waiting {
        /// What it waits for.
        why: WaitFor,
        /// When it is probably over, in milliseconds since 1970; an estimate for a turn.
        until_ms: Option<u64>,
    },
    /// A login is under way.
    LoggingIn {
        /// The step.
        step: ConnectStep,
    },
    /// It is logged in, and its link is up.
    Online,
    /// Its link was lost.
    Reconnecting {
        /// The attempt that comes next, from 1.
        attempt: u32,
        /// When it comes, in milliseconds since 1970.
        at_ms: u64,
    },
    /// It was kicked.
    Parked {
        /// The other side, where a login took its place.
        by: Option<Box<OtherLogin>>,
        /// When it comes back by itself, in milliseconds since 1970; `None` for not before it is resumed.
        until_ms: Option<u64>,
    },
    /// It was refused for good.
    Failed,
    /// An operator has paused it.
    Paused {
        /// Why, in the operator's words.
        why: Arc<str>,
        /// When it goes on by itself, in milliseconds since 1970; `None` for not before it is resumed.
        until_ms: Option<u64>,
    },
    /// It is being logged out by a drain.
    Draining,
    /// It was logged out by a drain.
    Released,
}

impl AccountState {
    /// Returns the kind of state.
    #[must_use]
    pub const fn kind(&self) -> StateKind {
        match self {
            AccountState::Added => StateKind::Added,
            AccountState::Waiting { .. } => StateKind::Waiting,
            AccountState::LoggingIn { .. } => StateKind::LoggingIn,
            AccountState::Online => StateKind::Online,
            AccountState::Reconnecting { .. } => StateKind::Reconnecting,
            AccountState::Parked { .. } => StateKind::Parked,
            AccountState::Failed => StateKind::Failed,
            AccountState::Paused { .. } => StateKind::Paused,
            AccountState::Draining => StateKind::Draining,
            AccountState::Released => StateKind::Released,
        }
    }

    /// Returns what an operator can do; `None` where nothing is to be done.
    #[must_use]
    pub fn advice(&self, cause: Option<&Cause>) -> Option<Advice> {
        let by_cause = |retried| cause.map_or(Advice::Wait, |cause| cause.kind.advice(retried));
        match self {
            AccountState::Added | AccountState::Online | AccountState::LoggingIn { .. } => None,
            AccountState::Draining | AccountState::Released => None,
            AccountState::Waiting { .. } | AccountState::Reconnecting { .. } => Some(by_cause(true)),
            AccountState::Parked { .. } | AccountState::Failed => Some(by_cause(false)),
            AccountState::Paused { until_ms: None, .. } => Some(Advice::Resume),
            AccountState::Paused { .. } => Some(Advice::Wait),
        }
    }
}

/// What an account came from and to; kept for each account, the last [`Transition::KEPT`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Transition {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The state before.
    pub from: StateKind,
    /// The state after.
    pub to: StateKind,
    /// Why, where there is a cause.
    pub cause: Option<CauseKind>,
    /// The vendor's number, where there is one.
    pub code: Option<i32>,
}

impl Transition {
    /// Transitions kept of each account.
    pub const KEPT: usize = 20;
}

/// A transition as it is kept, in 12 bytes: thousands of accounts have twenty each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    low: u32,
    high: u16,
    code: i16,
    from: u8,
    to: u8,
    cause: u8,
}

impl Packed {
    /// Stands for no code and no cause.
    const NONE: (i16, u8) = (i16::MIN, u8::MAX);

    pub(super) fn new(transition: Transition) -> Self {
        let place = |found: Option<usize>| found.and_then(|at| u8::try_from(at).ok());
        let state = |kind| place(StateKind::ALL.iter().position(|known| *known == kind)).unwrap_or_default();
        let cause = |kind| place(CauseKind::ALL.iter().position(|known| *known == kind));
        Packed {
            low: (transition.at_ms & u64::from(u32::MAX)) as u32,
            high: (transition.at_ms >> 32) as u16,
            code: transition.code.and_then(|code| i16::try_from(code).ok()).unwrap_or(Self::NONE.0),
            from: state(transition.from),
            to: state(transition.to),
            cause: transition.cause.and_then(cause).unwrap_or(Self::NONE.1),
        }
    }

    pub(super) fn transition(self) -> Transition {
        let state = |at: u8| StateKind::ALL.get(usize::from(at)).copied().unwrap_or(StateKind::Added);
        Transition {
            at_ms: u64::from(self.low) | (u64::from(self.high) << 32),
            from: state(self.from),
            to: state(self.to),
            cause: CauseKind::ALL.get(usize::from(self.cause)).copied(),
            code: (self.code != Self::NONE.0).then(|| i32::from(self.code)),
        }
    }
}

/// A change of one account's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AccountChange {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The account.
    #[serde(serialize_with = "as_text")]
    pub user: UserId,
    /// The state before.
    pub from: StateKind,
    /// The state after.
    pub to: AccountState,
    /// Why, where there is a cause.
    pub cause: Option<Cause>,
}

pub(super) fn as_text<S: serde::Serializer>(user: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(user.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Packed, StateKind, Transition};
    use crate::fleet::CauseKind;

    #[test]
    fn a_transition_is_the_same_after_it_was_kept() {
        for (number, from) in (0_u64..).zip(StateKind::ALL) {
            for cause in CauseKind::ALL.iter().copied().map(Some).chain([None]) {
                for code in [None, Some(-3), Some(0), Some(206), Some(1100)] {
                    let at_ms = 1_700_000_000_000 + number * 123_456_789;
                    let transition = Transition { at_ms, from: *from, to: StateKind::Online, cause, code };
                    assert_eq!(Packed::new(transition).transition(), transition);
                }
            }
        }
        assert_eq!(size_of::<Packed>(), 12);
    }
}
