//! Queues that broke a link: on later links they go last, so that all others are fetched first.

use std::time::Duration;

use crate::{
    util::backoff::doubled,
    wire::{Jid, JidView},
};

/// Suspects of breaking links; outlives links.
///
/// Bounds: 256 suspects, those of the oldest pulls; 64 queues that broke links.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Queues being pulled when a link broke, the likeliest last. An answer clears one.
    suspects: Vec<Jid>,
    broke: Vec<Suspect>,
}

#[derive(Debug)]
struct Suspect {
    queue: Jid,
    times: u32,
}

/// Restriction on pulling a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// After all others, and alone; smallest rank first.
    Last {
        rank: u64,
    },
    /// As `Last`, and only after this time on the link.
    Late {
        after: Duration,
        rank: u64,
    },
}

impl Suspects {
    const SUSPECTS: usize = 256;

    const BROKE: usize = 64;

    /// Pause before pulling a queue that broke 2 links; doubles with each further one.
    const FIRST_PAUSE: Duration = Duration::from_secs(60);

    const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

    pub(super) fn is_empty(&self) -> bool {
        self.suspects.is_empty() && self.broke.is_empty()
    }

    pub(super) fn standing(&self, queue: JidView<'_>) -> Standing {
        if let Some(at) = self.broke.iter().position(|broke| queue.same_queue(&broke.queue)) {
            let times = self.broke.get(at).map_or(0, |broke| broke.times);
            let rank = u64::from(u32::MAX) + u64::from(times);
            return match times.checked_sub(2) {
                None => Standing::Last { rank },
                Some(more) => {
                    let after = doubled(Self::FIRST_PAUSE, Self::LONGEST_PAUSE, more);
                    Standing::Late { after, rank }
                }
            };
        }
        match self.suspects.iter().position(|suspect| queue.same_queue(suspect)) {
            Some(rank) => Standing::Last { rank: rank as u64 },
            None => Standing::Good,
        }
    }

    /// Clears a queue whose page arrived.
    pub(super) fn answered(&mut self, queue: JidView<'_>) {
        self.suspects.retain(|suspect| !queue.same_queue(suspect));
        self.broke.retain(|broke| !queue.same_queue(&broke.queue));
    }

    /// Records that a page of one of these pulled queues, oldest pull first, broke a link. Returns the culprit once.
    pub(super) fn broken_by_one_of(&mut self, pulled: Vec<Jid>) -> Option<Jid> {
        let known = |queue: &Jid| self.standing(queue.view()) != Standing::Good;
        let mut likely: Vec<Jid> = pulled.iter().filter(|queue| known(queue)).cloned().collect();
        if likely.is_empty() {
            likely = pulled;
        }
        if let [_] = likely[..] {
            return likely.pop().and_then(|queue| self.broken_by(queue));
        }
        self.suspects.retain(|suspect| !likely.iter().any(|queue| queue.same_queue(suspect)));
        // Pulls are answered in order.
        self.suspects.extend(likely.into_iter().rev());
        let over = self.suspects.len().saturating_sub(Self::SUSPECTS);
        self.suspects.drain(..over);
        None
    }

    pub(super) fn broken_by(&mut self, queue: Jid) -> Option<Jid> {
        self.suspects.retain(|suspect| !queue.same_queue(suspect));
        if let Some(broke) = self.broke.iter_mut().find(|broke| broke.queue.same_queue(&queue)) {
            broke.times = broke.times.saturating_add(1);
            return None;
        }
        if self.broke.len() >= Self::BROKE {
            self.broke.remove(0);
        }
        self.broke.push(Suspect { queue: queue.clone(), times: 1 });
        Some(queue)
    }
}

/// Page that broke a link.
pub(super) enum BrokenBy {
    /// One of the queues being pulled.
    Pulled,
    /// One of the queues with an overdue pull.
    Unanswered,
    Queue(Jid),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Standing, Suspects};
    use crate::wire::Jid;

    fn jid(name: &str) -> Jid {
        Jid::user("o#a", name)
    }

    fn standing(suspects: &Suspects, name: &str) -> Standing {
        suspects.standing(jid(name).view())
    }

    #[test]
    fn of_many_the_one_is_found_that_is_there_each_time() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.broken_by_one_of(vec![jid("a"), jid("b"), jid("c")]), None);
        assert_eq!(standing(&suspects, "c"), Standing::Last { rank: 0 });
        assert_eq!(
            standing(&suspects, "a"),
            Standing::Last { rank: 2 },
            "it was asked for first, so it is the likeliest"
        );
        assert_eq!(standing(&suspects, "d"), Standing::Good);
        suspects.answered(jid("c").view());
        assert_eq!(suspects.broken_by_one_of(vec![jid("b"), jid("d")]), Some(jid("b")), "told once");
        assert!(matches!(standing(&suspects, "b"), Standing::Last { .. }));
        assert_eq!(suspects.broken_by_one_of(vec![jid("b"), jid("x")]), None);
        let Standing::Late { after, .. } = standing(&suspects, "b") else { panic!() };
        assert_eq!(after, Duration::from_secs(60));
        for _ in 0..1000 {
            suspects.broken_by_one_of(vec![jid("b")]);
        }
        assert!(matches!(standing(&suspects, "b"), Standing::Late { after, .. } if after == Duration::from_secs(3600)));
        suspects.answered(jid("b").view());
        assert_eq!((standing(&suspects, "b"), standing(&suspects, "a")), (Standing::Good, Standing::Last { rank: 0 }));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut suspects = Suspects::default();
        for n in 0..1000 {
            suspects.broken_by_one_of(vec![jid(&n.to_string())]);
            suspects.broken_by_one_of((0..16).map(|m| jid(&format!("{n}.{m}"))).collect());
            (0..16).for_each(|m| suspects.answered(jid(&format!("{n}.{m}")).view()));
        }
        assert_eq!((suspects.broke.len(), suspects.suspects.len()), (Suspects::BROKE, 0));
        suspects.broken_by_one_of((0..1000).map(|n| jid(&format!("s{n}"))).collect());
        assert_eq!(suspects.suspects.len(), Suspects::SUSPECTS);
        assert_eq!(standing(&suspects, "s0"), Standing::Last { rank: 255 });
    }
}
