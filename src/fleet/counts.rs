//! Counts of a fleet: how many accounts are in which state and why, and what has happened since it began.

use std::collections::{BTreeMap, HashMap};

use crate::fleet::{
    cause::{Cause, CauseKind},
    state::StateKind,
};

/// What has been counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    states: HashMap<StateKind, usize>,
    causes: HashMap<CauseKind, usize>,
    /// How often accounts moved from one state to another, and why; bounded, what comes past it counts as `other`.
    pub(super) transitions: BTreeMap<(StateKind, StateKind, Option<CauseKind>), u64>,
    /// Attempts by what became of them: of first logins and of reconnects.
    pub(super) logins: BTreeMap<(&'static str, &'static str), u64>,
    pub(super) breaker_opened: u64,
    pub(super) kicks: BTreeMap<(i32, &'static str), u64>,
}

impl Counts {
    /// Kinds of transitions told apart.
    const TRANSITIONS: usize = 150;

    pub(super) fn entered(&mut self, state: StateKind) {
        *self.states.entry(state).or_default() += 1;
    }

    pub(super) fn caused(&mut self, cause: Option<&Cause>) {
        if let Some(cause) = cause {
            *self.causes.entry(cause.kind).or_default() += 1;
        }
    }

    pub(super) fn left(&mut self, state: StateKind, cause: Option<&Cause>) {
        let less = |count: &mut usize| *count = count.saturating_sub(1);
        self.states.entry(state).and_modify(less);
        if let Some(cause) = cause {
            self.causes.entry(cause.kind).and_modify(less);
        }
    }

    pub(super) fn moved(&mut self, from: StateKind, to: StateKind, cause: Option<CauseKind>) {
        let mut key = (from, to, cause);
        if !self.transitions.contains_key(&key) && self.transitions.len() >= Self::TRANSITIONS {
            key.2 = Some(CauseKind::Other);
        }
        *self.transitions.entry(key).or_default() += 1;
    }

    /// Returns the number of accounts in each state that has some.
    pub(super) fn states(&self) -> BTreeMap<StateKind, usize> {
        self.states.iter().filter(|(_, count)| **count > 0).map(|(state, count)| (*state, *count)).collect()
    }

    /// Returns the number of accounts with each cause that has some.
    pub(super) fn causes(&self) -> BTreeMap<CauseKind, usize> {
        self.causes.iter().filter(|(_, count)| **count > 0).map(|(cause, count)| (*cause, *count)).collect()
    }
}
