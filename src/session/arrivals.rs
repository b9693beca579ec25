//! Traffic that is still arriving: while it is, an awaited answer may be right behind it.

use std::time::Duration;

/// Arrival of bytes on a link.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Longest standstill of an unfinished message.
    stands_still: Duration,
    /// True if the socket may hold unread data.
    unread: bool,
    /// Time an answer was found late although it may be unread.
    put_off: Option<Duration>,
    /// Time of the last bytes of an unfinished message.
    last: Duration,
    /// Time that message began.
    since: Option<Duration>,
    /// True if that message is complete.
    whole: bool,
}

impl Arrivals {
    /// Longest delay that one message grants.
    const LONGEST: Duration = Duration::from_secs(3600);

    pub(super) fn new(stands_still: Duration) -> Self {
        Arrivals { stands_still, unread: false, put_off: None, last: Duration::ZERO, since: None, whole: false }
    }

    pub(super) fn restart(&mut self) {
        *self = Arrivals { unread: self.unread, ..Arrivals::new(self.stands_still) };
    }

    pub(super) fn set_unread(&mut self, unread: bool) {
        self.unread = unread;
        if !unread {
            self.put_off = None;
        }
    }

    /// Records bytes of an unfinished message.
    pub(super) fn part(&mut self, now: Duration) {
        if std::mem::take(&mut self.whole) {
            self.since = None;
        }
        self.since.get_or_insert(now);
        self.last = now;
    }

    /// Records the end of a message. Data right behind it may take as long as a message may stand still.
    pub(super) fn whole(&mut self) {
        self.whole = true;
    }

    /// Returns the time from which an answer with this limit is late.
    pub(super) fn due(&self, due: Duration, limit: Duration) -> Duration {
        self.due_if_read(self.moved(due), limit)
    }

    /// Like [`due`](Self::due), but not extended by a moving message.
    pub(super) fn due_if_read(&self, due: Duration, limit: Duration) -> Duration {
        match self.put_off {
            Some(at) if self.unread => due.max(at.saturating_add(limit)),
            _ => due,
        }
    }

    /// Extends a deadline while a message that began in time moves.
    fn moved(&self, due: Duration) -> Duration {
        let Some(since) = self.since.filter(|since| *since <= due) else { return due };
        let moved = self.last.saturating_add(self.stands_still);
        due.max(moved.min(since.saturating_add(Self::LONGEST)))
    }

    /// Returns whether an answer is late. One that may be unread gets its limit once more.
    pub(super) fn is_late(&mut self, due: Duration, limit: Duration, now: Duration) -> bool {
        self.is_late_if_read(self.moved(due), limit, now)
    }

    /// Like [`is_late`](Self::is_late), but not extended by a moving message.
    pub(super) fn is_late_if_read(&mut self, due: Duration, limit: Duration, now: Duration) -> bool {
        if now < self.due_if_read(due, limit) {
            return false;
        }
        if self.unread && self.put_off.is_none() && limit > Duration::ZERO {
            self.put_off = Some(now);
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Arrivals;

    const LIMIT: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_behind_a_message_that_moves_is_late_once_it_stands_still() {
        let mut arrivals = Arrivals::new(at(10));
        assert!(arrivals.is_late(at(15), LIMIT, at(15)));
        for second in (12..100).step_by(5) {
            arrivals.part(at(second));
            assert!(!arrivals.is_late(at(15), LIMIT, at(second + 9)));
        }
        assert_eq!(arrivals.due(at(15), LIMIT), at(107));
        assert!(arrivals.is_late(at(15), LIMIT, at(107)));
        assert_eq!(arrivals.due(at(11), LIMIT), at(11), "it began later than that was due");
        arrivals.whole();
        assert_eq!(arrivals.due(at(15), LIMIT), at(107), "it may be right behind it");
        arrivals.part(at(100));
        assert!(arrivals.is_late(at(15), LIMIT, at(100)), "it was not behind it, for another one is");
    }

    #[test]
    fn a_message_that_comes_for_ever_puts_off_nothing_past_an_hour() {
        let mut arrivals = Arrivals::new(at(10));
        let late = (1..).find(|second| {
            arrivals.part(at(*second));
            arrivals.is_late(at(15), LIMIT, at(*second))
        });
        assert_eq!(late, Some(3601));
    }

    #[test]
    fn what_may_lie_unread_has_as_long_again_and_is_late_at_once_when_all_is_read() {
        let mut arrivals = Arrivals::new(at(10));
        arrivals.set_unread(true);
        assert!(!arrivals.is_late(at(15), LIMIT, at(20)), "found to be late after a pause of the whole process");
        assert_eq!(arrivals.due(at(15), LIMIT), at(35));
        assert!(arrivals.is_late(at(15), LIMIT, at(35)));
        arrivals.set_unread(false);
        assert!(arrivals.is_late(at(15), LIMIT, at(20)));
    }
}
