//! Chat rooms: joined and left over the socket, by device, and left with the link (messages spec §4.2).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::json;

use super::{
    frames, limits,
    membership::named,
    queue::{Item, StoredItem},
    queues::QueueName,
    routing::{SendAccepted, refused},
    socket::Outgoing,
    state::{State, now_ms},
};
use crate::wire::{
    Body, Jid, Meta, MucBody, Status,
    muc_body::{self, Operation},
};

/// One chat room.
pub(super) struct Room {
    pub(super) name: String,
    pub(super) owner: String,
    created_ms: u64,
    /// Session to user and resource.
    devices: BTreeMap<u64, (String, String)>,
    /// User to number of devices.
    users: BTreeMap<String, usize>,
}

impl Room {
    pub(super) fn holds(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &String> {
        self.users.keys()
    }

    pub(super) fn new(name: String, owner: String) -> Self {
        Room { name, owner, created_ms: now_ms(), devices: BTreeMap::new(), users: BTreeMap::new() }
    }
}

/// Every chat room.
#[derive(Default)]
pub(super) struct Rooms {
    by_id: HashMap<String, Room>,
}

impl Rooms {
    pub(super) fn is_full(&self) -> bool {
        self.by_id.len() >= limits::ROOMS
    }

    pub(super) fn add(&mut self, id: String, room: Room) {
        self.by_id.insert(id, room);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Room> {
        self.by_id.get(id)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Room)> {
        self.by_id.iter()
    }

    /// Session, user and resource of everybody in a room.
    pub(super) fn devices_of(&self, id: &str) -> Vec<(u64, String, String)> {
        let devices = self.by_id.get(id).into_iter().flat_map(|room| &room.devices);
        devices.map(|(session, (user, resource))| (*session, user.clone(), resource.clone())).collect()
    }

    /// Nobody is in any room any more.
    pub(super) fn empty_all(&mut self) {
        for room in self.by_id.values_mut() {
            room.devices.clear();
            room.users.clear();
        }
    }

    /// Answers whether the user was not in it before; `None` if there is no such room.
    fn enter(&mut self, id: &str, session: u64, user: &str, resource: &str) -> Option<bool> {
        let room = self.by_id.get_mut(id)?;
        if room.devices.insert(session, (user.to_owned(), resource.to_owned())).is_some() {
            return Some(false);
        }
        let devices = room.users.entry(user.to_owned()).or_default();
        *devices += 1;
        Some(*devices == 1)
    }

    /// Answers the user whose last device left.
    fn exit(&mut self, id: &str, session: u64) -> Option<String> {
        let room = self.by_id.get_mut(id)?;
        let (user, _) = room.devices.remove(&session)?;
        let devices = room.users.get_mut(&user)?;
        *devices -= 1;
        (*devices == 0).then(|| {
            room.users.remove(&user);
            user
        })
    }
}

impl State {
    /// Takes a request of name space MUC: joining and leaving a room. Others are acknowledged and go nowhere.
    pub(super) fn muc_request(&mut self, session: u64, user: &str, meta: &Meta) -> Result<SendAccepted, Status> {
        let mut taken = SendAccepted { id: Some(self.next_id()), at_ms: now_ms(), metas: Vec::new() };
        let Ok(Body::Muc(body)) = meta.body() else {
            return Ok(taken);
        };
        let operation = body.operation.and_then(|number| Operation::try_from(number).ok());
        let id = body.muc_id.as_ref().map(|id| id.name().to_lowercase()).unwrap_or_default();
        match operation {
            Some(Operation::Join) if body.is_chatroom() => {
                taken.metas.push(self.join_room(session, user, &id, &body)?);
            }
            Some(Operation::Leave) if body.is_chatroom() => {
                let joined = self.sessions.get(&session).is_some_and(|session| session.rooms.contains(&id));
                if !joined {
                    return Err(refused("not in group or chatroom"));
                }
                self.leave_room(session, user, &id);
            }
            _ => {}
        }
        Ok(taken)
    }

    fn join_room(&mut self, session: u64, user: &str, id: &str, body: &MucBody) -> Result<Meta, Status> {
        let Some(room) = self.rooms.get(id) else {
            return Err(refused(format!("grpID {id} does not exist!")));
        };
        let created_ms = room.created_ms;
        let joined = self.sessions.get(&session).map(|session| session.rooms.clone()).unwrap_or_default();
        if body.leave_other_rooms() {
            for other in joined.iter().filter(|other| *other != id) {
                self.leave_room(session, user, other);
            }
        } else if joined.len() >= limits::ROOMS_JOINED && !joined.iter().any(|other| other == id) {
            return Err(refused(format!("{user} has joined too many chatrooms")));
        }
        let Some(at) = self.sessions.get_mut(&session) else {
            return Err(refused("not in group or chatroom"));
        };
        if !at.rooms.iter().any(|other| other == id) {
            at.rooms.push(id.to_owned());
        }
        let resource = at.device.as_ref().map(|device| device.resource.clone()).unwrap_or_default();
        if self.rooms.enter(id, session, user, &resource) == Some(true) {
            self.room_told(id, Operation::Presence, user, body.ext.clone());
        }

        let members = self.rooms.get(id).map_or(0, |room| room.users.len());
        let info = json!({user: {
            "is_all_mute": false, "create_timestamp": created_ms, "is_in_white_list": false, "member_count": members,
            "mute_duration": 0,
        }});
        let jid = Jid::group(self.app_key.as_str(), id);
        let answer = MucBody {
            muc_id: Some(jid.clone()),
            operation: Some(Operation::Join as i32),
            from: Some(named(user)),
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

    /// A device leaves a room, and what it has not fetched of it is forgotten.
    fn leave_room(&mut self, session: u64, user: &str, id: &str) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.rooms.retain(|other| other != id);
            let resource = session.device.as_ref().map(|device| device.resource.as_str()).unwrap_or_default();
            if let Some(user) = self.users.get_mut(user) {
                user.mailbox.forget(resource, &QueueName::muc(id));
            }
        }
        self.out_of_room(id, session);
    }

    /// A device is in a room no longer; the others are told when it was the user's last one.
    pub(super) fn out_of_room(&mut self, id: &str, session: u64) {
        if let Some(user) = self.rooms.exit(id, session) {
            self.room_told(id, Operation::Absence, &user, None);
        }
    }

    /// Ends a room; everybody in it is told. `false` if there is none.
    pub(super) fn destroy_room(&mut self, id: &str) -> bool {
        let Some(owner) = self.rooms.get(id).map(|room| room.owner.clone()) else {
            return false;
        };
        self.room_told(id, Operation::Destroy, &owner, None);
        for (session, ..) in self.rooms.devices_of(id) {
            if let Some(session) = self.sessions.get_mut(&session) {
                session.rooms.retain(|other| other != id);
            }
        }
        self.rooms.by_id.remove(id);
        true
    }

    /// Tells everybody in a room but the one it is about.
    fn room_told(&mut self, id: &str, operation: Operation, from: &str, ext: Option<String>) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let count = room.users.len();
        if count > limits::ROOM_TOLD && operation != Operation::Destroy {
            return;
        }
        let jid = Jid::group(self.app_key.as_str(), id);
        let body = MucBody {
            muc_id: Some(jid.clone()),
            operation: Some(operation as i32),
            from: Some(named(from)),
            is_chatroom: Some(true),
            muc_name: Some(room.name.clone()),
            muc_member_count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            ext,
            ..MucBody::default()
        };
        let meta = self.muc_envelope(jid, &body);
        let stored = Arc::new(StoredItem { id: meta.id(), queue: QueueName::muc(id), meta });
        let frame = frames::notice(&self.app_key, &stored.queue);
        let mut devices = self.rooms.devices_of(id);
        devices.retain(|(_, user, _)| operation == Operation::Destroy || user != from);
        for (session, user, resource) in devices {
            if let Some(user) = self.users.get_mut(&user) {
                user.mailbox.put_for(&resource, Item::One(Arc::clone(&stored)));
            }
            self.push(session, Outgoing::Binary(frame.clone()));
        }
    }
}
