//! What is on its way from the peer: while it is, what is waited for may be right behind it.

use std::time::Duration;

/// What is known of the bytes that come.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// How long a message may stand still that is not whole yet.
    stands_still: Duration,
    /// Whether the socket may hold more than was read.
    unread: bool,
    /// When an answer was found to be late although it may be among what is not read yet.
    put_off: Option<Duration>,
    /// When bytes of a message came last that is not whole, or was not.
    last: Duration,
    /// When the message began of which the bytes are.
    since: Option<Duration>,
    /// Whether it has come to its end.
    whole: bool,
}

impl Arrivals {
    /// The longest that one message puts off anything.
    const LONGEST: Duration = Duration::from_secs(3600);

    pub(super) fn new(stands_still: Duration) -> Self {
        Arrivals { stands_still, unread: false, put_off: None, last: Duration::ZERO, since: None, whole: false }
    }

    /// A new link.
    pub(super) fn restart(&mut self) {
        *self = Arrivals { unread: self.unread, ..Arrivals::new(self.stands_still) };
    }

    pub(super) fn set_unread(&mut self, unread: bool) {
        self.unread = unread;
        if !unread {
            self.put_off = None;
        }
    }

    /// More bytes came of a message that is not whole yet.
    pub(super) fn part(&mut self, now: Duration) {
        if std::mem::take(&mut self.whole) {
            self.since = None;
        }
        self.since.get_or_insert(now);
        self.last = now;
    }

    /// A message is whole. What is right behind it has still as long to come as a message may stand still.
    pub(super) fn whole(&mut self) {
        self.whole = true;
    }

    /// When an answer that has so long is late.
    pub(super) fn due(&self, due: Duration, limit: Duration) -> Duration {
        self.due_if_read(self.moved(due), limit)
    }

    /// As [`due`](Self::due), whatever message moves: for answers that nobody waits for any longer than that.
    pub(super) fn due_if_read(&self, due: Duration, limit: Duration) -> Duration {
        match self.put_off {
            Some(at) if self.unread => due.max(at.saturating_add(limit)),
            _ => due,
        }
    }

    /// A message that began in time moves what is behind it, as long as it moves itself.
    fn moved(&self, due: Duration) -> Duration {
        let Some(since) = self.since.filter(|since| *since <= due) else { return due };
        let moved = self.last.saturating_add(self.stands_still);
        due.max(moved.min(since.saturating_add(Self::LONGEST)))
    }

    /// Whether an answer is late. One that may be among what is not read yet has as long again to be found there.
    pub(super) fn is_late(&mut self, due: Duration, limit: Duration, now: Duration) -> bool {
        self.is_late_if_read(self.moved(due), limit, now)
    }

    /// As [`is_late`](Self::is_late), whatever message moves.
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
