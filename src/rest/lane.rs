use std::{collections::BTreeMap, num::NonZeroU16, task::Waker, time::Duration};

use tokio::time::Instant;

use crate::rest::sliding_window::SlidingWindow;

/// Time that the first caller may leave a free turn unused before others may pass: its thread may hang.
const GRACE: Duration = Duration::from_millis(20);

/// The longest anyone sleeps before it looks again, so that a line of callers that stand still is seen to be one.
const LOOK: Duration = Duration::from_secs(1);

/// Fair queue in front of a [`SlidingWindow`]: the first caller takes a free turn; one that leaves frees its place.
#[derive(Debug)]
pub(super) struct Lane {
    window: SlidingWindow,
    waiting: BTreeMap<u64, Waiting>,
    places: u64,
    /// The first two, and since when the first one is that.
    heads: [Option<u64>; 2],
    first_since: Option<Instant>,
    /// Callers passed ahead the last time, while no turn was used.
    let_past: usize,
}

#[derive(Debug)]
struct Waiting {
    waker: Waker,
    deadline: Instant,
    /// When its turn would come, if that is too late for it.
    refused: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Go,
    /// Its turn does not come in time, but about then.
    Never(Instant),
    Wait(Instant),
}

/// A caller's place in a lane. It is to [`Lane::leave`].
#[derive(Debug)]
pub(super) struct Place {
    /// Its number, once it waits. Numbers are in the order of coming; who is let past keeps its own.
    number: Option<u64>,
    deadline: Instant,
}

impl Place {
    /// Makes a caller that waits until then at most, and a moment for its own clock.
    pub(super) fn new(deadline: Instant) -> Self {
        Place { number: None, deadline }
    }

    pub(super) fn waits(&self) -> bool {
        self.number.is_some()
    }
}

/// Those who are to look again; they are woken when the lane is not locked any more.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

impl Lane {
    pub(super) fn new(most: NonZeroU16) -> Self {
        let (window, waiting) = (SlidingWindow::new(most), BTreeMap::new());
        Lane { window, waiting, places: 0, heads: [None; 2], first_since: None, let_past: 0 }
    }

    /// Takes a turn for a caller, or says when it is to look again.
    pub(super) fn look(&mut self, place: &mut Place, now: Instant, waker: &Waker, woken: &mut Wakers) -> Look {
        let number = match place.number {
            Some(number) => number,
            None => {
                let turn = self.window.turn_after(self.waiting.len(), now);
                if turn > place.deadline {
                    return Look::Never(turn);
                }
                self.places += 1;
                *place.number.insert(self.places)
            }
        };
        // One that was let past comes back before all who came later.
        let new = || Waiting { waker: waker.clone(), deadline: place.deadline, refused: None };
        let waiting = self.waiting.entry(number).or_insert_with(new);
        waiting.waker.clone_from(waker);
        if let Some(turn) = waiting.refused {
            self.leave(place, now, woken);
            return Look::Never(turn);
        }
        self.tell_heads(now, Some(number), woken);
        let watches = self.let_past(number, now, woken);
        if self.heads[0] == Some(number) && self.window.take(now) {
            self.let_past = 0;
            self.leave(place, now, woken);
            return Look::Go;
        }
        let turn = self.window.turn_after(0, now);
        if turn > place.deadline {
            self.leave(place, now, woken);
            return Look::Never(turn);
        }
        let again = match self.heads {
            [Some(first), _] if first == number => turn,
            [_, Some(second)] if second == number => turn + GRACE,
            _ if watches => now + GRACE,
            _ => now + LOOK,
        };
        Look::Wait(again.min(place.deadline + GRACE))
    }

    pub(super) fn leave(&mut self, place: &mut Place, now: Instant, woken: &mut Wakers) {
        if let Some(number) = place.number.take() {
            self.waiting.remove(&number);
            if self.heads.contains(&Some(number)) {
                self.tell_heads(now, None, woken);
            }
        }
    }

    pub(super) fn set_most(&mut self, most: NonZeroU16, now: Instant, woken: &mut Wakers) {
        self.window.set_most(most);
        self.refuse(now, woken);
    }

    pub(super) fn pause(&mut self, now: Instant, until: Instant, woken: &mut Wakers) {
        self.window.pause(now, until);
        self.refuse(now, woken);
    }

    /// Refuses those whose turn does not come in time any more, and has the first look at its turn anew.
    fn refuse(&mut self, now: Instant, woken: &mut Wakers) {
        let mut ahead = 0;
        for waiting in self.waiting.values_mut() {
            let turn = self.window.turn_after(ahead, now);
            if turn > waiting.deadline {
                waiting.refused = Some(turn);
                woken.0.push(waiting.waker.clone());
            } else {
                if ahead == 0 {
                    woken.0.push(waiting.waker.clone());
                }
                ahead += 1;
            }
        }
    }

    /// Passes those who do not take a turn that is there, at first one, then ever more at once; whether it did.
    fn let_past(&mut self, number: u64, now: Instant, woken: &mut Wakers) -> bool {
        let due = [self.window.next(), self.first_since].into_iter().flatten().max();
        if self.heads[0] == Some(number) || due.is_some_and(|due| due + GRACE > now) {
            return false;
        }
        self.let_past = (2 * self.let_past).max(1);
        let before = self.waiting.range(..number).take(self.let_past).map(|(number, _)| *number).collect::<Vec<_>>();
        for past in before {
            woken.0.extend(self.waiting.remove(&past).filter(|past| past.refused.is_none()).map(|past| past.waker));
        }
        self.tell_heads(now, Some(number), woken);
        true
    }

    /// Wakes the first two where they are others than before, but for the one that looks right now.
    fn tell_heads(&mut self, now: Instant, looking: Option<u64>, woken: &mut Wakers) {
        // Whoever comes behind two others changes nothing for them.
        if let (Some(number), [Some(first), Some(second)]) = (looking, self.heads)
            && number > second
            && [first, second].iter().all(|head| self.waiting.contains_key(head))
        {
            return;
        }
        let mut first = self.waiting.iter();
        let heads = [first.next(), first.next()];
        let numbers = heads.map(|head| head.map(|(number, _)| *number));
        if self.heads[0] != numbers[0] {
            self.first_since = numbers[0].map(|_| now);
        }
        let new = heads.into_iter().flatten().filter(|(number, _)| !self.heads.contains(&Some(**number)));
        // Whoever moved up from second to first has to sleep less.
        let moved = heads[0].filter(|(number, _)| self.heads[1] == Some(**number));
        for (number, waiting) in new.chain(moved) {
            if Some(*number) != looking {
                woken.0.push(waiting.waker.clone());
            }
        }
        self.heads = numbers;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        num::NonZeroU16,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{GRACE, LOOK, Lane, Look, Place, Wakers};

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    struct Caller {
        place: Place,
        woken: Arc<Flag>,
        again: Instant,
        alive: bool,
    }

    struct Scene {
        lane: Lane,
        most: usize,
        now: Instant,
        callers: BTreeMap<usize, Caller>,
        came: usize,
        gone: Vec<(usize, Instant)>,
        refused: Vec<(usize, Instant)>,
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    impl Scene {
        fn new(most: u16) -> Self {
            let lane = Lane::new(NonZeroU16::new(most).unwrap());
            let (callers, gone, refused) = (BTreeMap::new(), Vec::new(), Vec::new());
            Scene { lane, most: most.into(), now: Instant::now(), callers, came: 0, gone, refused }
        }

        fn comes(&mut self, patience: Duration, alive: bool) {
            let place = Place::new(self.now + patience);
            let caller = Caller { place, woken: Arc::default(), again: self.now, alive: true };
            self.callers.insert(self.came, caller);
            self.look(self.came);
            if let Some(caller) = self.callers.get_mut(&self.came) {
                caller.alive = alive;
            }
            self.came += 1;
        }

        fn gives_up(&mut self, who: usize) {
            if let Some(mut caller) = self.callers.remove(&who) {
                let mut woken = Wakers::default();
                self.lane.leave(&mut caller.place, self.now, &mut woken);
                woken.wake();
            }
        }

        fn pauses(&mut self, pause: Duration) {
            let mut woken = Wakers::default();
            self.lane.pause(self.now, self.now + pause, &mut woken);
            woken.wake();
        }

        fn look(&mut self, who: usize) {
            let Some(caller) = self.callers.get_mut(&who) else { return };
            caller.woken.0.store(false, Ordering::SeqCst);
            let (waker, mut woken) = (Arc::clone(&caller.woken).into(), Wakers::default());
            let look = self.lane.look(&mut caller.place, self.now, &waker, &mut woken);
            woken.wake();
            match look {
                Look::Wait(again) => {
                    assert!(again > self.now, "no busy waiting");
                    caller.again = again;
                }
                Look::Go => self.gone.push((who, self.now)),
                Look::Never(at) => self.refused.push((who, at)),
            }
            if !matches!(look, Look::Wait(_)) {
                self.callers.remove(&who);
            }
        }

        /// Has all look who are to, then lets time pass until somebody is to again, until then at most.
        fn until(&mut self, then: Instant) {
            loop {
                let now = self.now;
                let due =
                    |caller: &Caller| caller.alive && (caller.again <= now || caller.woken.0.load(Ordering::SeqCst));
                let who = self.callers.iter().find(|(_, caller)| due(caller)).map(|(who, _)| *who);
                if let Some(who) = who {
                    self.look(who);
                    continue;
                }
                self.nothing_is_wasted();
                let next = self.callers.values().filter(|caller| caller.alive).map(|caller| caller.again).min();
                self.now = next.map_or(then, |next| next.min(then));
                if self.now == then && next.is_none_or(|next| next > then) {
                    return;
                }
            }
        }

        /// While somebody waits, and all look when they are to, every turn that is there is taken.
        fn nothing_is_wasted(&self) {
            if !self.callers.is_empty() && self.callers.values().all(|caller| caller.alive) {
                assert!(self.lane.window.next().unwrap() > self.now, "a turn is there and {} wait", self.callers.len());
            }
        }

        fn holds(&self) {
            for pair in self.gone.windows(self.most + 1) {
                assert!(pair[self.most].1 - pair[0].1 >= ms(1000), "more than the limit in a second");
            }
        }
    }

    #[test]
    fn whoever_comes_first_goes_first_and_whoever_leaves_gives_the_place_back() {
        let (mut scene, start) = (Scene::new(2), Instant::now());
        scene.now = start;
        for _ in 0..8 {
            scene.comes(ms(60_000), true);
        }
        scene.gives_up(2);
        scene.gives_up(4);
        scene.until(start + ms(10_000));
        let gone: Vec<_> = scene.gone.iter().map(|(who, at)| (*who, (*at - start).as_millis())).collect();
        assert_eq!(gone, [(0, 0), (1, 0), (3, 1000), (5, 1000), (6, 2000), (7, 2000)]);
    }

    #[test]
    fn who_does_not_look_is_let_past_and_costs_the_others_no_turn_for_long() {
        for dead in [1_usize, 2, 3, 100] {
            let (mut scene, start) = (Scene::new(10), Instant::now());
            scene.now = start;
            for n in 0..10 + dead + 50 {
                scene.comes(ms(600_000), !(10..10 + dead).contains(&n));
            }
            scene.until(start + ms(30_000));
            assert_eq!(scene.gone.len(), 60, "all who live went past {dead}");
            let last = scene.gone.last().unwrap().1 - start;
            assert!(last < ms(5_000) + LOOK + 10 * GRACE, "{dead}: {last:?}");
            scene.holds();
            // One that looks again after all is the first.
            scene.comes(ms(600_000), true);
            scene.callers.get_mut(&10).unwrap().alive = true;
            scene.until(start + ms(60_000));
            assert!(scene.gone.iter().any(|(who, _)| *who == 10));
        }
    }

    #[test]
    fn a_pause_tells_at_once_who_cannot_wait_for_it_and_keeps_the_order_of_the_others() {
        let (mut scene, start) = (Scene::new(1), Instant::now());
        scene.now = start;
        for patience in [0, 60_000, 5_000, 60_000, 9_500] {
            scene.comes(ms(patience), true);
        }
        scene.pauses(ms(8_000));
        scene.until(start);
        let refused: Vec<_> = scene.refused.iter().map(|(who, at)| (*who, (*at - start).as_millis())).collect();
        assert_eq!(refused, [(2, 9_000), (4, 10_000)]);
        scene.until(start + ms(20_000));
        let gone: Vec<_> = scene.gone.iter().map(|(who, at)| (*who, (*at - start).as_millis())).collect();
        assert_eq!(gone, [(0, 0), (1, 8_000), (3, 9_000)]);
    }

    fn look(lane: &mut Lane, place: &mut Place, now: Instant) -> Look {
        let (waker, mut woken) = (Arc::new(Flag::default()).into(), Wakers::default());
        let look = lane.look(place, now, &waker, &mut woken);
        woken.wake();
        look
    }

    /// Returns a lane of one turn a second, used just now, and this many who wait behind it for at most a minute.
    fn taken(waiting: usize) -> (Lane, Vec<Place>, Instant) {
        let (mut lane, start) = (Lane::new(NonZeroU16::MIN), Instant::now());
        assert_eq!(look(&mut lane, &mut Place::new(start), start), Look::Go);
        let mut places: Vec<_> = (0..waiting).map(|_| Place::new(start + ms(60_000))).collect();
        for place in &mut places {
            look(&mut lane, place, start);
        }
        (lane, places, start)
    }

    #[test]
    fn the_first_two_look_when_the_turn_comes_and_the_others_seldom() {
        let (mut lane, mut places, start) = taken(4);
        let again: Vec<_> = places.iter_mut().map(|place| look(&mut lane, place, start)).collect();
        assert_eq!(again, [ms(1000), ms(1000) + GRACE, LOOK, LOOK].map(|after| Look::Wait(start + after)));
        // The first stands still. Whoever sees it lets one past, and watches the next.
        let later = start + ms(1000) + GRACE;
        assert_eq!(look(&mut lane, &mut places[3], later), Look::Wait(later + GRACE));
        // It comes after all, and is the first again.
        assert_eq!(look(&mut lane, &mut places[0], later + ms(5)), Look::Go);
    }

    #[test]
    fn a_place_waits_from_the_first_look_until_it_is_left() {
        let (mut lane, mut places, start) = taken(1);
        assert!(places[0].waits() && !Place::new(start).waits());
        lane.leave(&mut places[0], start, &mut Wakers::default());
        assert!(!places[0].waits() && lane.waiting.is_empty());
    }

    #[test]
    fn ever_more_are_let_past_while_nobody_goes() {
        let (mut lane, mut places, start) = taken(17);
        let last = places.last_mut().unwrap();
        let mut now = start + ms(1000);
        for left in [16, 14, 10, 2] {
            now += GRACE;
            look(&mut lane, last, now);
            assert_eq!(lane.waiting.len(), left);
        }
        assert_eq!(look(&mut lane, last, now + GRACE), Look::Go);
    }

    #[test]
    fn a_higher_limit_counts_at_once_and_a_turn_that_comes_at_the_last_moment_comes_in_time() {
        let (mut lane, mut places, start) = taken(2);
        let mut exact = Place::new(start + ms(5_000));
        look(&mut lane, &mut exact, start);
        for place in &mut places {
            lane.leave(place, start, &mut Wakers::default());
        }
        lane.pause(start, start + ms(5_000), &mut Wakers::default());
        assert_eq!(look(&mut lane, &mut exact, start), Look::Wait(start + ms(5_000)));

        let (mut lane, mut places, start) = taken(1);
        lane.set_most(NonZeroU16::new(2).unwrap(), start, &mut Wakers::default());
        assert_eq!(look(&mut lane, &mut places[0], start), Look::Go);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Comes { patience: u64, alive: bool },
        GivesUp(usize),
        Pauses(u64),
        Limits(u16),
        Passes(u64),
    }

    fn steps(dead: bool) -> impl Strategy<Value = Vec<Step>> {
        let alive = if dead { prop::bool::weighted(0.8).boxed() } else { Just(true).boxed() };
        let step = prop_oneof![
            8 => (0_u64..6_000, alive).prop_map(|(patience, alive)| Step::Comes { patience, alive }),
            3 => any::<prop::sample::Index>().prop_map(|index| Step::GivesUp(index.index(1 << 20))),
            1 => (0_u64..3_000).prop_map(Step::Pauses),
            1 => (1_u16..8).prop_map(Step::Limits),
            4 => (0_u64..700).prop_map(Step::Passes),
        ];
        prop::collection::vec(step, 1..150)
    }

    fn run(most: u16, steps: Vec<Step>, limits: bool) -> Scene {
        let mut scene = Scene::new(most);
        for step in steps {
            match step {
                Step::Comes { patience, alive } => scene.comes(ms(patience), alive),
                Step::GivesUp(_) if scene.callers.is_empty() => {}
                Step::GivesUp(which) => {
                    let who = scene.callers.keys().copied().nth(which % scene.callers.len()).unwrap();
                    scene.gives_up(who);
                }
                Step::Pauses(pause) => scene.pauses(ms(pause)),
                Step::Limits(_) if !limits => {}
                Step::Limits(most) => {
                    let mut woken = Wakers::default();
                    scene.lane.set_most(NonZeroU16::new(most).unwrap(), scene.now, &mut woken);
                    woken.wake();
                }
                Step::Passes(time) => scene.until(scene.now + ms(time)),
            }
        }
        scene.until(scene.now + ms(30_000));
        scene
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_in_a_second_nor_less_while_somebody_waits(most in 1_u16..8, steps in steps(false)) {
            let scene = run(most, steps, false);
            scene.holds();
            prop_assert!(scene.callers.is_empty(), "nobody waits for ever");
            prop_assert!(scene.gone.windows(2).all(|pair| pair[0].0 < pair[1].0), "in the order of coming");
        }

        #[test]
        fn whatever_happens_everybody_goes_or_is_told_in_time(most in 1_u16..8, steps in steps(true)) {
            let scene = run(most, steps, true);
            prop_assert!(scene.callers.values().all(|caller| !caller.alive));
        }

        #[test]
        fn callers_that_stand_still_let_no_more_through_than_the_limit(most in 1_u16..8, steps in steps(true)) {
            run(most, steps, false).holds();
        }
    }
}
