//! A received page: admission, content and disposition.

use std::{mem, sync::Arc};

use bytes::Bytes;

use crate::{
    model::{
        Event, EventKind, EventMask,
        account::Device,
        error::{Kick, LossCause},
    },
    session::{
        Action, Diagnostic,
        context::Cx,
        decode::{self, Inbound, Receiver},
        inbox::{
            Inbox,
            in_flight::{InFlightPage, LEAST, PageEvent, PageId, at_least, at_most, weight_of, weight_of_one},
            metas::{Metas, PageHead, ParsedMeta},
            queues::{PageContent, PageEnd, Queues},
            suspects::BrokenBy,
        },
        outbox::Outbox,
        server_text::{LONGEST_EXT, whole},
    },
    wire::{CommSyncDl, Jid, JidView, MAX_FIELDS, PageView, QueueKey, full_meta},
};

/// Disposition of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposition {
    /// Reported, and acknowledged at once.
    Ack,
    /// Acknowledged once it is handled.
    Hold,
    /// Refused for lack of room: it has to come again.
    Refuse,
}

/// Earlier receipt of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Never,
    /// Reported, but still to be handled: its page was given back.
    Reported,
    Handled,
}

/// Content of a page.
#[derive(Debug, Default)]
pub(super) struct PageContents {
    metas: usize,
    /// Number still to be reported or handled.
    fresh: u64,
    /// Number not seen before.
    pub(super) unseen: u64,
    /// Ids of the fresh ones, if the page is held.
    ids: Vec<u64>,
    /// Events for the message handler.
    events: Vec<PageEvent>,
    kick: Option<Kick>,
    /// Number of unreadable metas that may be messages.
    unreadable: usize,
}

impl PageContents {
    pub(super) fn content(&self) -> PageContent {
        PageContent::of(self.metas, self.fresh)
    }
}

impl Inbox {
    /// Handles a decoded page; its status, if any, is only logged.
    ///
    /// # Errors
    /// As [`Inbox::page`].
    pub(in crate::session) fn page_decoded(
        &mut self,
        sync: CommSyncDl,
        broken: Vec<Bytes>,
        bytes: usize,
        device: &Device,
        outbox: &mut Outbox,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Kick>, LossCause> {
        let status = sync.status.as_ref().and_then(|status| status.error_code).unwrap_or(0);
        if status != 0 && self.oddities.page_status.strikes(1, cx.now.mono).is_some() {
            cx.note(Diagnostic::PageStatus { status });
        }
        let queue = sync.queue.as_ref().map(Jid::view);
        let head = PageHead { queue, next_key: sync.next_key, is_last: sync.is_last.unwrap_or(false), bytes };
        self.page(head, Metas::Decoded(sync.metas, broken), device, outbox, cx)
    }

    /// Handles a page seen in place.
    ///
    /// # Errors
    /// As [`Inbox::page`].
    pub(in crate::session) fn page_seen(
        &mut self,
        page: PageView<'_>,
        bytes: usize,
        device: &Device,
        outbox: &mut Outbox,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Kick>, LossCause> {
        let head = PageHead { queue: page.queue, next_key: page.next_key, is_last: page.is_last, bytes };
        self.page(head, Metas::Seen(page), device, outbox, cx)
    }

    /// Reports the messages of a page, pulled or pushed, and acknowledges it at once or once they are handled. Returns
    /// its kick; the other messages left the queue for this device, so they are reported before it.
    ///
    /// # Errors
    /// The page has more messages than allowed: drop the link.
    fn page(
        &mut self,
        mut head: PageHead<'_>,
        metas: Metas<'_>,
        device: &Device,
        outbox: &mut Outbox,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Kick>, LossCause> {
        if head.queue.is_some_and(|queue| !Queues::takes(queue)) {
            // Its events are reported; its queue can be neither pulled nor acknowledged.
            head.queue = None;
            self.oddities.name_too_long(cx);
        }
        let limits = &cx.env.config.limits;
        if metas.len() > limits.page_messages {
            let detail = format!("a page of {} messages is over the limit of {}", metas.len(), limits.page_messages);
            if let Some(queue) = head.queue {
                self.link_broken_by(BrokenBy::Queue(queue.to_jid()), Some("Limits::page_messages"), cx);
            }
            return Err(LossCause::Protocol(detail));
        }
        let disposition = self.admit(&head, &metas, device, cx);
        let mut read = self.read_metas(metas, disposition, device, outbox, cx);
        let kick = read.kick.take();
        match disposition {
            Disposition::Hold => self.hold(&head, read, cx),
            Disposition::Refuse => self.refuse(&head, read.metas, cx),
            Disposition::Ack if kick.is_none() => self.acknowledge(&head, &read, cx),
            Disposition::Ack => {}
        }
        if let Some(link) = &mut self.link
            && let Some(asked) = link.queues.take_answered()
        {
            outbox.page_came(asked, cx.now.mono);
        }
        Ok(kick.map(|kick| match kick {
            Kick::LoggedInElsewhere { ext } => Kick::LoggedInElsewhere {
                ext: ext.map(|ext| whole(cx.env.origin.redactor(), ext.as_str().to_owned(), LONGEST_EXT)),
            },
            other => other,
        }))
    }

    /// Decides if there is room for a page.
    fn admit(&mut self, head: &PageHead<'_>, metas: &Metas<'_>, device: &Device, cx: &Cx<'_>) -> Disposition {
        // After LOGOUT no ack can be sent.
        let Some(link) = &mut self.link else { return Disposition::Ack };
        if self.draining {
            return Disposition::Refuse;
        }
        let wanted = cx.env.handled != EventMask::NONE || self.cursors.is_some();
        let Some(in_flight) = &mut self.in_flight else {
            if wanted {
                self.in_flight = Some(Box::default());
            }
            return if wanted { Disposition::Hold } else { Disposition::Ack };
        };
        // A pushed page would be handled before the missing one of its queue, and acknowledge it.
        if head.queue.is_some_and(|queue| link.queues.is_behind_a_gap(queue)) || in_flight.is_parked(head.queue) {
            return Disposition::Refuse;
        }
        // Without a handler, too, a page waits for earlier ones of its queue.
        if !wanted && (in_flight.is_empty() || !in_flight.has_pages_of(&key_of(head))) {
            return Disposition::Ack;
        }
        let limits = &cx.env.config.limits;
        let encoded = if cx.env.keeps_encoded { head.bytes } else { 0 };
        // The usual case. Only near the limit is a page weighed first, which means reading it twice.
        if in_flight.has_room(at_most(head.bytes, metas.len()).saturating_add(encoded), limits) {
            return Disposition::Hold;
        }
        let weight = match at_least(head.bytes, metas.len()).saturating_add(encoded) {
            least if in_flight.has_room(least, limits) => Some(self.weigh(metas, device, cx)),
            _ => None,
        };
        let Some(in_flight) = &mut self.in_flight else { return Disposition::Refuse };
        if weight.is_some_and(|weight| in_flight.has_room(weight, limits)) {
            return Disposition::Hold;
        }
        if !in_flight.has_room(LEAST, limits) {
            return Disposition::Refuse;
        }
        if let Some(weight) = weight {
            in_flight.came(weight);
        }
        let (dedup, now) = (&mut self.dedup, cx.now.mono);
        let known = |id: u64| id != 0 && (in_flight.knows(id) || dedup.contains(id, now, limits));
        if metas.all_keys(known) { Disposition::Hold } else { Disposition::Refuse }
    }

    /// Returns the weight of a page, as if nothing of it was known.
    fn weigh(&self, metas: &Metas<'_>, device: &Device, cx: &Cx<'_>) -> usize {
        let own = Receiver { user: &self.user, resource: &device.resource, weighs: true };
        let handled = cx.env.handled;
        let mut weight = LEAST;
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

    /// Reports a page to the observers, and collects the events for the message handler.
    fn read_metas(
        &mut self,
        metas: Metas<'_>,
        disposition: Disposition,
        device: &Device,
        outbox: &mut Outbox,
        cx: &mut Cx<'_>,
    ) -> PageContents {
        let mut read = PageContents { metas: metas.len(), ..PageContents::default() };
        metas.each(|got| self.read_meta(got, disposition, &mut read, device, outbox, cx));
        self.oddities.broken_metas(read.unreadable, cx);
        cx.env.received = cx.env.received.wrapping_add(read.unseen);
        read
    }

    fn read_meta(
        &mut self,
        got: ParsedMeta<'_>,
        disposition: Disposition,
        read: &mut PageContents,
        device: &Device,
        outbox: &mut Outbox,
        cx: &mut Cx<'_>,
    ) {
        let (key, bytes) = (got.key(), got.size());
        // A kick is noticed whatever its id; everything else once.
        let statistics = matches!(&got, ParsedMeta::Meta(meta) if decode::is_statistics(meta));
        let mut seen = Seen::Never;
        if !statistics {
            seen = self.seen(key, disposition, &mut read.ids, cx);
            if seen == Seen::Handled {
                return;
            }
            read.fresh += 1;
            if seen == Seen::Never {
                read.unseen += 1;
                outbox.confirm_delivery(&got, self.link.is_some(), cx);
                outbox.on_room_notice(&got);
            }
        }
        let (wanted, handled) = (cx.env.wanted, cx.env.handled);
        let own = Receiver { user: &self.user, resource: &device.resource, weighs: false };
        let inbound = read_one(&got, &own, wanted | handled, &mut self.last_sender);
        read.unreadable += usize::from(matches!(inbound, Some(Inbound::Unreadable(_))));
        match inbound {
            // An event is large: it is moved as seldom as possible.
            Some(Inbound::Event(event) | Inbound::Unreadable(Some(event))) => {
                // A text seen in place makes no false claims.
                if let ParsedMeta::Meta(meta) = &got {
                    self.oddities.check_claims(&event, meta.from.as_ref(), cx);
                }
                if statistics {
                    seen = self.seen(key, disposition, &mut read.ids, cx);
                }
                let handled = if disposition == Disposition::Hold { handled } else { EventMask::NONE };
                if let Some(event) = self.emit(event, seen, handled, cx) {
                    let encoded = cx.env.keeps_encoded.then(|| got.encoded());
                    read.events.push(PageEvent { event, bytes, key, encoded });
                }
            }
            Some(Inbound::Unwanted(EventMask::MESSAGE)) if !mem::replace(&mut self.no_subscriber_noted, true) => {
                cx.note(Diagnostic::Unheard);
            }
            Some(Inbound::Kick(kick)) => read.kick = read.kick.take().or(Some(kick)),
            Some(Inbound::Statistics | Inbound::Echo | Inbound::Unwanted(_) | Inbound::Unreadable(None)) | None => {}
        }
    }

    /// Returns the earlier receipt of a message; it is known from now on, unless its page is refused.
    fn seen(&mut self, id: u64, disposition: Disposition, ids: &mut Vec<u64>, cx: &Cx<'_>) -> Seen {
        let (limits, now) = (&cx.env.config.limits, cx.now.mono);
        // A refused message comes again, and is reported then.
        if disposition == Disposition::Refuse {
            return Seen::Handled;
        }
        let Some(in_flight) = &mut self.in_flight else {
            return if self.dedup.insert(id, now, limits) { Seen::Never } else { Seen::Handled };
        };
        let seen = match in_flight.parked.comes_again(id) {
            Some(true) => return Seen::Handled,
            Some(false) => Seen::Reported,
            None => Seen::Never,
        };
        let fresh = match disposition {
            Disposition::Hold => {
                let fresh = !self.dedup.contains(id, now, limits) && in_flight.insert(id);
                if fresh && id != 0 {
                    ids.push(id);
                }
                fresh
            }
            _ => !in_flight.knows(id) && self.dedup.insert(id, now, limits),
        };
        if fresh { seen } else { Seen::Handled }
    }

    /// Reports an event to the observers, unless they have seen it. It is returned for the message handler.
    fn emit(&self, kind: EventKind, seen: Seen, handled: EventMask, cx: &mut Cx<'_>) -> Option<Event> {
        let is_news = seen == Seen::Never && cx.env.wanted.contains(kind.mask());
        if !kind.is_offered_to(handled) {
            if is_news {
                cx.emit(kind);
            }
            return None;
        }
        if seen == Seen::Handled {
            return None;
        }
        let event = Event::of_session(self.user.clone(), kind, &cx.env.origin);
        if is_news {
            cx.out.push(Action::Publish(event.clone()));
        }
        Some(event)
    }

    /// Queues a page behind the pages in flight of its queue.
    fn hold(&mut self, head: &PageHead<'_>, read: PageContents, cx: &mut Cx<'_>) {
        let (limits, now) = (&cx.env.config.limits, cx.now.mono);
        let (Some(in_flight), Some(link)) = (&mut self.in_flight, &mut self.link) else { return };
        let key = key_of(head);
        if link.offline.is_running() && head.queue.is_some_and(|queue| link.queues.is_to_come(queue)) {
            link.offline.received(read.unseen);
        }
        // A repeated page brings only its cursor.
        let brings = !read.ids.is_empty() || !read.events.is_empty();
        let bytes = if brings { weight_of(&read.events) } else { LEAST };
        let bytes = bytes.saturating_add(head.queue.map_or(0, weight_of_name));
        in_flight.came(bytes.max(head.bytes));
        let end = head.queue.map(|queue| {
            let pulled_with = link.queues.received(queue, now);
            in_flight.confirmed(&key, pulled_with, &mut self.dedup, limits, now);
            let next_key = head.next_key.filter(|key| *key != 0);
            (in_flight.link, PageEnd { pulled_with, next_key, is_last: head.is_last, content: read.content() })
        });
        let cursor = end.as_ref().filter(|_| self.cursors.is_some()).and_then(|(_, end)| end.next_key);
        let page = InFlightPage {
            id: PageId(cx.env.new_page_id()),
            queue: head.queue.map(|queue| queue.to_jid()).unwrap_or_default(),
            ids: read.ids,
            bytes,
            events: read.events,
            keys: Vec::new(),
            key: cursor,
            waits: false,
            end,
        };
        in_flight.push(key.clone(), page);
        self.dispatch(key, cx);
    }

    /// Refuses a page: it is pulled again later, from the queue's old cursor.
    fn refuse(&mut self, head: &PageHead<'_>, metas: usize, cx: &mut Cx<'_>) {
        if self.in_flight.as_ref().is_some_and(|in_flight| in_flight.is_parked(head.queue)) {
            return;
        }
        cx.note(Diagnostic::PageDropped { bytes: head.bytes });
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.came(at_least(head.bytes, metas));
        }
        if let (Some(link), Some(queue)) = (&mut self.link, head.queue) {
            link.queues.dropped(queue, cx.now.mono);
        }
    }
}

/// Reads one meta; `last` is the sender of the last plain text.
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

/// Returns the weight of a queue's long name, which is stored in several places while the page is in flight.
fn weight_of_name(queue: JidView<'_>) -> usize {
    const USUAL: usize = 128;
    let parts = [queue.app_key, queue.name, queue.domain, queue.client_resource];
    parts.into_iter().flatten().map(str::len).sum::<usize>().saturating_sub(USUAL).saturating_mul(3)
}

fn key_of(head: &PageHead<'_>) -> QueueKey {
    head.queue.map(|queue| queue.to_jid()).unwrap_or_default().queue_key()
}
