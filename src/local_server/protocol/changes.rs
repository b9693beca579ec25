//! Recalls and edits (messages spec §1.7).

use serde_json::json;

use crate::{
    local_server::{
        data::{Chat, Target},
        limits,
        protocol::{frames, payload},
        state::State,
    },
    util::unix_time::now_ms,
    wire::{
        Body, MessageBody, Meta, Status, encode,
        message_body::{EditScope, Type},
        meta::NameSpace,
    },
};

const UNKNOWN: &str = "Sorry, message does not exist";
const NOT_YOURS: &str = "Sorry, You do not have permission";

impl State {
    /// Refuses a change of an unknown message or of another author's.
    fn changeable(&self, target: &Target, id: u64, user: &str) -> Result<(), Status> {
        let known = self.history.chat_of(id) == Some(&Chat::of(target, user));
        let entry = self.history.get(id).filter(|_| known).ok_or_else(|| frames::rejected(UNKNOWN))?;
        if entry.from == user { Ok(()) } else { Err(frames::rejected(NOT_YOURS)) }
    }

    /// Recalls a message: removes it and passes the recall on.
    pub(crate) fn recall(&mut self, target: &Target, meta: Meta, body: &MessageBody) -> Result<(), Status> {
        let id = body.ack_message_id();
        let user = meta.from.as_ref().map(|from| from.name().to_owned()).unwrap_or_default();
        let window = self.settings.recall.ok_or_else(|| frames::rejected("message recall disabled"))?;
        self.changeable(target, id, &user)?;
        let sent_ms = self.history.get(id).map(|entry| entry.meta().timestamp()).unwrap_or_default();
        if u128::from(now_ms().saturating_sub(sent_ms)) > window.as_millis() {
            return Err(frames::rejected("exceed recall time limit"));
        }
        self.history.remove(id);
        self.remove_from_channels(target, &user, id);
        self.forward(target, meta, false);
        Ok(())
    }

    /// Edits a message and passes the edit on; returns the meta that answers the sender.
    pub(crate) fn edit(&mut self, target: &Target, mut meta: Meta, body: &MessageBody) -> Result<Meta, Status> {
        let id = body.edit_message_id();
        let user = meta.from.as_ref().map(|from| from.name().to_owned()).unwrap_or_default();
        self.changeable(target, id, &user)?;
        let entry = self.history.get(id).ok_or_else(|| frames::rejected(UNKNOWN))?;
        if entry.edits >= limits::EDITS {
            return Err(frames::rejected("Sorry, edit limit reached"));
        }
        let Ok(Body::Chat(before)) = entry.meta().body() else {
            return Err(frames::rejected("Sorry, format is incorrect"));
        };
        if body.contents.is_empty() {
            return Err(frames::rejected("Sorry, format is incorrect"));
        }
        let (kind, chat_type) = match target {
            Target::User(_) => (Type::Chat, "chat:user"),
            Target::Group(_) => (Type::Groupchat, "chat:group"),
            Target::Room(_) => (Type::Chatroom, "chat:room"),
        };
        let edit = json!({
            "count": entry.edits + 1,
            "operator": user,
            "edit_time": meta.timestamp(),
            "sender": entry.from,
            "send_time": entry.meta().timestamp(),
            "chat_type": chat_type,
        });

        // History shows the message with its new content.
        let ext = if body.edit_scope() == EditScope::BodyAndExt { body.ext.clone() } else { before.ext.clone() };
        let after = MessageBody { r#type: Some(kind as i32), contents: body.contents.clone(), ext, ..*before };
        let shown = payload::with_meta(&encode(&after), after.meta(), "edit_msg", edit.clone());
        let shown = Meta { payload: Some(shown), ..entry.meta().clone() };
        self.history.replace(id, shown, body.contents.first().map(|content| content.r#type()));

        let sent = meta.payload.as_deref().unwrap_or_default();
        meta.payload = Some(payload::with_meta(sent, body.meta(), "edit_msg", edit.clone()));
        let answer = Meta {
            id: meta.id,
            timestamp: meta.timestamp,
            ns: Some(NameSpace::Notify as i32),
            payload: Some(json!({"edit_msg": edit}).to_string().into()),
            ..Meta::default()
        };
        self.forward(target, meta, false);
        Ok(answer)
    }
}
