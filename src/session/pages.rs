//! Queues and their pages: what is announced is pulled, what is pulled is told and acknowledged.

use std::mem;

use super::{
    Action, Note,
    inbound::{self, Inbound, Own},
    life::{Flow, Phase, Session},
    queues::{Pull, Queues},
    recent::Recent,
    token::ServerClock,
    world::Context,
};
use crate::{
    EventMask, Kick, LossCause,
    wire::{CommSyncDl, CommSyncUl, CommUnreadDl, Jid, MSync},
};

fn transmit_pull(pull: Pull, context: &mut Context<'_>) {
    context.transmit("pull", MSync::client_sync(&CommSyncUl::pull(pull.queue, pull.key)).to_bytes());
}

impl Session {
    pub(super) fn unread(&mut self, unread: &CommUnreadDl, context: &mut Context<'_>) -> Flow {
        if let Some(timestamp) = unread.timestamp.filter(|timestamp| *timestamp != 0) {
            self.server_clock = Some(ServerClock::new(timestamp, context.now));
            if let Some(clock) = &mut self.clock {
                clock.heard_server_clock(timestamp, context.now);
            }
        }
        // What is past the bound is named again by the next answer.
        for queue in unread.unread.iter().filter_map(|entry| entry.queue.as_ref()).take(Queues::CAPACITY) {
            self.announced(queue, context);
        }
        // Places of pulls that nothing has answered are free again by now.
        let at_once = context.world.config.limits.pulls;
        if let Phase::Online(online) = &mut self.phase {
            while let Some(pull) = online.queues.next_waiting(at_once, context.now.mono) {
                transmit_pull(pull, context);
            }
        }
        self.token_due(context)
    }

    pub(super) fn announced(&mut self, queue: &Jid, context: &mut Context<'_>) {
        if let Phase::Online(online) = &mut self.phase
            && let Some(pull) = online.queues.announced(queue, context.world.config.limits.pulls, context.now.mono)
        {
            transmit_pull(pull, context);
        }
    }

    pub(super) fn sync(&mut self, sync: CommSyncDl, context: &mut Context<'_>) -> Flow {
        if sync.meta_id.unwrap_or(0) > 0 {
            self.answered(&sync, context);
            return Flow::Stay;
        }
        self.page(sync, context)
    }

    /// A page of a queue, pulled or pushed: its messages, then the pull that acknowledges it.
    fn page(&mut self, sync: CommSyncDl, context: &mut Context<'_>) -> Flow {
        let status = sync.status.as_ref().and_then(|status| status.error_code).unwrap_or(0);
        if status != 0 {
            context.out.push(Action::Note(Note::PageStatus { status }));
        }
        let limits = &context.world.config.limits;
        if sync.metas.len() > limits.batch {
            let detail = format!("a page of {} messages is over the limit of {}", sync.metas.len(), limits.batch);
            return self.lost(LossCause::Protocol(detail), context);
        }
        let (mut fresh, mut kicked) = (false, None);
        for meta in sync.metas {
            // A kick must be heard whatever its id; everything else once.
            let statistics = inbound::is_statistics(&meta);
            let key = inbound::repetition_key(&meta);
            let is_new = |recent: &mut Recent, context: &Context<'_>| {
                recent.insert(key, context.now.mono, &context.world.config.limits)
            };
            if !statistics {
                if !is_new(&mut self.recent, context) {
                    continue;
                }
                fresh = true;
                self.confirm_delivery(&meta, context);
            }
            let own = Own { user: &self.user, resource: context.world.config.resource() };
            match inbound::read(&meta, &own, context.world.wanted) {
                Inbound::Event(_) if statistics && !is_new(&mut self.recent, context) => {}
                Inbound::Event(event) => context.emit(event),
                Inbound::Unwanted(EventMask::MESSAGE) if !mem::replace(&mut self.unheard, true) => {
                    context.out.push(Action::Note(Note::Unheard));
                }
                Inbound::Kick(kick) => kicked = kicked.or(Some(kick)),
                Inbound::Statistics | Inbound::Echo | Inbound::Unwanted(_) => {}
            }
        }
        // The messages beside a kick were taken from the queue for this device, so they are heard before it.
        if let Some(kick) = kicked {
            let kick = match kick {
                Kick::LoggedInElsewhere { ext } => Kick::LoggedInElsewhere { ext: ext.map(|ext| self.shown(ext)) },
                other => other,
            };
            return self.kicked(kick, context);
        }
        let at_once = context.world.config.limits.pulls;
        if let Phase::Online(online) = &mut self.phase
            && let Some(queue) = sync.queue.as_ref()
        {
            let now = context.now.mono;
            let next = online.queues.page(queue, sync.next_key, sync.is_last.unwrap_or(false), fresh, now);
            if let Some(pull) = next.or_else(|| online.queues.next_waiting(at_once, now)) {
                transmit_pull(pull, context);
            }
        }
        Flow::Stay
    }
}
