//! When calls may go out, so that never more than so many do within a second. No clock of its own: `now` is passed in.

use std::{collections::VecDeque, num::NonZeroU16, time::Duration};

use tokio::time::Instant;

/// What the limits are counted over.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A place in the order of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) at: Instant,
    /// Which pause it was given after: a later pause takes it back.
    pause: u64,
}

/// A sliding window: any two turns that are `most` turns apart are at least a second apart.
///
/// It keeps the last `most` turns, taken or given, so at most 65 535.
#[derive(Debug)]
pub(super) struct Window {
    most: NonZeroU16,
    /// In their order, which is that of time; turns to come stand at the end.
    turns: VecDeque<Instant>,
    paused_until: Option<Instant>,
    pauses: u64,
}

impl Window {
    pub(super) fn new(most: NonZeroU16) -> Self {
        Window { most, turns: VecDeque::new(), paused_until: None, pauses: 0 }
    }

    /// Changes how many turns there are in a second, from the next one given on.
    pub(super) fn set_most(&mut self, most: NonZeroU16) {
        self.most = most;
    }

    /// Gives the next turn; where it would come after `deadline`, gives none and says when it would have come.
    pub(super) fn give(&mut self, now: Instant, deadline: Instant) -> Result<Turn, Instant> {
        let most = usize::from(self.most.get());
        while self.turns.len() > most {
            self.turns.pop_front();
        }
        let room = self.turns.front().filter(|_| self.turns.len() == most).map(|oldest| *oldest + SECOND);
        let at = [room, self.turns.back().copied(), self.paused_until].into_iter().flatten().fold(now, Instant::max);
        if at > deadline {
            return Err(at);
        }
        if self.turns.len() == most {
            self.turns.pop_front();
        }
        self.turns.push_back(at);
        Ok(Turn { at, pause: self.pauses })
    }

    /// Whether a turn that has come still stands; if not, its holder asks for another.
    pub(super) fn stands(&self, turn: Turn) -> bool {
        turn.pause == self.pauses
    }

    /// Gives no turn before `until`, nor within a second, and takes back the turns to come. A pause never ends earlier
    /// for a later one.
    pub(super) fn pause(&mut self, now: Instant, until: Instant) {
        // Turns to come may have pushed out turns that were taken just now and still count: a second outlasts them.
        let until = until.max(now + SECOND);
        self.paused_until = Some(self.paused_until.map_or(until, |standing| standing.max(until)));
        self.pauses += 1;
        while self.turns.back().is_some_and(|turn| *turn > now) {
            self.turns.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU16, time::Duration};

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{SECOND, Window};

    fn window(most: u16) -> Window {
        Window::new(NonZeroU16::new(most).unwrap())
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn so_many_go_at_once_and_the_next_a_second_after_the_first() {
        let (mut window, start) = (window(3), Instant::now());
        let far = start + ms(60_000);
        let turns: Vec<_> = (0..7).map(|n| window.give(start + ms(n), far).unwrap().at - start).collect();
        assert_eq!(turns, [0, 1, 2, 1000, 1001, 1002, 2000].map(ms));
        assert_eq!(window.give(start + ms(9000), far).unwrap().at, start + ms(9000), "an idle window is open");
    }

    #[test]
    fn a_turn_after_the_deadline_is_not_given_and_costs_nobody_anything() {
        let (mut window, now) = (window(1), Instant::now());
        window.give(now, now).unwrap();
        for _ in 0..3 {
            assert_eq!(window.give(now, now + ms(999)), Err(now + SECOND));
        }
        assert_eq!(window.give(now, now + SECOND).unwrap().at, now + SECOND);
    }

    #[test]
    fn a_pause_takes_back_the_turns_to_come_and_never_gets_shorter() {
        let (mut window, now) = (window(2), Instant::now());
        let far = now + ms(60_000);
        let given: Vec<_> = (0..4).map(|_| window.give(now, far).unwrap()).collect();
        window.pause(now, now + ms(5000));
        window.pause(now, now + ms(3000));
        assert!(given.iter().all(|turn| !window.stands(*turn)));
        let next: Vec<_> = (0..3).map(|_| window.give(now + ms(1), far).unwrap()).collect();
        assert_eq!(next.iter().map(|turn| turn.at - now).collect::<Vec<_>>(), [5000, 5000, 6000].map(ms));
        assert!(next.iter().all(|turn| window.stands(*turn)));
        assert_eq!(window.give(now, now + ms(5999)), Err(now + ms(6000)));
    }

    #[test]
    fn the_shortest_pause_is_a_second_so_that_turns_pushed_out_still_count() {
        let (mut window, now) = (window(1), Instant::now());
        window.give(now, now).unwrap();
        window.give(now, now + SECOND).unwrap();
        window.pause(now, now);
        assert_eq!(window.give(now, now + SECOND).unwrap().at, now + SECOND);
    }

    #[test]
    fn another_limit_holds_from_the_next_turn_on() {
        let (mut window, now) = (window(4), Instant::now());
        let far = now + ms(60_000);
        for _ in 0..4 {
            window.give(now, far).unwrap();
        }
        window.set_most(NonZeroU16::MIN);
        let turns: Vec<_> = (0..2).map(|_| window.give(now, far).unwrap().at - now).collect();
        assert_eq!(turns, [1000, 2000].map(ms));
        window.set_most(NonZeroU16::new(3).unwrap());
        assert_eq!(window.give(now, far).unwrap().at - now, ms(2000));
    }

    proptest! {
        #[test]
        fn no_second_holds_more_turns_than_the_limit(
            most in 1_u16..20, steps in prop::collection::vec((0_u64..400, prop::option::weighted(0.1, 0_u64..3000)), 1..200),
        ) {
            let (mut window, mut now) = (window(most), Instant::now());
            let mut taken: Vec<Instant> = Vec::new();
            let mut waiting = Vec::new();
            for (step, pause) in steps {
                now += ms(step);
                // Whoever waited and still has its turn goes; the others have lost it and ask no more.
                waiting.retain(|turn: &super::Turn| {
                    if turn.at <= now && window.stands(*turn) {
                        taken.push(turn.at);
                    }
                    turn.at > now && window.stands(*turn)
                });
                if let Some(pause) = pause {
                    window.pause(now, now + ms(pause));
                    waiting.clear();
                }
                if let Ok(turn) = window.give(now, now + ms(5000)) {
                    prop_assert!(turn.at >= now);
                    waiting.push(turn);
                }
                prop_assert!(window.turns.len() <= usize::from(most));
            }
            taken.sort();
            for pair in taken.windows(usize::from(most) + 1) {
                prop_assert!(pair[usize::from(most)] - pair[0] >= SECOND);
            }
        }
    }
}
