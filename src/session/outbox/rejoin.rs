//! Chat rooms: joined and left over the socket, and rejoined on a new link (messages spec §4.2).

use std::{mem, sync::Arc};

use crate::session::{
    Action, Diagnostic,
    context::Cx,
    inbox::metas::ParsedMeta,
    outbox::{
        Link, Outbox, encoded,
        pending::{SendKind, Try},
    },
};
use crate::{
    model::{
        EventKind,
        error::{LossCause, SendError},
        message::is_own,
        outgoing::RoomRequest,
    },
    wire::{Body, meta::NameSpace, muc_body::Operation},
};

/// Rooms that the account has joined.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// Joins to repeat on the next link.
    joined: Vec<RoomRequest>,
    /// Rooms over the limit; reported as lost on the next link.
    over_limit: Vec<Arc<str>>,
}

impl Rooms {
    /// Maximum rooms that are rejoined.
    const REJOINED: usize = 64;

    /// Maximum bytes of their requests, so that repeating them never fills the outbox.
    const REJOINED_BYTES: usize = 256 * 1024;

    /// Maximum further rooms, remembered only to report them lost.
    const REPORTED: usize = 1024;

    fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.over_limit.is_empty()
    }

    fn forget(&mut self, room: &str) {
        self.joined.retain(|joined| joined.room() != room);
        self.over_limit.retain(|joined| **joined != *room);
    }

    fn contains(&self, room: &str) -> bool {
        self.joined.iter().any(|joined| joined.room() == room)
    }

    /// Remembers a join.
    ///
    /// # Errors
    /// The limit is reached: the room that will not be rejoined.
    fn add(&mut self, request: RoomRequest) -> Result<(), Arc<str>> {
        if request.leaves_others() {
            *self = Rooms::default();
        }
        self.forget(request.room());
        let bytes = self.joined.iter().map(RoomRequest::bytes).sum::<usize>().saturating_add(request.bytes());
        if self.joined.len() < Self::REJOINED && bytes <= Self::REJOINED_BYTES {
            self.joined.push(request.staying());
            return Ok(());
        }
        let room = request.shared_room();
        if self.over_limit.len() < Self::REPORTED {
            self.over_limit.push(Arc::clone(&room));
        }
        Err(room)
    }
}

impl Outbox {
    /// Joins or leaves a room. Never buffered (messages spec §1.10).
    pub(in crate::session) fn change_room(
        &mut self,
        client_id: u64,
        request: RoomRequest,
        link: Link,
        cx: &mut Cx<'_>,
    ) {
        if let Err(error) = self.try_change_room(client_id, request, link, cx) {
            cx.out.push(Action::Sent { client_id, outcome: Err(error) });
        }
    }

    fn try_change_room(
        &mut self,
        client_id: u64,
        request: RoomRequest,
        link: Link,
        cx: &mut Cx<'_>,
    ) -> Result<(), SendError> {
        let config = &cx.env.config;
        match link {
            Link::Up => self.check(client_id, config.limits.pending_sends)?,
            Link::Returning => return Err(SendError::Reconnecting),
            Link::None => return Err(SendError::NotLoggedIn),
        }
        let frame = encoded(request.clone().into_meta(client_id, &config.app_key, &self.user));
        let (bytes, limit) = (frame.len(), config.limits.frame.min(config.limits.outbox));
        if bytes > limit {
            return Err(SendError::TooLarge { bytes, limit });
        }
        self.write("room", client_id, SendKind::Room(Box::new(request)), frame, cx);
        Ok(())
    }

    /// Records the outcome of a request: a joined room is rejoined on the next link, a left one never, even on error.
    pub(super) fn room_settled(&mut self, request: RoomRequest, done: bool, cx: &mut Cx<'_>) {
        if !request.is_join() {
            self.rooms.forget(request.room());
        } else if done
            && cx.env.config.rejoin_rooms
            && let Err(room) = self.rooms.add(request)
        {
            cx.note(Diagnostic::RoomNotKept { room: (&*room).into(), limit: Rooms::REJOINED });
        }
    }

    /// Forgets a room that is gone, or that the account was removed from.
    pub(in crate::session) fn on_room_notice(&mut self, got: &ParsedMeta<'_>) {
        let ParsedMeta::Meta(meta) = got else { return };
        if self.rooms.is_empty() || meta.ns != Some(NameSpace::Muc as i32) {
            return;
        }
        let Ok(Body::Muc(body)) = meta.body() else { return };
        let ends = match body.operation.and_then(|operation| Operation::try_from(operation).ok()) {
            Some(Operation::Destroy) => true,
            Some(Operation::Kick) => {
                body.to.iter().filter_map(|to| to.name.as_deref()).any(|name| is_own(name, &self.user))
            }
            _ => false,
        };
        if let Some(room) = body.muc_id.as_ref().and_then(|muc| muc.name.as_deref())
            && ends
            && body.is_chatroom == Some(true)
        {
            self.rooms.forget(room);
        }
    }

    /// Reports a failed rejoin, unless the room was left or ended meanwhile.
    pub(super) fn room_lost(&mut self, request: &RoomRequest, error: &SendError, cx: &mut Cx<'_>) {
        if !self.rooms.contains(request.room()) {
            return;
        }
        self.rooms.forget(request.room());
        cx.note(Diagnostic::RoomNotRejoined { room: request.room().into(), error: error.clone() });
        cx.emit(EventKind::RoomLost { room: request.shared_room(), error: Some(error.clone()) });
    }

    /// Handles an overdue rejoin: repeats it once, then gives up.
    pub(super) fn rejoin_due(&mut self, client_id: u64, request: Box<RoomRequest>, tried: Try, cx: &mut Cx<'_>) {
        match tried {
            // A later request of the application's must not be undone.
            Try::First if self.pending.is_leaving(request.room()) => {}
            Try::First if self.rooms.contains(request.room()) => self.join_again(request, Try::Second, cx),
            Try::First => {}
            Try::Second => {
                let error = SendError::OutcomeUnknown { client_id, cause: LossCause::RoomUnanswered };
                self.room_lost(&request, &error, cx);
            }
        }
    }

    fn join_again(&mut self, request: Box<RoomRequest>, nth: Try, cx: &mut Cx<'_>) {
        let client_id = cx.env.fresh_id();
        let frame = encoded((*request).clone().into_meta(client_id, &cx.env.config.app_key, &self.user));
        self.write("room", client_id, SendKind::Rejoin(request, nth), frame, cx);
    }

    /// Rejoins the rooms on a new link. They go first, because sending to a room requires membership.
    pub(super) fn rejoin(&mut self, cx: &mut Cx<'_>) {
        for request in self.rooms.joined.clone() {
            self.join_again(Box::new(request), Try::First, cx);
        }
        for room in mem::take(&mut self.rooms.over_limit) {
            cx.emit(EventKind::RoomLost { room, error: None });
        }
    }
}
