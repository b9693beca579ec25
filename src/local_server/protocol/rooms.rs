//! Chat rooms: joined and left over the socket by device, and left with the link (messages spec §4.2).

use serde_json::json;

use crate::{
    local_server::{
        data::{QueueName, Room, SendAccepted},
        limits,
        protocol::frames,
        state::State,
    },
    util::unix_time::now_ms,
    wire::{
        Body, Jid, Meta, MucBody, Status,
        muc_body::{self, Operation},
    },
};

impl State {
    /// Handles a request of name space MUC: joining and leaving a room. Others are acknowledged and dropped.
    pub(crate) fn muc_request(&mut self, session: u64, user: &str, meta: &Meta) -> Result<SendAccepted, Status> {
        let mut accepted = SendAccepted { id: Some(self.ids.next()), at_ms: now_ms(), metas: Vec::new() };
        let Ok(Body::Muc(body)) = meta.body() else {
            return Ok(accepted);
        };
        let operation = body.operation.and_then(|number| Operation::try_from(number).ok());
        let id = body.muc_id.as_ref().map(|id| id.name().to_lowercase()).unwrap_or_default();
        match operation {
            Some(Operation::Join) if body.is_chatroom() => {
                accepted.metas.push(self.join_room(session, user, &id, &body)?);
            }
            Some(Operation::Leave) if body.is_chatroom() => {
                let joined = self.links.session(session).is_some_and(|session| session.rooms.contains(&id));
                if !joined {
                    return Err(frames::rejected("not in group or chatroom"));
                }
                self.leave_room(session, user, &id);
            }
            _ => {}
        }
        Ok(accepted)
    }

    fn join_room(&mut self, session: u64, user: &str, id: &str, body: &MucBody) -> Result<Meta, Status> {
        let Some(room) = self.rooms.get(id) else {
            return Err(frames::rejected(format!("grpID {id} does not exist!")));
        };
        let created_ms = room.created_ms;
        let joined = self.links.session(session).map(|session| session.rooms.clone()).unwrap_or_default();
        if body.leave_other_rooms() {
            for other in joined.iter().filter(|other| *other != id) {
                self.leave_room(session, user, other);
            }
        } else if joined.len() >= limits::ROOMS_JOINED && !joined.iter().any(|other| other == id) {
            return Err(frames::rejected(format!("{user} has joined too many chatrooms")));
        }
        let Some(at) = self.links.session_mut(session) else {
            return Err(frames::rejected("not in group or chatroom"));
        };
        if !at.rooms.iter().any(|other| other == id) {
            at.rooms.push(id.to_owned());
        }
        let resource = at.device.as_ref().map(|device| device.resource.clone()).unwrap_or_default();
        if self.rooms.enter(id, session, user, &resource) == Some(true) {
            self.notify_room(id, Operation::Presence, user, body.ext.clone());
        }

        let members = self.rooms.get(id).map_or(0, Room::len);
        let info = json!({user: {
            "is_all_mute": false, "create_timestamp": created_ms, "is_in_white_list": false, "member_count": members,
            "mute_duration": 0,
        }});
        let jid = Jid::group(self.app.key.as_str(), id);
        let answer = MucBody {
            muc_id: Some(jid.clone()),
            operation: Some(Operation::Join as i32),
            from: Some(frames::named(user)),
            is_chatroom: Some(true),
            status: Some(muc_body::Status {
                error_code: Some(muc_body::ErrorCode::Ok as i32),
                description: None,
                chatroom_info: Some(info.to_string()),
            }),
            ..MucBody::default()
        };
        Ok(self.muc_envelope(jid, &answer))
    }

    /// Removes a device from a room, and drops its queue of it.
    fn leave_room(&mut self, session: u64, user: &str, id: &str) {
        if let Some(session) = self.links.session_mut(session) {
            session.rooms.retain(|other| other != id);
            let resource = session.device.as_ref().map(|device| device.resource.as_str()).unwrap_or_default();
            if let Some(user) = self.users.get_mut(user) {
                user.mailbox.forget(resource, &QueueName::muc(id));
            }
        }
        self.exit_room(id, session);
    }

    /// Removes a device from a room; the others are notified if it was the user's last one.
    pub(crate) fn exit_room(&mut self, id: &str, session: u64) {
        if let Some(user) = self.rooms.exit(id, session) {
            self.notify_room(id, Operation::Absence, &user, None);
        }
    }

    /// Ends a room and notifies everybody in it; `false` if there is none.
    pub(crate) fn destroy_room(&mut self, id: &str) -> bool {
        let Some(owner) = self.rooms.get(id).map(|room| room.owner.clone()) else {
            return false;
        };
        self.notify_room(id, Operation::Destroy, &owner, None);
        for (session, ..) in self.rooms.devices_of(id) {
            if let Some(session) = self.links.session_mut(session) {
                session.rooms.retain(|other| other != id);
            }
        }
        self.rooms.remove(id);
        true
    }

    /// Notifies everybody in a room but the user it is about.
    fn notify_room(&mut self, id: &str, operation: Operation, from: &str, ext: Option<String>) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let count = room.len();
        if count > limits::ROOM_NOTIFIED && operation != Operation::Destroy {
            return;
        }
        let jid = Jid::group(self.app.key.as_str(), id);
        let body = MucBody {
            muc_id: Some(jid.clone()),
            operation: Some(operation as i32),
            from: Some(frames::named(from)),
            is_chatroom: Some(true),
            muc_name: Some(room.name.clone()),
            muc_member_count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            ext,
            ..MucBody::default()
        };
        let meta = self.muc_envelope(jid, &body);
        let (stored, frame) = self.queued(QueueName::muc(id), meta);
        let mut devices = self.rooms.devices_of(id);
        devices.retain(|(_, user, _)| operation == Operation::Destroy || user != from);
        self.deliver_to_devices(devices, &stored, &frame);
    }
}
