//! Which queues are being pulled, and with which key (connection spec §7.2, messages spec §2.2).

use std::{
    collections::{HashMap, VecDeque},
    mem,
    time::Duration,
};

use crate::wire::{Jid, JidView, QueueKey};

/// Where a queue stands in the table.
type Slot = usize;

#[derive(Debug, Default)]
struct Queue {
    /// As the server last named it.
    name: Jid,
    /// The last key the server gave; the next pull carries it and so acknowledges what came before it.
    key: Option<u64>,
    /// The highest key it gave; only one above it can go on without bringing anything new.
    highest: Option<u64>,
    /// The key the pull under way was made with, and when it was made.
    pulling: Option<Pulling>,
    /// How many of its pages have come and are still to be handled.
    in_hand: u32,
    /// A page of it was dropped, so that the next one to take is one that was asked for.
    gap: bool,
    /// Something was announced while a pull was under way or a page in hand.
    again: bool,
    /// It stands among those that wait for their turn.
    waiting: bool,
    /// It stands among the busy ones.
    listed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pulling {
    since: Duration,
    key: Option<u64>,
    /// Nothing answered the one before it.
    repeated: bool,
}

/// One pull to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pull<'a> {
    pub(crate) queue: &'a Jid,
    pub(crate) key: Option<u64>,
}

/// How much may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// Queues that are being pulled or have a page in hand.
    pub(crate) queues: usize,
    /// Pulls whose page has not come, as there is room for pages.
    pub(crate) pulls: usize,
}

/// What a page says of its queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageEnd {
    /// The key of the pull it answers.
    pub(crate) pulled_with: Option<u64>,
    pub(crate) next_key: Option<u64>,
    pub(crate) is_last: bool,
    pub(crate) content: Content,
}

/// What a page brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Nothing,
    /// Messages that were all seen before.
    Known,
    New,
}

impl Content {
    /// Of a page of so many metas, with so many messages not seen before.
    pub(crate) fn of(metas: usize, fresh: u64) -> Self {
        match (metas, fresh) {
            (0, _) => Content::Nothing,
            (_, 0) => Content::Known,
            _ => Content::New,
        }
    }
}

/// How a queue goes on after a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Next<'a> {
    Pull(Pull<'a>),
    /// A pull is to follow once there is room for a page.
    Waits,
    Rests,
}

/// What becomes of a pull that nothing has answered in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Overdue<'a> {
    /// It is made once more.
    Repeat(Pull<'a>),
    /// It was made once more already: the link is of no use.
    GiveUp,
}

/// The queues of one link. Keys are not kept across links here, so a page can come twice.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    known: Vec<Queue>,
    /// Where to find each queue, once there are more than a look along the table takes.
    index: HashMap<QueueKey, Slot>,
    /// Where the last one stood that was looked for; pages come in runs.
    last: Slot,
    /// Announced queues whose turn has not come; each at most once, so no more than are known.
    waiting: VecDeque<Slot>,
    /// Queues that are being pulled or have a page in hand, and a few that were; each at most once.
    busy: Vec<Slot>,
}

impl Queues {
    /// How many queues are looked for one by one.
    const FEW: usize = 8;

    /// How many queues are remembered; past it the keys of queues at rest are forgotten, which costs at most
    /// a page that comes twice.
    pub(crate) const CAPACITY: usize = 4096;

    /// How long a pull may go unanswered; then it is made once more, and after as long again the link is given up
    /// (messages spec §2.2).
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// A queue holds something: pulls it, or remembers to pull it once more when a pull is under way or a page of it in
    /// hand, or once others are done when as many as are `allowed` are.
    pub(crate) fn announced(&mut self, queue: JidView<'_>, allowed: Allowed, now: Duration) -> Option<Pull<'_>> {
        let slot = self.slot(queue);
        let full = self.is_full(allowed);
        let entry = self.known.get_mut(slot)?;
        if entry.is_busy() {
            entry.again = true;
            return None;
        }
        if full {
            if !mem::replace(&mut entry.waiting, true) {
                self.waiting.push_back(slot);
            }
            return None;
        }
        self.pull(slot, now)
    }

    /// The next queue whose turn has come, if a place is free.
    pub(crate) fn next_waiting(&mut self, allowed: Allowed, now: Duration) -> Option<Pull<'_>> {
        if self.waiting.is_empty() || self.is_full(allowed) {
            return None;
        }
        while let Some(slot) = self.waiting.pop_front() {
            let Some(entry) = self.known.get_mut(slot) else { continue };
            entry.waiting = false;
            // One that is being pulled meanwhile has had its turn and must not cost the next one's.
            if !entry.is_busy() {
                return self.pull(slot, now);
            }
            entry.again |= entry.in_hand > 0;
        }
        None
    }

    /// A page came that is handled already; see [`Queues::handled`].
    pub(crate) fn page(
        &mut self,
        queue: JidView<'_>,
        next_key: Option<u64>,
        is_last: bool,
        content: Content,
        now: Duration,
    ) -> Option<Pull<'_>> {
        let slot = self.slot(queue);
        let entry = self.known.get_mut(slot)?;
        let pulled_with = entry.take_pulling();
        if entry.goes_on(&PageEnd { pulled_with, next_key, is_last, content }) {
            return self.pull(slot, now);
        }
        None
    }

    /// A page came and is in hand until [`Queues::handled`]: its queue keeps its place and is not pulled meanwhile.
    /// The key of the pull that it answers.
    pub(crate) fn received(&mut self, queue: JidView<'_>) -> Option<u64> {
        let slot = self.slot(queue);
        let entry = self.known.get_mut(slot)?;
        entry.in_hand = entry.in_hand.saturating_add(1);
        let pulled_with = entry.take_pulling();
        self.list(slot);
        pulled_with
    }

    /// A page came for which there is no room: its queue is pulled again, before others, from the key it had.
    pub(crate) fn dropped(&mut self, queue: JidView<'_>) {
        let slot = self.slot(queue);
        if let Some(entry) = self.known.get_mut(slot) {
            entry.pulling = None;
            entry.gap = true;
        }
        self.wait_first(slot);
    }

    /// Whether a page of this queue comes behind a dropped one, unasked: its key would acknowledge that one too.
    pub(crate) fn is_behind_a_gap(&mut self, queue: JidView<'_>) -> bool {
        let slot = self.slot(queue);
        self.known.get(slot).is_some_and(|entry| entry.gap && entry.pulling.is_none())
    }

    /// A page in hand was handled, and `end` tells how its queue goes on.
    ///
    /// The next pull carries the page's key and so acknowledges it, also where the page says it is the last:
    /// a server that still waits for the key would send the same page for ever. A page that brings nothing
    /// new goes on only while its key rises, so that no server can make us pull in a circle.
    pub(crate) fn handled(&mut self, queue: JidView<'_>, end: &PageEnd, allowed: Allowed, now: Duration) -> Next<'_> {
        let full = self.pulling() >= allowed.pulls;
        let slot = self.slot(queue);
        let Some(entry) = self.known.get_mut(slot) else { return Next::Rests };
        entry.in_hand = entry.in_hand.saturating_sub(1);
        if !entry.goes_on(end) {
            return Next::Rests;
        }
        if full {
            // What was handled is acknowledged before anything else is fetched.
            self.wait_first(slot);
            return Next::Waits;
        }
        self.pull(slot, now).map_or(Next::Rests, Next::Pull)
    }

    fn wait_first(&mut self, slot: Slot) {
        if let Some(entry) = self.known.get_mut(slot)
            && mem::replace(&mut entry.waiting, true)
        {
            self.waiting.retain(|waiting| *waiting != slot);
        }
        self.waiting.push_front(slot);
    }

    /// Where a queue stands; one not known yet is added.
    fn slot(&mut self, queue: JidView<'_>) -> Slot {
        let slot = match self.known.get(self.last) {
            Some(entry) if queue.same_queue(&entry.name) => self.last,
            _ => self.find(queue).unwrap_or_else(|| self.add(queue)),
        };
        self.last = slot;
        if let Some(entry) = self.known.get_mut(slot)
            && entry.name.client_resource.as_deref() != queue.client_resource
        {
            entry.name = queue.to_jid();
        }
        slot
    }

    fn find(&self, queue: JidView<'_>) -> Option<Slot> {
        if self.index.is_empty() {
            return self.known.iter().position(|entry| queue.same_queue(&entry.name));
        }
        self.index.get(&queue.to_jid().queue_key()).copied()
    }

    fn add(&mut self, queue: JidView<'_>) -> Slot {
        self.make_room();
        let slot = self.known.len();
        self.known.push(Queue { name: queue.to_jid(), ..Queue::default() });
        if self.known.len() > Self::FEW {
            self.number();
        }
        slot
    }

    /// Brings the index up to date with the end of the table.
    fn number(&mut self) {
        let numbered = self.index.len();
        let new = self.known.iter().enumerate().skip(numbered);
        self.index.extend(new.map(|(slot, entry)| (entry.name.queue_key(), slot)));
    }

    fn make_room(&mut self) {
        if self.known.len() < Self::CAPACITY {
            return;
        }
        let stays = |queue: &Queue| queue.pulling.is_some() || queue.in_hand > 0 || queue.waiting;
        let mut moved = vec![None; self.known.len()];
        let mut next = 0;
        for (entry, moved) in self.known.iter().zip(&mut moved) {
            if stays(entry) {
                *moved = Some(next);
                next += 1;
            }
        }
        if next >= Self::CAPACITY {
            // The next heartbeat's answer names them again.
            *self = Queues::default();
            return;
        }
        self.known.retain(stays);
        let place = |slot: &Slot| moved.get(*slot).copied().flatten();
        self.waiting = self.waiting.iter().filter_map(place).collect();
        self.busy = self.busy.iter().filter_map(place).collect();
        self.index.clear();
        self.last = 0;
        if self.known.len() > Self::FEW {
            self.number();
        }
    }

    fn is_full(&mut self, allowed: Allowed) -> bool {
        let least = allowed.queues.min(allowed.pulls);
        self.busy.len() >= least && { self.under_way() >= allowed.queues || self.pulling() >= allowed.pulls }
    }

    /// How many queues wait for a page, or have one in hand.
    pub(crate) fn under_way(&mut self) -> usize {
        let known = &mut self.known;
        self.busy.retain(|slot| match known.get_mut(*slot) {
            Some(queue) if queue.is_busy() => true,
            Some(queue) => {
                queue.listed = false;
                false
            }
            None => false,
        });
        self.busy.len()
    }

    /// How many pulls wait for their page.
    fn pulling(&self) -> usize {
        self.busy.iter().filter_map(|slot| self.known.get(*slot)).filter(|queue| queue.pulling.is_some()).count()
    }

    /// When the oldest pull will have waited too long. A look at the busy queues, which are few.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let pulls = self.busy.iter().filter_map(|slot| self.known.get(*slot)?.pulling);
        pulls.map(|pulling| pulling.due()).min()
    }

    /// A pull that has waited too long, if there is one.
    pub(crate) fn overdue(&mut self, now: Duration) -> Option<Overdue<'_>> {
        let (slot, pulling) = self.busy.iter().find_map(|slot| {
            let pulling = self.known.get(*slot)?.pulling.filter(|pulling| now >= pulling.due())?;
            Some((*slot, pulling))
        })?;
        if pulling.repeated {
            return Some(Overdue::GiveUp);
        }
        let entry = self.known.get_mut(slot)?;
        entry.pulling = Some(Pulling { since: now, repeated: true, ..pulling });
        Some(Overdue::Repeat(Pull { queue: &entry.name, key: pulling.key }))
    }

    fn pull(&mut self, slot: Slot, now: Duration) -> Option<Pull<'_>> {
        self.list(slot);
        let entry = self.known.get_mut(slot)?;
        entry.again = false;
        entry.pulling = Some(Pulling { since: now, key: entry.key, repeated: false });
        Some(Pull { queue: &entry.name, key: entry.key })
    }

    fn list(&mut self, slot: Slot) {
        if let Some(entry) = self.known.get_mut(slot)
            && !mem::replace(&mut entry.listed, true)
        {
            self.busy.push(slot);
        }
    }
}

impl Pulling {
    fn due(self) -> Duration {
        self.since.saturating_add(Queues::PATIENCE)
    }
}

impl Queue {
    /// A page is taken; the key of the pull that it answers.
    fn take_pulling(&mut self) -> Option<u64> {
        self.gap = false;
        self.pulling.take().and_then(|pulling| pulling.key)
    }

    fn is_busy(&self) -> bool {
        self.in_hand > 0 || self.pulling.is_some()
    }

    /// Takes a page's key; whether the queue is to be pulled with it.
    fn goes_on(&mut self, end: &PageEnd) -> bool {
        let next_key = end.next_key.filter(|key| *key != 0);
        let rises = next_key > self.highest;
        let changes = next_key.is_some() && next_key != end.pulled_with;
        if let Some(key) = next_key {
            self.key = Some(key);
            self.highest = self.highest.max(next_key);
        }
        let fresh = end.content == Content::New;
        let go_on = match end.is_last {
            // One that comes again on a new link was not acknowledged on the old one.
            true => changes && (fresh || (rises && end.content == Content::Known)),
            false => rises || (changes && fresh),
        };
        // With more pages in hand, the last of them sees to what was announced meanwhile.
        go_on || (self.in_hand == 0 && mem::take(&mut self.again))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Allowed, Content, PageEnd, Queues};
    use crate::wire::Jid;

    /// A pull that outlives the table's next change.
    #[derive(Clone, Debug, PartialEq)]
    struct Pull {
        queue: Jid,
        key: Option<u64>,
    }

    #[derive(Debug, PartialEq)]
    enum Next {
        Pull(Pull),
        Waits,
        Rests,
    }

    fn kept(pull: super::Pull<'_>) -> Pull {
        Pull { queue: pull.queue.clone(), key: pull.key }
    }

    /// The table, by addresses as values.
    #[derive(Default)]
    struct Tested(Queues);

    impl Tested {
        fn announced(&mut self, queue: &Jid, allowed: Allowed, now: Duration) -> Option<Pull> {
            self.0.announced(queue.view(), allowed, now).map(kept)
        }

        fn next_waiting(&mut self, allowed: Allowed, now: Duration) -> Option<Pull> {
            self.0.next_waiting(allowed, now).map(kept)
        }

        fn page(
            &mut self,
            queue: &Jid,
            next_key: Option<u64>,
            is_last: bool,
            content: Content,
            now: Duration,
        ) -> Option<Pull> {
            self.0.page(queue.view(), next_key, is_last, content, now).map(kept)
        }

        fn received(&mut self, queue: &Jid) -> Option<u64> {
            self.0.received(queue.view())
        }

        fn handled(&mut self, queue: &Jid, end: &PageEnd, allowed: Allowed, now: Duration) -> Next {
            match self.0.handled(queue.view(), end, allowed, now) {
                super::Next::Pull(pull) => Next::Pull(kept(pull)),
                super::Next::Waits => Next::Waits,
                super::Next::Rests => Next::Rests,
            }
        }
    }

    const MANY: Allowed = at_once(usize::MAX);
    const NOW: Duration = Duration::from_secs(1);

    const fn at_once(queues: usize) -> Allowed {
        Allowed { queues, pulls: usize::MAX }
    }

    fn jid(name: &str) -> Jid {
        Jid::user("o#a", name)
    }

    fn pull(name: &str, key: Option<u64>) -> Option<Pull> {
        Some(Pull { queue: jid(name), key })
    }

    #[test]
    fn the_recorded_exchange_of_25_messages_is_pulled_key_by_key() {
        let mut queues = Tested::default();
        assert_eq!(queues.announced(&jid("alice"), MANY, NOW), pull("alice", None));
        assert_eq!(queues.page(&jid("alice"), Some(11), false, Content::New, NOW), pull("alice", Some(11)));
        assert_eq!(queues.page(&jid("alice"), Some(12), false, Content::New, NOW), pull("alice", Some(12)));
        assert_eq!(queues.page(&jid("alice"), Some(13), false, Content::New, NOW), pull("alice", Some(13)));
        assert_eq!(queues.page(&jid("alice"), None, true, Content::Known, NOW), None);
        assert_eq!(queues.0.under_way(), 0);
    }

    #[test]
    fn a_notice_during_a_pull_causes_one_more_pull_afterwards() {
        let mut queues = Tested::default();
        assert!(queues.announced(&jid("a"), MANY, NOW).is_some());
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.page(&jid("a"), None, true, Content::Known, NOW), pull("a", None));
        assert_eq!(queues.page(&jid("a"), None, true, Content::Known, NOW), None);
    }

    #[test]
    fn the_last_key_is_sent_with_the_next_pull_after_a_finished_one() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(5), false, Content::New, NOW), pull("a", Some(5)));
        assert_eq!(queues.page(&jid("a"), Some(0), true, Content::Known, NOW), None);
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), pull("a", Some(5)));
    }

    #[test]
    fn a_user_and_a_group_of_one_name_are_two_queues_and_the_resource_does_not_count() {
        let mut queues = Tested::default();
        let group = Jid::group("o#a", "x");
        let device = jid("x").with_resource("phone");
        assert!(queues.announced(&jid("x"), MANY, NOW).is_some());
        assert!(queues.announced(&group, MANY, NOW).is_some());
        assert_eq!(queues.announced(&device, MANY, NOW), None);
    }

    #[test]
    fn a_last_page_with_messages_and_a_key_is_acknowledged_once() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::New, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::New, NOW), None);
    }

    #[test]
    fn a_page_without_a_key_that_is_not_the_last_does_not_loop() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), None, false, Content::New, NOW), None);
    }

    #[test]
    fn a_key_that_goes_backwards_without_anything_new_ends_the_queue() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert!(queues.page(&jid("a"), Some(9), false, Content::New, NOW).is_some());
        assert_eq!(queues.page(&jid("a"), Some(4), false, Content::Known, NOW), None);
    }

    #[test]
    fn an_unanswered_pull_is_made_once_more_with_its_key_and_then_given_up() {
        let (mut queues, late, later) = (Queues::default(), NOW + Queues::PATIENCE, NOW + 2 * Queues::PATIENCE);
        assert_eq!(queues.deadline(), None);
        queues.announced(jid("a").view(), MANY, NOW);
        queues.page(jid("a").view(), Some(5), false, Content::New, NOW);
        assert_eq!(queues.deadline(), Some(late));
        assert_eq!(queues.overdue(late - Duration::from_millis(1)), None);
        // An announcement meanwhile is no answer.
        assert_eq!(queues.announced(jid("a").view(), MANY, late), None);
        assert_eq!(queues.overdue(late), Some(super::Overdue::Repeat(super::Pull { queue: &jid("a"), key: Some(5) })));
        assert_eq!(queues.overdue(late), None);
        assert_eq!(queues.deadline(), Some(later));
        assert_eq!(queues.overdue(later), Some(super::Overdue::GiveUp));
    }

    #[test]
    fn an_answered_pull_is_not_overdue_and_the_next_one_has_its_own_two_turns() {
        let (mut queues, late) = (Queues::default(), NOW + Queues::PATIENCE);
        queues.announced(jid("a").view(), MANY, NOW);
        assert!(queues.overdue(late).is_some());
        queues.page(jid("a").view(), Some(5), false, Content::New, late);
        assert!(matches!(queues.overdue(late + Queues::PATIENCE), Some(super::Overdue::Repeat(_))));
        queues.page(jid("a").view(), None, true, Content::Nothing, late + Queues::PATIENCE);
        queues.announced(jid("b").view(), MANY, NOW);
        queues.received(jid("b").view());
        assert_eq!(queues.overdue(late + 9 * Queues::PATIENCE), None, "one is answered, the other has a page in hand");
        assert_eq!(queues.deadline(), None);
    }

    fn end(pulled_with: Option<u64>, next_key: u64) -> PageEnd {
        PageEnd { pulled_with, next_key: Some(next_key), is_last: false, content: Content::New }
    }

    #[test]
    fn a_queue_with_a_page_in_hand_keeps_its_place_and_is_not_pulled() {
        let mut queues = Tested::default();
        assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
        assert_eq!(queues.received(&jid("a")), None);
        assert_eq!(queues.announced(&jid("a"), at_once(1), NOW), None);
        assert_eq!(queues.announced(&jid("b"), at_once(1), NOW + Queues::PATIENCE), None);
        let next = queues.handled(&jid("a"), &end(None, 5), at_once(1), NOW);
        assert_eq!(next, Next::Pull(Pull { queue: jid("a"), key: Some(5) }));
        assert_eq!(queues.received(&jid("a")), Some(5));
        let over = PageEnd { is_last: true, content: Content::Nothing, ..end(Some(5), 5) };
        assert_eq!(queues.handled(&jid("a"), &over, at_once(1), NOW), Next::Rests);
        assert_eq!(queues.next_waiting(at_once(1), NOW), pull("b", None));
    }

    #[test]
    fn what_is_announced_while_pages_are_in_hand_is_pulled_after_the_last_of_them() {
        let mut queues = Tested::default();
        let unknown = PageEnd { next_key: None, ..end(None, 0) };
        queues.received(&jid("a"));
        queues.received(&jid("a"));
        assert_eq!(queues.announced(&jid("a"), MANY, NOW), None);
        assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Rests);
        assert_eq!(queues.handled(&jid("a"), &unknown, MANY, NOW), Next::Pull(Pull { queue: jid("a"), key: None }));
    }

    #[test]
    fn without_room_for_a_page_a_queue_waits_before_those_that_were_announced() {
        let mut queues = Tested::default();
        let (none, one) = (Allowed { queues: 9, pulls: 0 }, Allowed { queues: 9, pulls: 1 });
        assert_eq!(queues.announced(&jid("b"), none, NOW), None);
        queues.0.dropped(jid("c").view());
        queues.received(&jid("a"));
        assert_eq!(queues.handled(&jid("a"), &end(None, 5), none, NOW), Next::Waits);
        let mut order = Vec::new();
        while let Some(pull) = queues.next_waiting(one, NOW) {
            assert_eq!(queues.next_waiting(one, NOW), None);
            assert_eq!(queues.page(&pull.queue, None, true, Content::Nothing, NOW), None);
            order.push((pull.queue.name().to_owned(), pull.key));
        }
        assert_eq!(order, [("a".to_owned(), Some(5)), ("c".to_owned(), None), ("b".to_owned(), None)]);
    }

    #[test]
    fn a_last_page_that_comes_again_on_a_new_link_is_acknowledged_there_once() {
        let mut queues = Tested::default();
        queues.announced(&jid("a"), MANY, NOW);
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::Known, NOW), pull("a", Some(9)));
        assert_eq!(queues.page(&jid("a"), Some(9), true, Content::Known, NOW), None);
        assert_eq!(queues.page(&jid("b"), Some(9), true, Content::Nothing, NOW), None);
    }

    #[test]
    fn no_more_queues_than_allowed_are_pulled_at_once_and_every_one_has_its_turn() {
        let mut queues = Tested::default();
        let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        let mut under_way: Vec<Pull> = Vec::new();
        for name in names.iter().chain(&names) {
            under_way.extend(queues.announced(&jid(name), at_once(3), NOW));
        }
        assert_eq!(under_way.len(), 3);
        let mut pulled = 0;
        while let Some(pull) = under_way.pop() {
            pulled += 1;
            assert!(queues.0.under_way() <= 3);
            under_way.extend(queues.page(&pull.queue, None, true, Content::Known, NOW));
            under_way.extend(queues.next_waiting(at_once(3), NOW));
        }
        // The first three were announced once more while they were being pulled.
        assert_eq!(pulled, 13);
    }

    #[test]
    fn a_queue_pulled_before_its_turn_does_not_cost_the_turn_of_the_next() {
        let mut queues = Tested::default();
        let late = NOW + Queues::PATIENCE;
        assert!(queues.announced(&jid("a"), at_once(1), NOW).is_some());
        assert!(queues.announced(&jid("b"), at_once(1), NOW).is_none());
        assert!(queues.announced(&jid("c"), at_once(1), NOW).is_none());
        // More are allowed by the time `b` is announced once more.
        assert_eq!(queues.announced(&jid("b"), at_once(2), late), pull("b", None));
        assert_eq!(queues.next_waiting(at_once(3), late), pull("c", None));
        assert_eq!(queues.next_waiting(at_once(4), late), None);
    }

    #[test]
    fn queues_keep_their_keys_however_many_there_are() {
        let mut queues = Tested::default();
        let name = |n: u64| jid(&n.to_string());
        for n in 0..100 {
            queues.announced(&name(n), MANY, NOW);
            queues.page(&name(n), Some(n + 1), false, Content::New, NOW);
            queues.page(&name(n), None, true, Content::Nothing, NOW);
        }
        for n in (0..100).rev() {
            assert_eq!(queues.announced(&name(n), MANY, NOW), pull(&n.to_string(), Some(n + 1)));
        }
    }

    #[test]
    fn making_room_keeps_the_queues_that_wait_or_are_pulled() {
        let mut queues = Tested::default();
        let few = at_once(2);
        let late = NOW + Queues::PATIENCE;
        queues.announced(&jid("pulled"), few, NOW);
        queues.announced(&jid("in hand"), few, NOW);
        queues.received(&jid("in hand"));
        queues.announced(&jid("waits"), few, NOW);
        for n in 0..Queues::CAPACITY {
            queues.page(&jid(&n.to_string()), Some(7), true, Content::Nothing, NOW);
        }
        assert!(queues.0.known.len() < 8, "{}", queues.0.known.len());
        assert_eq!(queues.page(&jid("pulled"), None, true, Content::Nothing, NOW), None);
        assert_eq!(queues.next_waiting(few, NOW), pull("waits", None));
        assert_eq!(
            queues.handled(&jid("in hand"), &end(None, 5), MANY, late),
            Next::Pull(Pull { queue: jid("in hand"), key: Some(5) })
        );
    }

    #[test]
    fn the_table_is_bounded() {
        for allowed in [at_once(3), MANY] {
            let mut queues = Tested::default();
            for n in 0..3 * Queues::CAPACITY {
                queues.announced(&jid(&n.to_string()), allowed, NOW);
                assert!(queues.0.known.len() <= Queues::CAPACITY && queues.0.waiting.len() <= queues.0.known.len());
                assert!(queues.0.busy.len() <= queues.0.known.len());
            }
        }
    }

    proptest! {
        /// Whatever pages without anything new a server answers with, the pulling ends.
        #[test]
        fn pages_without_anything_new_never_make_a_circle(keys in prop::collection::vec(0_u64..6, 1..4)) {
            let mut queues = Tested::default();
            let mut pulling = queues.announced(&jid("a"), MANY, NOW).is_some();
            let mut pulls = 0;
            for key in keys.iter().cycle() {
                if !pulling {
                    break;
                }
                pulls += 1;
                prop_assert!(pulls < 20);
                pulling = queues.page(&jid("a"), Some(*key), false, Content::Known, NOW).is_some();
            }
        }
    }
}
