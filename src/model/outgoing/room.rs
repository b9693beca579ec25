//! Entering and leaving chat rooms (messages spec §4.2).

use std::sync::Arc;

use super::target::place;
use crate::{
    model::{
        account::{AppKey, UserId},
        error::SendError,
    },
    wire::{self, Jid, Meta, MucBody, USER_DOMAIN, meta::NameSpace, muc_body::Operation},
};

/// A request to join or leave a chat room (messages spec §4.2).
///
/// ```
/// use agora_chat::messages::RoomRequest;
/// let join = RoomRequest::join("184524748161026")?.with_ext("from the lobby").leaving_others();
/// assert!(join.is_join());
/// assert!(RoomRequest::leave("").is_err());
/// # Ok::<(), agora_chat::SendError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a request does nothing until it is given to `send_room`"]
pub struct RoomRequest {
    room: Arc<str>,
    join: Option<Join>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Join {
    ext: String,
    leave_others: bool,
}

impl RoomRequest {
    /// Joins a chat room, and stays in the others.
    ///
    /// # Errors
    /// [`SendError::Invalid`] (205) for an id that is empty, over 255 bytes or has control characters.
    pub fn join(room: impl Into<Arc<str>>) -> Result<Self, SendError> {
        Ok(RoomRequest { room: place("chat room", room.into())?, join: Some(Join::default()) })
    }

    /// Leaves a chat room.
    ///
    /// # Errors
    /// As for [`join`](RoomRequest::join).
    pub fn leave(room: impl Into<Arc<str>>) -> Result<Self, SendError> {
        Ok(RoomRequest { room: place("chat room", room.into())?, join: None })
    }

    /// Adds a text that the room's members get with the news of the join; default empty. Changes nothing for leaving.
    pub fn with_ext(mut self, ext: impl Into<String>) -> Self {
        if let Some(join) = &mut self.join {
            join.ext = ext.into();
        }
        self
    }

    /// Leaves all other chat rooms with the join; default: stays in them. Changes nothing for leaving.
    pub fn leaving_others(mut self) -> Self {
        if let Some(join) = &mut self.join {
            join.leave_others = true;
        }
        self
    }

    /// Returns the chat room's id.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    pub(crate) fn shared_room(&self) -> Arc<str> {
        Arc::clone(&self.room)
    }

    /// Returns whether it is to join; otherwise it is to leave.
    #[must_use]
    pub fn is_join(&self) -> bool {
        self.join.is_some()
    }

    pub(crate) fn leaves_others(&self) -> bool {
        self.join.as_ref().is_some_and(|join| join.leave_others)
    }

    /// Stays in the other rooms: a repeated join must not undo later ones.
    pub(crate) fn staying(mut self) -> Self {
        if let Some(join) = &mut self.join {
            join.leave_others = false;
        }
        self
    }

    pub(crate) fn bytes(&self) -> usize {
        self.room.len() + self.join.as_ref().map_or(0, |join| join.ext.len())
    }

    /// Returns the request as it goes over the wire: one meta, answered like a send.
    #[must_use]
    pub fn into_meta(self, client_id: u64, app_key: &AppKey, from: &UserId) -> Meta {
        let operation = if self.is_join() { Operation::Join } else { Operation::Leave };
        let (ext, leave_other_rooms) = self.join.map(|join| (join.ext, join.leave_others)).unzip();
        let body = MucBody {
            muc_id: Some(Jid::group(app_key.as_str(), &self.room)),
            operation: Some(operation as i32),
            from: Some(Jid { name: Some(from.as_str().to_owned()), ..Jid::default() }),
            is_chatroom: Some(true),
            ext,
            leave_other_rooms,
            ..MucBody::default()
        };
        Meta {
            id: Some(client_id),
            from: Some(Jid::user(app_key.as_str(), from.as_str())),
            to: Some(Jid { domain: Some(USER_DOMAIN.to_owned()), ..Jid::default() }),
            ns: Some(NameSpace::Muc as i32),
            payload: Some(wire::encode(&body)),
            ..Meta::default()
        }
    }
}

/// A chat room as the service shows it to an account that has joined it (messages spec §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomInfo {
    /// The number of members, where the service said so.
    pub member_count: Option<u64>,
    /// When it was made, in milliseconds since 1970, where the service said so.
    pub created_at: Option<u64>,
    /// Set if all are muted there but those on the allow list.
    pub all_muted: bool,
    /// Set if this account is on the allow list.
    pub in_allow_list: bool,
    /// The remaining mute of this account, in the service's count (the vendor names no unit); `None` for none.
    pub muted_for: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::RoomRequest;
    use crate::{model::error::SendError, wire::Body};

    fn body(request: RoomRequest) -> crate::wire::MucBody {
        let meta = request.into_meta(7, &"org#app".parse().unwrap(), &"alice".parse().unwrap());
        assert_eq!(meta.id, Some(7));
        match meta.body().unwrap() {
            Body::Muc(body) => *body,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_join_always_writes_its_ext_and_whether_it_leaves_other_rooms() {
        let join = body(RoomRequest::join("1").unwrap());
        assert_eq!((join.ext.as_deref(), join.leave_other_rooms), (Some(""), Some(false)));
        let join = body(RoomRequest::join("1").unwrap().with_ext("hi").leaving_others());
        assert_eq!((join.ext.as_deref(), join.leave_other_rooms), (Some("hi"), Some(true)));
    }

    #[test]
    fn leaving_writes_neither() {
        let leave = RoomRequest::leave("1").unwrap().with_ext("hi").leaving_others();
        assert!(!leave.is_join());
        let leave = body(leave);
        assert_eq!((leave.ext, leave.leave_other_rooms), (None, None));
    }

    #[test]
    fn an_id_that_cannot_be_one_is_refused() {
        for (id, why) in [("", "is empty"), (&*"1".repeat(256), "has 256 bytes"), ("1\n", "has a control character")] {
            for refused in [RoomRequest::join(id), RoomRequest::leave(id)] {
                let Err(SendError::Invalid(text)) = refused else { panic!("{id:?} was taken") };
                assert!(text.starts_with(&format!("the chat room's id {why}")), "{text}");
            }
        }
    }
}
