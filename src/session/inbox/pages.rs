//! Queues and their pages: what is announced is pulled, what is pulled is told, handled and acknowledged.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    cursors::CursorState,
    metas::{Metas, PageHead, ParsedMeta},
    queues::{Allowed, Listed, Next, PageContent, PageEnd, Pull, Queues},
    suspects,
};
use crate::session::{
    Action, Diagnostic,
    context::Cx,
    decode::{self, Inbound, Receiver},
    inbox::{
        in_flight::{
            Begin, InFlight, InFlightPage, LEAST, PageEvent, PageId, at_least, at_most, weight_of, weight_of_one,
        },
        offline_sync::Listing,
    },
    machine::{Flow, Phase, Session},
    server_text::LONGEST_EXT,
    tokens::clock::ServerClock,
};
use crate::{
    config::Config,
    model::{
        Event, EventKind, EventMask,
        error::{Kick, LossCause},
    },
    wire::{CommSyncDl, CommUnreadDl, Jid, JidView, MAX_FIELDS, PageView, QueueKey, full_meta, pull_frame},
};

/// How much longer than asked for a queue waits at the most, as a share: many that fail at once come back one by one.
const MORE: f64 = 0.25;

/// How many queues are tried again at once: what fails must leave room for what does not.
fn retries_at_once(config: &Config) -> usize {
    (config.limits.pulls / 2).max(1)
}

/// What becomes of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposition {
    /// Its events are told, and it is acknowledged at once.
    Told,
    /// It is acknowledged once it is handled.
    InHand,
    /// There is no room for it: it has to come again.
    Not,
}

/// Whether a message came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Never,
    /// The observers know it, and it is still to be handled: its page was given back.
    Told,
    Handled,
}

/// What was read of a page.
#[derive(Debug, Default)]
struct PageContents {
    /// How many metas it has.
    metas: usize,
    /// How many of them are still to be told or handled.
    fresh: u64,
    /// How many of them were not seen before.
    unseen: u64,
    /// The ids of those, where they are in hand.
    ids: Vec<u64>,
    /// What is for the message handler.
    events: Vec<PageEvent>,
    kick: Option<Kick>,
    /// How many may be messages and cannot be read.
    unreadable: usize,
}

impl PageContents {
    fn content(&self) -> PageContent {
        PageContent::of(self.metas, self.fresh)
    }
}

impl Session {
    pub(in crate::session) fn unread(&mut self, unread: &CommUnreadDl, cx: &mut Cx<'_>) -> Flow {
        if let Some(timestamp) = unread.timestamp.filter(|timestamp| *timestamp != 0) {
            self.tokens.server_clock = Some(ServerClock::new(timestamp, cx.now));
            if let Some(clock) = &mut self.tokens.clock {
                clock.heard_server_clock(timestamp, cx.now);
            }
        }
        if let Phase::Online(online) = &mut self.phase {
            online.list_came(cx.now);
        }
        if let Some(event) = self.note_listed(unread) {
            cx.emit(event);
        }
        for queue in unread.unread.iter().filter_map(|entry| entry.queue.as_ref()) {
            self.announced(queue, cx);
        }
        self.pull_waiting(cx);
        self.token_due(cx)
    }

    /// Notes which queues hold something now that a link is up.
    fn note_listed(&mut self, unread: &CommUnreadDl) -> Option<EventKind> {
        let Phase::Online(online) = &mut self.phase else { return None };
        if !online.offline.takes_list() {
            return None;
        }
        let (mut list, mut seen) = (Listing::default(), HashSet::new());
        for entry in &unread.unread {
            let Some(queue) = entry.queue.as_ref().map(Jid::view) else { continue };
            if !Queues::takes(queue) {
                list.lost = true;
            } else if seen.insert([queue.app_key, queue.name, queue.domain].map(Option::unwrap_or_default)) {
                list.queues += 1;
                list.messages = list.messages.saturating_add(u64::from(entry.n.unwrap_or(0)));
                match online.queues.listed(queue) {
                    Listed::ToCome => list.noted += 1,
                    Listed::Known => {}
                    Listed::NoPlace => list.more = true,
                }
            }
        }
        online.offline.listed(list)
    }

    pub(in crate::session) fn announced(&mut self, queue: &Jid, cx: &mut Cx<'_>) {
        if !Queues::takes(queue.view()) {
            self.name_too_long(cx);
            return;
        }
        // It is pulled once its next try is due, announced or not.
        if self.is_parked(queue.view()) {
            return;
        }
        let allowed = self.allowed(cx);
        if let Phase::Online(online) = &mut self.phase
            && let Some(pull) = online.queues.announced(queue.view(), allowed, cx.now.mono)
        {
            transmit_pull(pull, &mut self.inbox.cursors, cx);
        }
    }

    /// Pulls the queues whose turn has come.
    pub(in crate::session) fn pull_waiting(&mut self, cx: &mut Cx<'_>) {
        let allowed = self.allowed(cx);
        while let Phase::Online(online) = &mut self.phase
            && let Some(pull) = online.queues.next_waiting(allowed, cx.now.mono)
        {
            transmit_pull(pull, &mut self.inbox.cursors, cx);
        }
        self.ask_again(cx);
    }

    /// Asks which queues hold something, where some had no place and now there is room.
    fn ask_again(&mut self, cx: &mut Cx<'_>) {
        if let Phase::Online(online) = &mut self.phase
            && online.queues.wants_list()
        {
            online.beat(cx);
        }
    }

    /// A queue's name is longer than any: it is not kept.
    fn name_too_long(&mut self, cx: &mut Cx<'_>) {
        if let Some(count) = self.inbox.odd.long_names.strikes(1, cx.now.mono) {
            cx.out.push(Action::Note(Diagnostic::QueueNameTooLong { count, limit: Queues::LONGEST_NAME }));
        }
    }

    /// How much may be pulled.
    fn allowed(&self, cx: &Cx<'_>) -> Allowed {
        let limits = &cx.env.config.limits;
        if self.inbox.cursors.as_ref().is_some_and(|cursors| cursors.is_loading()) {
            return Allowed { queues: 0, pulls: 0 };
        }
        match &self.inbox.in_flight {
            Some(in_flight) => in_flight.allowed(limits),
            None if cx.env.handled != EventMask::NONE => InFlight::default().allowed(limits),
            None => Allowed { queues: limits.pulls, pulls: usize::MAX },
        }
    }

    pub(in crate::session) fn sync(
        &mut self,
        sync: CommSyncDl,
        broken: Vec<Bytes>,
        bytes: usize,
        cx: &mut Cx<'_>,
    ) -> Flow {
        if sync.meta_id.unwrap_or(0) > 0 {
            self.note_broken(broken.len(), cx);
            self.answered(&sync, cx);
            return Flow::Continue(());
        }
        let status = sync.status.as_ref().and_then(|status| status.error_code).unwrap_or(0);
        if status != 0 && self.inbox.odd.page_status.strikes(1, cx.now.mono).is_some() {
            cx.out.push(Action::Note(Diagnostic::PageStatus { status }));
        }
        let (queue, is_last) = (sync.queue.as_ref().map(Jid::view), sync.is_last.unwrap_or(false));
        let head = PageHead { queue, next_key: sync.next_key, is_last, bytes };
        self.page(head, Metas::Decoded(sync.metas, broken), cx)
    }

    /// A page that was seen in place.
    pub(in crate::session) fn page_seen(&mut self, page: PageView<'_>, bytes: usize, cx: &mut Cx<'_>) -> Flow {
        let head = PageHead { queue: page.queue, next_key: page.next_key, is_last: page.is_last, bytes };
        self.page(head, Metas::Seen(page), cx)
    }

    /// A page of a queue, pulled or pushed: its messages, then, at once or once they are handled, the pull that
    /// acknowledges it.
    fn page(&mut self, mut head: PageHead<'_>, metas: Metas<'_>, cx: &mut Cx<'_>) -> Flow {
        if head.queue.is_some_and(|queue| !Queues::takes(queue)) {
            // What it brings is told; its queue can be neither pulled nor acknowledged.
            head.queue = None;
            self.name_too_long(cx);
        }
        let limits = &cx.env.config.limits;
        if metas.len() > limits.page_messages {
            let detail = format!("a page of {} messages is over the limit of {}", metas.len(), limits.page_messages);
            if let Some(queue) = head.queue {
                self.page_broke_link(suspects::Page::Of(queue.to_jid()), Some("Limits::page_messages"), cx);
            }
            return self.lost(LossCause::Protocol(detail), cx);
        }
        let taken = self.take(&head, &metas, cx);
        let mut read = self.read_metas(metas, taken, cx);
        let kick = read.kick.take();
        match taken {
            Disposition::InHand => self.hold(&head, read, cx),
            Disposition::Not => self.drop_page(&head, read.metas, cx),
            Disposition::Told if kick.is_none() => self.go_on(&head, &read, cx),
            Disposition::Told => {}
        }
        if let Phase::Online(online) = &mut self.phase
            && let Some(asked) = online.queues.take_answered()
        {
            self.outbox.pending.page_came(asked, cx.now.mono);
        }
        // The messages beside a kick were taken from the queue for this device, so they are heard before it.
        if let Some(kick) = kick {
            let kick = match kick {
                Kick::LoggedInElsewhere { ext } => {
                    Kick::LoggedInElsewhere { ext: ext.map(|ext| self.whole(ext.as_str().to_owned(), LONGEST_EXT)) }
                }
                other => other,
            };
            return self.kicked(kick, cx);
        }
        Flow::Continue(())
    }

    fn take(&mut self, head: &PageHead<'_>, metas: &Metas<'_>, cx: &Cx<'_>) -> Disposition {
        // What comes behind LOGOUT can be acknowledged no more.
        let Phase::Online(online) = &mut self.phase else { return Disposition::Told };
        let wanted = cx.env.handled != EventMask::NONE || self.inbox.cursors.is_some();
        let Some(in_flight) = &mut self.inbox.in_flight else {
            if wanted {
                self.inbox.in_flight = Some(Box::default());
            }
            return if wanted { Disposition::InHand } else { Disposition::Told };
        };
        // What is pushed would be handled before what its queue waits for, and acknowledge it.
        if head.queue.is_some_and(|queue| online.queues.is_behind_a_gap(queue)) || in_flight.is_parked(head.queue) {
            return Disposition::Not;
        }
        // Without a handler, too, a page waits for those of its queue that came before.
        if !wanted && (in_flight.is_empty() || !in_flight.has_pages_of(&key_of(head))) {
            return Disposition::Told;
        }
        let limits = &cx.env.config.limits;
        let encoded = if cx.env.keeps_encoded { head.bytes } else { 0 };
        // Nearly always. Only near the limit is a page weighed before it is taken, which means reading it twice.
        if in_flight.has_room(at_most(head.bytes, metas.len()).saturating_add(encoded), limits) {
            return Disposition::InHand;
        }
        let weight = match at_least(head.bytes, metas.len()).saturating_add(encoded) {
            least if in_flight.has_room(least, limits) => Some(self.weigh(metas, cx)),
            _ => None,
        };
        let Some(in_flight) = &mut self.inbox.in_flight else { return Disposition::Not };
        if weight.is_some_and(|weight| in_flight.has_room(weight, limits)) {
            return Disposition::InHand;
        }
        if !in_flight.has_room(LEAST, limits) {
            return Disposition::Not;
        }
        if let Some(weight) = weight {
            in_flight.came(weight);
        }
        let (recent, now) = (&mut self.inbox.dedup, cx.now.mono);
        let known = |id: u64| id != 0 && (in_flight.knows(id) || recent.contains(id, now, limits));
        if metas.all_keys(known) { Disposition::InHand } else { Disposition::Not }
    }

    /// Returns what a page would count for, as if nothing of it was known.
    fn weigh(&self, metas: &Metas<'_>, cx: &Cx<'_>) -> usize {
        let own = Receiver { user: &self.user, resource: &self.device.resource, weighs: true };
        let (handled, mut weight) = (cx.env.handled, LEAST);
        metas.look(|got| {
            let (Some(Inbound::Event(kind)) | Some(Inbound::Unreadable(Some(kind)))) =
                read_one(got, &own, handled, &mut None)
            else {
                return;
            };
            if kind.is_offered_to(handled) {
                let encoded = cx.env.keeps_encoded.then(|| got.encoded());
                weight = weight.saturating_add(weight_of_one(Event::weight_of(&kind), encoded.as_ref()));
            }
        });
        weight
    }

    /// Tells the observers what a page holds, and collects what is for the message handler.
    fn read_metas(&mut self, metas: Metas<'_>, taken: Disposition, cx: &mut Cx<'_>) -> PageContents {
        let mut read = PageContents { metas: metas.len(), ..PageContents::default() };
        metas.each(|got| self.read_meta(got, taken, &mut read, cx));
        self.note_broken(read.unreadable, cx);
        read
    }

    fn note_broken(&mut self, metas: usize, cx: &mut Cx<'_>) {
        if metas > 0
            && let Some(count) = self.inbox.odd.broken_metas.strikes(metas as u64, cx.now.mono)
        {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            cx.out.push(Action::Note(Diagnostic::BrokenMetas { count }));
        }
    }

    fn read_meta(&mut self, got: ParsedMeta<'_>, taken: Disposition, read: &mut PageContents, cx: &mut Cx<'_>) {
        let (key, bytes) = (got.key(), got.size());
        // A kick must be heard whatever its id; everything else once.
        let statistics = matches!(&got, ParsedMeta::Meta(meta) if decode::is_statistics(meta));
        let mut seen = Seen::Never;
        if !statistics {
            seen = self.seen(key, taken, &mut read.ids, cx);
            if seen == Seen::Handled {
                return;
            }
            read.fresh += 1;
            if seen == Seen::Never {
                read.unseen += 1;
                self.confirm_delivery(&got, cx);
                self.heed_rooms(&got);
            }
        }
        let (wanted, handled) = (cx.env.wanted, cx.env.handled);
        let own = Receiver { user: &self.user, resource: &self.device.resource, weighs: false };
        let inbound = read_one(&got, &own, wanted | handled, &mut self.inbox.last_sender);
        read.unreadable += usize::from(matches!(inbound, Some(Inbound::Unreadable(_))));
        match inbound {
            // An event is large: it is moved as seldom as can be.
            Some(Inbound::Event(event) | Inbound::Unreadable(Some(event))) => {
                // A text that is seen in place makes no false claims.
                if let ParsedMeta::Meta(meta) = &got {
                    self.heed_claims(&event, meta.from.as_ref(), cx);
                }
                if statistics {
                    seen = self.seen(key, taken, &mut read.ids, cx);
                }
                let handled = if taken == Disposition::InHand { handled } else { EventMask::NONE };
                if let Some(event) = self.tell(event, seen, handled, cx) {
                    let encoded = cx.env.keeps_encoded.then(|| got.encoded());
                    read.events.push(PageEvent { event, bytes, key, encoded });
                }
            }
            Some(Inbound::Unwanted(EventMask::MESSAGE)) if !mem::replace(&mut self.inbox.unheard, true) => {
                cx.out.push(Action::Note(Diagnostic::Unheard));
            }
            Some(Inbound::Kick(kick)) => read.kick = read.kick.take().or(Some(kick)),
            Some(Inbound::Statistics | Inbound::Echo | Inbound::Unwanted(_) | Inbound::Unreadable(None)) | None => {}
        }
    }

    /// Whether a message came before; from now on it is known, unless its page is not taken.
    fn seen(&mut self, id: u64, taken: Disposition, ids: &mut Vec<u64>, cx: &Cx<'_>) -> Seen {
        let (limits, now) = (&cx.env.config.limits, cx.now.mono);
        // What is not taken comes again, and is told then.
        if taken == Disposition::Not {
            return Seen::Handled;
        }
        let Some(in_flight) = &mut self.inbox.in_flight else {
            return if self.inbox.dedup.insert(id, now, limits) { Seen::Never } else { Seen::Handled };
        };
        let seen = match in_flight.parked.comes_again(id) {
            Some(true) => return Seen::Handled,
            Some(false) => Seen::Told,
            None => Seen::Never,
        };
        let fresh = match taken {
            Disposition::InHand => {
                let fresh = !self.inbox.dedup.contains(id, now, limits) && in_flight.insert(id);
                if fresh && id != 0 {
                    ids.push(id);
                }
                fresh
            }
            _ => !in_flight.knows(id) && self.inbox.dedup.insert(id, now, limits),
        };
        if fresh { seen } else { Seen::Handled }
    }

    /// Tells an event to the observers, unless they have seen it; it is built once for them and the message handler, who
    /// gets what is returned.
    fn tell(&self, kind: EventKind, seen: Seen, handled: EventMask, cx: &mut Cx<'_>) -> Option<Event> {
        let (mask, untold) = (kind.mask(), seen == Seen::Never);
        if !kind.is_offered_to(handled) {
            if untold && cx.env.wanted.contains(mask) {
                cx.emit(kind);
            }
            return None;
        }
        if seen == Seen::Handled {
            return None;
        }
        let event = Event::of_session(self.user.clone(), kind, &self.redactor);
        if untold && cx.env.wanted.contains(mask) {
            cx.out.push(Action::Publish(event.clone()));
        }
        Some(event)
    }

    /// A page that needs no handling goes on at once.
    fn go_on(&mut self, head: &PageHead<'_>, read: &PageContents, cx: &mut Cx<'_>) {
        let Some(queue) = head.queue else { return };
        if let Some(in_flight) = &mut self.inbox.in_flight {
            in_flight.parked.over(&queue.to_jid().queue_key());
        }
        let allowed = self.allowed(cx);
        let Phase::Online(online) = &mut self.phase else { return };
        let now = cx.now.mono;
        let next = online.queues.page(queue, head.next_key, head.is_last, read.content(), now);
        let rests = next.is_none();
        if let Some(pull) = next {
            transmit_pull(pull, &mut self.inbox.cursors, cx);
        } else if let Some(pull) = online.queues.next_waiting(allowed, now) {
            transmit_pull(pull, &mut self.inbox.cursors, cx);
        }
        if online.offline.is_running() && online.queues.is_to_come(queue) {
            online.offline.received(read.unseen);
            if head.is_last || rests {
                self.has_come(queue, cx);
            }
        }
        self.ask_again(cx);
    }

    /// A queue has come to its end.
    fn has_come(&mut self, queue: JidView<'_>, cx: &mut Cx<'_>) {
        if let Phase::Online(online) = &mut self.phase
            && online.queues.has_come(queue)
            && let Some(event) = online.offline.finished()
        {
            cx.emit(event);
        }
    }

    /// Puts a page behind those of its queue that are being handled.
    fn hold(&mut self, head: &PageHead<'_>, read: PageContents, cx: &mut Cx<'_>) {
        let (limits, now) = (&cx.env.config.limits, cx.now.mono);
        let (Some(in_flight), Phase::Online(online)) = (&mut self.inbox.in_flight, &mut self.phase) else { return };
        let key = key_of(head);
        if online.offline.is_running() && head.queue.is_some_and(|queue| online.queues.is_to_come(queue)) {
            online.offline.received(read.unseen);
        }
        // One that comes again brings nothing but its key.
        let brings = !read.ids.is_empty() || !read.events.is_empty();
        let bytes = if brings { weight_of(&read.events) } else { LEAST };
        let bytes = bytes.saturating_add(head.queue.map_or(0, weight_of_name));
        in_flight.came(bytes.max(head.bytes));
        let end = head.queue.map(|queue| {
            let pulled_with = online.queues.received(queue, now);
            in_flight.confirmed(&key, pulled_with, &mut self.inbox.dedup, limits, now);
            let next_key = head.next_key.filter(|key| *key != 0);
            (in_flight.link, PageEnd { pulled_with, next_key, is_last: head.is_last, content: read.content() })
        });
        let kept = end.as_ref().filter(|_| self.inbox.cursors.is_some()).and_then(|(_, end)| end.next_key);
        let page = InFlightPage {
            id: PageId(cx.env.new_page_id()),
            queue: head.queue.map(|queue| queue.to_jid()).unwrap_or_default(),
            ids: read.ids,
            bytes,
            events: read.events,
            keys: Vec::new(),
            key: kept,
            waits: false,
            end,
        };
        in_flight.push(key.clone(), page);
        self.proceed(key, cx);
    }

    /// There is no room for a page, or its queue waits: it is pulled again later, from the key its queue had.
    fn drop_page(&mut self, head: &PageHead<'_>, metas: usize, cx: &mut Cx<'_>) {
        if self.inbox.in_flight.as_ref().is_some_and(|in_flight| in_flight.is_parked(head.queue)) {
            return;
        }
        cx.out.push(Action::Note(Diagnostic::PageDropped { bytes: head.bytes }));
        if let Some(in_flight) = &mut self.inbox.in_flight {
            in_flight.came(at_least(head.bytes, metas));
        }
        if let (Phase::Online(online), Some(queue)) = (&mut self.phase, head.queue) {
            online.queues.dropped(queue, cx.now.mono);
        }
    }

    /// A page given out is handled.
    pub(in crate::session) fn handled(&mut self, page: PageId, cx: &mut Cx<'_>) {
        let Some(queue) = self.inbox.in_flight.as_mut().and_then(|in_flight| in_flight.handled(page)) else { return };
        self.finish(&queue, cx);
        // Nothing new begins once the end of the session has.
        if !matches!(self.phase, Phase::LoggingOut { .. }) {
            self.proceed(queue, cx);
        }
    }

    /// A page given out cannot be handled whole for now: all pages of its queue are let go of and come again later.
    pub(in crate::session) fn postponed(&mut self, page: PageId, handled: usize, pause: Duration, cx: &mut Cx<'_>) {
        let Some(in_flight) = &mut self.inbox.in_flight else { return };
        let Some(queue) = in_flight.handled(page) else { return };
        let Some(first) = in_flight.give_back(&queue, handled) else { return };
        let more = pause.mul_f64(cx.env.random.f64() * MORE);
        in_flight.parked.park(queue.clone(), first.queue.clone(), cx.after(pause).saturating_add(more));
        if let Phase::Online(online) = &mut self.phase {
            online.queues.stand_still(first.queue.view());
            if online.queues.has_come(first.queue.view())
                && let Some(event) = online.offline.postponed()
            {
                cx.emit(event);
            }
        }
        if !matches!(self.phase, Phase::LoggingOut { .. }) {
            self.proceed(queue, cx);
        }
    }

    /// Pulls the queues whose next try is due.
    pub(in crate::session) fn retry_due(&mut self, cx: &mut Cx<'_>) {
        let at_once = retries_at_once(&cx.env.config);
        loop {
            let allowed = self.allowed(cx);
            let (Some(in_flight), Phase::Online(online)) = (&mut self.inbox.in_flight, &mut self.phase) else { return };
            let Some(queue) = in_flight.parked.next_due(at_once, cx.now.mono) else { return };
            // On a new link, too, only what is asked for may be taken.
            online.queues.stand_still(queue.view());
            if let Some(pull) = online.queues.announced(queue.view(), allowed, cx.now.mono) {
                transmit_pull(pull, &mut self.inbox.cursors, cx);
            }
        }
    }

    /// When the next try of a queue is due.
    pub(in crate::session) fn retry_deadline(&self, config: &Config) -> Option<Duration> {
        self.inbox.in_flight.as_ref()?.parked.deadline(retries_at_once(config))
    }

    fn is_parked(&self, queue: JidView<'_>) -> bool {
        self.inbox.in_flight.as_ref().is_some_and(|in_flight| in_flight.is_parked(Some(queue)))
    }

    /// Gives out the next page of a queue, then those of queues that waited for a place.
    fn proceed(&mut self, queue: QueueKey, cx: &mut Cx<'_>) {
        let at_once = cx.env.config.limits.pulls;
        let mut next = Some(queue);
        while let Some(queue) = next {
            let Some(in_flight) = &mut self.inbox.in_flight else { return };
            match in_flight.begin(&queue, at_once) {
                Begin::Done => {
                    self.finish(&queue, cx);
                    next = Some(queue);
                    continue;
                }
                Begin::Deliver(page) => cx.out.push(Action::Deliver(page)),
                Begin::Nothing => {}
            }
            next = in_flight.next_turn(at_once);
        }
        self.retry_due(cx);
        self.pull_waiting(cx);
    }

    /// The first page of a queue is handled: acknowledges it, if the link it came on is still there.
    fn finish(&mut self, queue: &QueueKey, cx: &mut Cx<'_>) {
        let (limits, now) = (&cx.env.config.limits, cx.now.mono);
        let Some(in_flight) = &mut self.inbox.in_flight else { return };
        let Some(page) = in_flight.finish(queue, &mut self.inbox.dedup, limits, now) else { return };
        in_flight.parked.over(queue);
        let link = in_flight.link;
        if let (Some(cursors), Some(key)) = (&mut self.inbox.cursors, page.key) {
            cursors.keep(&page.queue, key);
        }
        let allowed = self.allowed(cx);
        let Some((_, end)) = page.end.filter(|(came_on, _)| *came_on == link) else { return };
        let Phase::Online(online) = &mut self.phase else { return };
        let next = online.queues.handled(page.queue.view(), &end, allowed, now);
        let over = end.is_last || next == Next::Rests;
        if let Next::Pull(pull) = next {
            transmit_pull(pull, &mut self.inbox.cursors, cx);
        }
        if over {
            self.has_come(page.queue.view(), cx);
        }
    }

    /// The link is over before what waited on the server has come, if it is not there yet.
    pub(in crate::session) fn offline_sync_ended(&mut self, cx: &mut Cx<'_>) {
        if let Phase::Online(online) = &mut self.phase
            && let Some(event) = online.offline.end()
        {
            cx.emit(event);
        }
    }
}

/// Reads one meta; `last` is who sent the last plain text.
fn read_one(
    got: &ParsedMeta<'_>,
    own: &Receiver<'_>,
    wanted: EventMask,
    last: &mut Option<Arc<str>>,
) -> Option<Inbound> {
    match got {
        ParsedMeta::Text(text, encoded) => {
            let read = decode::text(text, own, wanted, last);
            if read.is_some() {
                return read;
            }
            full_meta(encoded, &mut MAX_FIELDS.clone()).map(|meta| decode::read(&meta, own, wanted))
        }
        ParsedMeta::Meta(meta) => Some(decode::read(meta, own, wanted)),
        ParsedMeta::Broken(encoded) => Some(decode::broken(encoded, own, wanted)),
    }
}

pub(in crate::session) fn transmit_pull(pull: Pull<'_>, cursors: &mut Option<Box<CursorState>>, cx: &mut Cx<'_>) {
    let key = pull.key.or_else(|| cursors.as_mut()?.key(pull.queue));
    cx.transmit("pull", pull_frame(pull.queue, key));
}

/// What a page counts for more because its queue's name is long: the name is kept in several places while the page is in
/// hand.
fn weight_of_name(queue: JidView<'_>) -> usize {
    const USUAL: usize = 128;
    let parts = [queue.app_key, queue.name, queue.domain, queue.client_resource];
    parts.into_iter().flatten().map(str::len).sum::<usize>().saturating_sub(USUAL).saturating_mul(3)
}

fn key_of(head: &PageHead<'_>) -> QueueKey {
    head.queue.map(|queue| queue.to_jid()).unwrap_or_default().queue_key()
}
