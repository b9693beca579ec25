//! The log of sessions, and the pairs of them that were one user at the same time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, OnceLock},
};

use crate::{
    local_server::{
        limits,
        observed::{LoggedSession, OnlineTwice, SessionEnd},
    },
    model::error::Code,
    util::unix_time::now_ms,
};

/// One session of the log. Its end is set once, and seen by every list that holds it.
pub(crate) struct Entry {
    user: String,
    resource: String,
    session: u64,
    from_ms: u64,
    ended: OnceLock<Ended>,
}

#[derive(Clone, Copy)]
struct Ended {
    to_ms: u64,
    end: SessionEnd,
    code: Option<Code>,
}

impl Entry {
    pub(crate) fn logged(&self) -> LoggedSession {
        let ended = self.ended.get();
        LoggedSession {
            user: self.user.clone(),
            resource: self.resource.clone(),
            session: self.session,
            from_ms: self.from_ms,
            to_ms: ended.map(|ended| ended.to_ms),
            end: ended.map(|ended| ended.end),
            code: ended.and_then(|ended| ended.code),
        }
    }
}

/// Two sessions of one user, the earlier first.
pub(crate) type Pair = (Arc<Entry>, Arc<Entry>);

pub(crate) fn online_twice((earlier, later): &Pair) -> OnlineTwice {
    OnlineTwice { earlier: earlier.logged(), later: later.logged() }
}

/// Every session that is logged in, the last [`limits::SESSIONS`] that have ended, and the first [`limits::ONLINE_TWICE`]
/// pairs that overlap. A pair is found when its later session begins, so it outlives the entries of the log.
pub(crate) struct SessionLog {
    open: BTreeMap<u64, Arc<Entry>>,
    ended: VecDeque<Arc<Entry>>,
    pairs: Vec<Pair>,
    /// Every overlap, those beyond `pairs` included.
    overlaps: u64,
    dropped: u64,
    most_ended: usize,
    most_pairs: usize,
}

impl Default for SessionLog {
    fn default() -> Self {
        SessionLog::bounded(limits::SESSIONS, limits::ONLINE_TWICE)
    }
}

impl SessionLog {
    fn bounded(most_ended: usize, most_pairs: usize) -> Self {
        SessionLog {
            open: BTreeMap::new(),
            ended: VecDeque::new(),
            pairs: Vec::new(),
            overlaps: 0,
            dropped: 0,
            most_ended,
            most_pairs,
        }
    }

    /// Notes that a session begins while these other sessions of its user are still there.
    pub(crate) fn begin(&mut self, session: u64, user: &str, resource: &str, others: impl Iterator<Item = u64>) {
        let (user, resource) = (user.to_owned(), resource.to_owned());
        let entry = Arc::new(Entry { user, resource, session, from_ms: now_ms(), ended: OnceLock::new() });
        for other in others {
            let Some(other) = self.open.get(&other) else { continue };
            self.overlaps += 1;
            if self.pairs.len() < self.most_pairs {
                self.pairs.push((Arc::clone(other), Arc::clone(&entry)));
            }
        }
        self.open.insert(session, entry);
    }

    /// Notes the end of a session; the oldest one that has ended makes room.
    pub(crate) fn end(&mut self, session: u64, end: SessionEnd, code: Option<Code>) {
        let Some(entry) = self.open.remove(&session) else {
            return;
        };
        // A clock that was set back makes no session that ends before it began.
        entry.ended.get_or_init(|| Ended { to_ms: now_ms().max(entry.from_ms), end, code });
        if self.ended.len() >= self.most_ended {
            self.ended.pop_front();
            self.dropped += 1;
        }
        self.ended.push_back(entry);
    }

    /// Returns every session it holds, in the order in which they began.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let mut all: Vec<_> = self.ended.iter().chain(self.open.values()).cloned().collect();
        all.sort_by_key(|entry| (entry.from_ms, entry.session));
        all
    }

    /// Returns the pairs that overlap, in the order in which they began to.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        self.pairs.clone()
    }

    /// Returns how many pairs have overlapped.
    pub(crate) fn overlaps(&self) -> u64 {
        self.overlaps
    }

    /// Returns how many sessions have been dropped from the log.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionLog, online_twice};
    use crate::{local_server::observed::SessionEnd, model::error::Code};

    fn begin(log: &mut SessionLog, session: u64, others: &[u64]) {
        log.begin(session, "bot", "r", others.iter().copied());
    }

    #[test]
    fn the_oldest_ended_sessions_are_dropped_and_counted_and_those_online_stay() {
        let mut log = SessionLog::bounded(2, 8);
        begin(&mut log, 1, &[]);
        for session in 2..=5 {
            begin(&mut log, session, &[]);
            log.end(session, SessionEnd::Link, None);
        }
        let kept: Vec<_> = log.entries().iter().map(|entry| entry.logged().session).collect();
        assert_eq!((kept, log.dropped()), (vec![1, 4, 5], 2));
    }

    #[test]
    fn an_overlap_is_not_lost_with_the_sessions_and_learns_how_they_ended() {
        let mut log = SessionLog::bounded(1, 8);
        begin(&mut log, 1, &[]);
        begin(&mut log, 2, &[1]);
        log.end(1, SessionEnd::Kicked, Some(Code::USER_LOGIN_ANOTHER_DEVICE));
        log.end(2, SessionEnd::Logout, None);
        begin(&mut log, 3, &[]);
        log.end(3, SessionEnd::Link, None);
        let pairs = log.pairs();
        let [pair] = pairs.as_slice() else { panic!("{} pairs", pairs.len()) };
        let pair = online_twice(pair);
        assert_eq!((pair.earlier.session, pair.later.session), (1, 2));
        assert_eq!(pair.earlier.end, Some(SessionEnd::Kicked));
        assert_eq!(pair.earlier.code.map(Code::number), Some(206));
        assert_eq!(pair.later.end, Some(SessionEnd::Logout));
    }

    #[test]
    fn pairs_beyond_the_bound_are_counted() {
        let mut log = SessionLog::bounded(8, 2);
        for session in 1..=4 {
            begin(&mut log, session, &(1..session).collect::<Vec<_>>());
        }
        assert_eq!((log.pairs().len(), log.overlaps()), (2, 6));
    }
}
