//! Refusing a body that says something else of its sender or conversation than is so.
//!
//! The body is the sender's own part, and receivers of some clients believe it. What the service does with one that lies is
//! not known; this server refuses it, unless a test wants it to pass.

use serde_json::Value;

use super::{frames, history::Chat, routing::Target, state::State};
use crate::{
    model::message::is_same,
    wire::{Jid, MessageBody, Status, message_body::Type, status::ErrorCode},
};

/// What only the service writes into the `meta` of a body (messages spec §2.6).
const OF_THE_SERVICE: [&str; 3] = ["edit_msg", "reaction", "thread_overview"];

fn wrong(what: &str) -> Status {
    frames::failed(ErrorCode::WrongParameter, what)
}

impl State {
    /// Refuses a body that is not what its sender may write.
    pub(super) fn honest(&self, target: &Target, user: &str, body: &MessageBody) -> Result<(), Status> {
        let is = |jid: &Option<Jid>, name: &str| {
            let said = jid.as_ref().map(Jid::name).filter(|said| !said.is_empty());
            said.is_none_or(|said| is_same(name, said, Some(self.app_key.as_str())))
        };
        if !is(&body.from, user) {
            let reason = "the sender in the body is not who sends it";
            return Err(frames::failed(ErrorCode::PermissionDenied, reason));
        }
        let (Target::User(id) | Target::Group(id) | Target::Room(id)) = target;
        if !is(&body.to, id) {
            return Err(wrong("the receiver in the body is not whom it is for"));
        }
        let kind = body.r#type();
        let fits = match kind {
            Type::Chat => matches!(target, Target::User(_)),
            Type::Groupchat => matches!(target, Target::Group(_)),
            Type::Chatroom => matches!(target, Target::Room(_)),
            Type::DeliverAck | Type::ReadAck => self.is_of(target, user, body),
            Type::Normal | Type::Recall | Type::ChannelAck | Type::Edit => true,
        };
        if !fits {
            return Err(wrong("the kind of the body does not fit what it is for"));
        }
        let said: Value = serde_json::from_str(body.meta()).unwrap_or_default();
        let is_thread =
            matches!(target, Target::Group(id) if self.groups.get(id).is_some_and(|group| group.thread.is_some()));
        let forged = OF_THE_SERVICE.iter().any(|member| kind != Type::Edit && said.get(member).is_some());
        if forged || (said.get("thread").is_some() && !is_thread) {
            return Err(wrong("the meta of the body says what only the service says"));
        }
        Ok(())
    }

    /// Whether the messages a receipt is for are of this conversation, as far as they are remembered.
    fn is_of(&self, target: &Target, user: &str, body: &MessageBody) -> bool {
        let chat = Chat::of(target, user);
        let mut ids = body.ack_message_id.iter().chain(&body.ack_message_ids);
        ids.all(|id| self.history.chat_of(*id).is_none_or(|of| *of == chat))
    }
}
