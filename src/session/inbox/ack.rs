//! Acks of pages: the next pull of a queue carries the last page's cursor.

use crate::{
    session::{
        context::Cx,
        inbox::{
            Inbox,
            in_flight::PageId,
            metas::PageHead,
            page::PageContents,
            queues::{Allowed, Next},
            transmit_pull,
        },
    },
    wire::{JidView, QueueKey},
};

impl Inbox {
    /// Continues after a page was handled.
    pub(in crate::session) fn handled(&mut self, page: PageId, cx: &mut Cx<'_>) {
        let Some(queue) = self.in_flight.as_mut().and_then(|in_flight| in_flight.handled(page)) else { return };
        self.finish(&queue, cx);
        self.dispatch(queue, cx);
    }

    /// Acknowledges a page that needs no handling.
    pub(super) fn acknowledge(&mut self, head: &PageHead<'_>, read: &PageContents, cx: &mut Cx<'_>) {
        let Some(queue) = head.queue else { return };
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.parked.over(&queue.to_jid().queue_key());
        }
        let allowed = self.allowed(cx);
        let Some(link) = &mut self.link else { return };
        let now = cx.now.mono;
        let next = link.queues.page(queue, head.next_key, head.is_last, read.content(), now);
        let rests = next.is_none();
        if let Some(pull) = next {
            transmit_pull(pull, &mut self.cursors, cx);
        } else if let Some(pull) = link.queues.next_waiting(allowed, now) {
            transmit_pull(pull, &mut self.cursors, cx);
        }
        if link.offline.is_running() && link.queues.is_to_come(queue) {
            link.offline.received(read.unseen);
            if head.is_last || rests {
                self.emptied(queue, cx);
            }
        }
    }

    /// Acknowledges the first page of a queue, which is handled, if its link is still up.
    pub(super) fn finish(&mut self, queue: &QueueKey, cx: &mut Cx<'_>) {
        let (limits, now) = (&cx.env.config.limits, cx.now.mono);
        let Some(in_flight) = &mut self.in_flight else { return };
        let Some(page) = in_flight.finish(queue, &mut self.dedup, limits, now) else { return };
        in_flight.parked.over(queue);
        let link_number = in_flight.link;
        if let (Some(cursors), Some(key)) = (&mut self.cursors, page.key) {
            cursors.keep(&page.queue, key);
        }
        // While draining nothing but this is pulled, and only since it acknowledges.
        let allowed = match self.draining {
            true => Allowed { queues: usize::MAX, pulls: usize::MAX },
            false => self.allowed(cx),
        };
        let Some((_, end)) = page.end.filter(|(came_on, _)| *came_on == link_number) else { return };
        let Some(link) = &mut self.link else { return };
        let next = link.queues.handled(page.queue.view(), &end, allowed, now);
        let over = end.is_last || next == Next::Rests;
        if let Next::Pull(pull) = next {
            transmit_pull(pull, &mut self.cursors, cx);
        }
        if over {
            self.emptied(page.queue.view(), cx);
        }
    }

    /// Records for the offline sync that a queue is empty.
    fn emptied(&mut self, queue: JidView<'_>, cx: &mut Cx<'_>) {
        if let Some(link) = &mut self.link
            && link.queues.has_come(queue)
            && let Some(event) = link.offline.finished()
        {
            cx.emit(event);
        }
    }
}
