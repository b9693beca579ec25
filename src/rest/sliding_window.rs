//! Limits calls per second. No clock of its own: `now` is passed in.

use std::{collections::VecDeque, num::NonZeroU16, time::Duration};

use tokio::time::Instant;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A sliding window: any two turns that are `most` turns apart are at least a second apart. A turn counts when it is
/// used, never before. Holds the turns of the last second, at most 65 535.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    most: NonZeroU16,
    taken: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl SlidingWindow {
    pub(super) fn new(most: NonZeroU16) -> Self {
        SlidingWindow { most, taken: VecDeque::new(), paused_until: None }
    }

    /// Changes how many turns there are in a second, from the next one taken on.
    pub(super) fn set_most(&mut self, most: NonZeroU16) {
        self.most = most;
    }

    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.taken.front().is_some_and(|turn| *turn + SECOND <= now) {
            self.taken.pop_front();
        }
        // Clocks of several threads may be read in another order than this is called in.
        let now = self.taken.back().map_or(now, |last| now.max(*last));
        let free = self.next().is_none_or(|next| next <= now);
        if free {
            self.taken.push_back(now);
        }
        free
    }

    /// Returns when the next turn can be taken, or could have been; `None` where nothing ever held it back.
    pub(super) fn next(&self) -> Option<Instant> {
        self.bounds(0).into_iter().flatten().max()
    }

    /// Returns when the turn after `ahead` others can be taken, if each goes as soon as it can.
    pub(super) fn turn_after(&self, ahead: usize, now: Instant) -> Instant {
        let most = usize::from(self.most.get());
        let rounds = u32::try_from(ahead / most).unwrap_or(u32::MAX);
        self.bounds(ahead % most).into_iter().flatten().fold(now, Instant::max) + SECOND.saturating_mul(rounds)
    }

    fn bounds(&self, ahead: usize) -> [Option<Instant>; 2] {
        let oldest = (self.taken.len() + ahead).checked_sub(usize::from(self.most.get()));
        let room = oldest.and_then(|at| self.taken.get(at)).map(|oldest| *oldest + SECOND);
        [room, self.paused_until]
    }

    /// Gives no turn before `until`, nor within a second. A pause never ends earlier for a later one.
    pub(super) fn pause(&mut self, now: Instant, until: Instant) {
        let until = until.max(now + SECOND);
        self.paused_until = Some(self.paused_until.map_or(until, |standing| standing.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU16, time::Duration};

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{SECOND, SlidingWindow};

    fn window(most: u16) -> SlidingWindow {
        SlidingWindow::new(NonZeroU16::new(most).unwrap())
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn turns(window: &mut SlidingWindow, mut now: Instant, count: usize) -> Vec<Instant> {
        let mut turns = Vec::new();
        for _ in 0..count {
            now = window.turn_after(0, now);
            assert!(window.take(now));
            turns.push(now);
        }
        turns
    }

    #[test]
    fn so_many_go_at_once_and_the_next_a_second_after_the_first() {
        let (mut window, start) = (window(3), Instant::now());
        for n in 0..3 {
            assert!(window.take(start + ms(n)));
        }
        assert!(!window.take(start + ms(999)), "a turn that is not there costs nobody anything");
        let next: Vec<_> = turns(&mut window, start + ms(3), 4).into_iter().map(|turn| turn - start).collect();
        assert_eq!(next, [1000, 1001, 1002, 2000].map(ms));
        assert!(window.take(start + ms(9000)), "an idle window is open");
    }

    #[test]
    fn a_pause_holds_every_turn_back_never_gets_shorter_and_lasts_a_second_at_least() {
        let (mut window, now) = (window(2), Instant::now());
        window.pause(now, now + ms(5000));
        window.pause(now, now + ms(3000));
        assert!(!window.take(now + ms(4999)));
        let next: Vec<_> = turns(&mut window, now, 3).into_iter().map(|turn| turn - now).collect();
        assert_eq!(next, [5000, 5000, 6000].map(ms));
        window.pause(now + ms(7000), now);
        assert_eq!(window.turn_after(0, now), now + ms(8000));
    }

    #[test]
    fn another_limit_holds_from_the_next_turn_on() {
        let (mut window, now) = (window(4), Instant::now());
        assert_eq!(turns(&mut window, now, 4), [now; 4]);
        window.set_most(NonZeroU16::MIN);
        let one_by_one: Vec<_> = turns(&mut window, now, 2).into_iter().map(|turn| turn - now).collect();
        assert_eq!(one_by_one, [1000, 2000].map(ms));
        window.set_most(NonZeroU16::new(3).unwrap());
        assert_eq!(window.turn_after(0, now + ms(2000)), now + ms(2000), "one of three was taken within the second");
    }

    proptest! {
        #[test]
        fn no_second_holds_more_turns_than_the_limit(
            most in 1_u16..20, steps in prop::collection::vec((0_u64..400, prop::option::weighted(0.1, 0_u64..3000)), 1..200),
        ) {
            let (mut window, mut now) = (window(most), Instant::now());
            let mut taken: Vec<Instant> = Vec::new();
            for (step, pause) in steps {
                now += ms(step);
                if let Some(pause) = pause {
                    window.pause(now, now + ms(pause));
                }
                while window.take(now) {
                    taken.push(now);
                }
                prop_assert!(window.taken.len() <= usize::from(most));
            }
            for pair in taken.windows(usize::from(most) + 1) {
                prop_assert!(pair[usize::from(most)] - pair[0] >= SECOND);
            }
        }

        #[test]
        fn a_turn_comes_when_it_was_said_to(
            most in 1_u16..10, earlier in prop::collection::vec(0_u64..600, 0..30), ahead in 0_usize..40,
        ) {
            let (mut window, mut now) = (window(most), Instant::now());
            for step in earlier {
                now += ms(step);
                window.take(now);
            }
            let said = window.turn_after(ahead, now);
            prop_assert_eq!(turns(&mut window, now, ahead + 1).last().copied(), Some(said));
        }
    }
}
