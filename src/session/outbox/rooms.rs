//! Chat rooms: joined and left over the socket, and joined again on a new link (messages spec §4.2).

use std::mem;

use super::sending::encoded;
use crate::session::{
    Action, Diagnostic,
    context::Cx,
    inbox::metas::ParsedMeta,
    machine::{Phase, Session},
    outbox::pending::{SendKind, Try},
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

impl Session {
    /// How many rooms are joined again on a new link.
    const REJOINED: usize = 64;

    /// How many bytes of text their requests have together, so that repeating them never fills what may wait to be written.
    const REJOINED_BYTES: usize = 256 * 1024;

    /// Of how many more it is told on a new link that they were not.
    const TOLD: usize = 1024;

    /// Joins or leaves a room. Nothing is kept for the next link (messages spec §1.10).
    pub(in crate::session) fn change_room(&mut self, client_id: u64, request: RoomRequest, cx: &mut Cx<'_>) {
        let config = &cx.env.config;
        let ready = match &self.phase {
            Phase::Online(_) => self.check(client_id, config.limits.pending_sends),
            _ if self.is_resuming() => Err(SendError::Reconnecting),
            _ => Err(SendError::NotLoggedIn),
        };
        if let Err(error) = ready {
            cx.out.push(Action::Sent { client_id, outcome: Err(error) });
            return;
        }
        let frame = encoded(request.clone().into_meta(client_id, &config.app_key, &self.user));
        let (bytes, limit) = (frame.len(), config.limits.frame.min(config.limits.outbox));
        if bytes > limit {
            cx.out.push(Action::Sent { client_id, outcome: Err(SendError::TooLarge { bytes, limit }) });
            return;
        }
        self.write("room", client_id, SendKind::Room(Box::new(request)), frame, cx);
    }

    /// A request is over: a room that was joined is to be joined again, and one that was to be left never, whatever came
    /// of leaving it.
    pub(in crate::session) fn room_settled(&mut self, request: RoomRequest, done: bool, cx: &mut Cx<'_>) {
        if !request.is_join() {
            self.forget_room(request.room());
        }
        if !request.is_join() || !done || !cx.env.config.rejoin_rooms {
            return;
        }
        if request.leaves_others() {
            self.outbox.rooms.clear();
            self.outbox.more_rooms.clear();
        }
        self.forget_room(request.room());
        let bytes = self.outbox.rooms.iter().map(RoomRequest::bytes).sum::<usize>().saturating_add(request.bytes());
        if self.outbox.rooms.len() < Self::REJOINED && bytes <= Self::REJOINED_BYTES {
            self.outbox.rooms.push(request.staying());
        } else {
            if self.outbox.more_rooms.len() < Self::TOLD {
                self.outbox.more_rooms.push(request.shared_room());
            }
            cx.out.push(Action::Note(Diagnostic::RoomNotKept { room: request.room().into(), limit: Self::REJOINED }));
        }
    }

    pub(in crate::session) fn forget_room(&mut self, room: &str) {
        self.outbox.rooms.retain(|joined| joined.room() != room);
        self.outbox.more_rooms.retain(|joined| **joined != *room);
    }

    /// Forgets a room that is gone, or that the account was removed from: it is not to be joined again.
    pub(in crate::session) fn heed_rooms(&mut self, got: &ParsedMeta<'_>) {
        let ParsedMeta::Meta(meta) = got else { return };
        if self.outbox.rooms.is_empty() && self.outbox.more_rooms.is_empty() || meta.ns != Some(NameSpace::Muc as i32) {
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
            self.forget_room(room);
        }
    }

    /// A room could not be joined again.
    pub(in crate::session) fn room_lost(&mut self, request: &RoomRequest, error: &SendError, cx: &mut Cx<'_>) {
        if !self.is_to_be_joined(request) {
            return;
        }
        self.forget_room(request.room());
        let room = request.shared_room();
        cx.out.push(Action::Note(Diagnostic::RoomNotRejoined { room: request.room().into(), error: error.clone() }));
        cx.emit(EventKind::RoomLost { room, error: Some(error.clone()) });
    }

    /// Whether it was neither left nor ended meanwhile.
    fn is_to_be_joined(&self, request: &RoomRequest) -> bool {
        self.outbox.rooms.iter().any(|joined| joined.room() == request.room())
    }

    /// A room that is joined again was not answered in time: once more, then it is given up.
    pub(in crate::session) fn rejoin_due(
        &mut self,
        client_id: u64,
        request: Box<RoomRequest>,
        tried: Try,
        cx: &mut Cx<'_>,
    ) {
        match tried {
            // What the application asked for meanwhile comes after it, and must not be undone by it.
            Try::First if self.outbox.pending.is_leaving(request.room()) => {}
            Try::First if self.is_to_be_joined(&request) => self.join_again(request, Try::Second, cx),
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

    /// A new link: the rooms first, because what is sent to one needs the account to be in it.
    pub(in crate::session) fn rejoin(&mut self, cx: &mut Cx<'_>) {
        for at in 0..self.outbox.rooms.len() {
            let Some(request) = self.outbox.rooms.get(at).cloned() else { return };
            self.join_again(Box::new(request), Try::First, cx);
        }
        for room in mem::take(&mut self.outbox.more_rooms) {
            cx.emit(EventKind::RoomLost { room, error: None });
        }
    }
}
