//! Checks of bodies that name another sender or conversation than they have.
//!
//! Some clients trust the body, which its sender wrote. It is not known what the service does with a forged one; this
//! server refuses it, unless a test lets it pass.

use serde_json::Value;

use crate::{
    local_server::{
        data::{Chat, Target},
        protocol::frames,
        state::State,
    },
    model::message::is_same,
    wire::{Jid, MessageBody, Status, message_body::Type, status::ErrorCode},
};

/// Members that only the service writes into the `meta` of a body (messages spec §2.6).
const SERVICE_MEMBERS: [&str; 3] = ["edit_msg", "reaction", "thread_overview"];

fn wrong(what: &str) -> Status {
    frames::failed(ErrorCode::WrongParameter, what)
}

impl State {
    /// Refuses a body its sender may not write.
    pub(crate) fn check_body(&self, target: &Target, user: &str, body: &MessageBody) -> Result<(), Status> {
        let is = |jid: &Option<Jid>, name: &str| {
            let claimed = jid.as_ref().map(Jid::name).filter(|claimed| !claimed.is_empty());
            claimed.is_none_or(|claimed| is_same(name, claimed, Some(self.app.key.as_str())))
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
            Type::DeliverAck | Type::ReadAck => self.receipt_fits(target, user, body),
            Type::Normal | Type::Recall | Type::ChannelAck | Type::Edit => true,
        };
        if !fits {
            return Err(wrong("the kind of the body does not fit what it is for"));
        }
        let meta: Value = serde_json::from_str(body.meta()).unwrap_or_default();
        let is_thread =
            matches!(target, Target::Group(id) if self.groups.get(id).is_some_and(|group| group.thread.is_some()));
        let forged = SERVICE_MEMBERS.iter().any(|member| kind != Type::Edit && meta.get(member).is_some());
        if forged || (meta.get("thread").is_some() && !is_thread) {
            return Err(wrong("the meta of the body says what only the service says"));
        }
        Ok(())
    }

    /// Returns `false` if a receipt is for a remembered message of another conversation.
    fn receipt_fits(&self, target: &Target, user: &str, body: &MessageBody) -> bool {
        let chat = Chat::of(target, user);
        let mut ids = body.ack_message_id.iter().chain(&body.ack_message_ids);
        ids.all(|id| self.history.chat_of(*id).is_none_or(|of| *of == chat))
    }
}
