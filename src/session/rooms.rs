//! Chat rooms: joined and left over the socket, and joined again on a new link (messages spec §4.2).

use super::{
    Action, Note,
    life::{Phase, Session},
    sending::encoded,
    sends::What,
    world::Context,
};
use crate::{RoomRequest, SendError};

impl Session {
    /// How many rooms are joined again on a new link.
    const REJOINED: usize = 64;

    /// Joins or leaves a room. Nothing is kept for the next link (messages spec §1.10).
    pub(super) fn change_room(&mut self, client_id: u64, request: RoomRequest, context: &mut Context<'_>) {
        let config = &context.world.config;
        let ready = match &self.phase {
            Phase::Online(_) => self.check(client_id, config.limits.pending_sends),
            _ if self.is_resuming() => Err(SendError::Reconnecting),
            _ => Err(SendError::NotLoggedIn),
        };
        if let Err(error) = ready {
            context.out.push(Action::Sent { client_id, outcome: Err(error) });
            return;
        }
        let frame = encoded(request.clone().into_meta(client_id, &config.app_key, &self.user));
        let (bytes, limit) = (frame.len(), config.limits.frame.min(config.limits.outbox));
        if bytes > limit {
            context.out.push(Action::Sent { client_id, outcome: Err(SendError::TooLarge { bytes, limit }) });
            return;
        }
        self.write("room", client_id, What::Room(Box::new(request)), frame, context);
    }

    /// A request is over: a room that was joined is to be joined again, and one that was to be left never, whatever came
    /// of leaving it.
    pub(super) fn room_settled(&mut self, request: RoomRequest, done: bool, context: &mut Context<'_>) {
        if !request.is_join() {
            self.forget_room(request.room());
        }
        if !request.is_join() || !done || !context.world.config.rejoin_rooms {
            return;
        }
        if request.leaves_others() {
            self.rooms.clear();
        }
        self.forget_room(request.room());
        if self.rooms.len() < Self::REJOINED {
            self.rooms.push(request);
        } else {
            context.out.push(Action::Note(Note::RoomNotKept { room: request.room().into(), limit: Self::REJOINED }));
        }
    }

    pub(super) fn forget_room(&mut self, room: &str) {
        self.rooms.retain(|joined| joined.room() != room);
    }

    /// A new link: the rooms first, because what is sent to one needs the account to be in it.
    pub(super) fn rejoin(&mut self, context: &mut Context<'_>) {
        for at in 0..self.rooms.len() {
            let Some(request) = self.rooms.get(at).cloned() else { return };
            let client_id = context.world.fresh_id();
            let frame = encoded(request.clone().into_meta(client_id, &context.world.config.app_key, &self.user));
            self.write("room", client_id, What::Rejoin(Box::new(request)), frame, context);
        }
    }
}
