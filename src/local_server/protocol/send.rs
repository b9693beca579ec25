//! Sends of clients: checked, delivered and stored (messages spec §1).

use crate::{
    local_server::{
        data::{SendAccepted, Target, Thread},
        faults::SendFaultKind,
        protocol::{frames, payload},
        state::State,
    },
    util::unix_time::now_ms,
    wire::{
        Body, Jid, MessageBody, Meta, Status, USER_DOMAIN,
        content::ContentType,
        message_body::Type,
        meta::{NameSpace, RouteType},
    },
};

/// A send that is refused, or not answered.
pub(crate) enum SendRefused {
    Refused(Status),
    Unanswered,
}

impl From<Status> for SendRefused {
    fn from(status: Status) -> Self {
        SendRefused::Refused(status)
    }
}

impl State {
    /// Accepts or refuses what a device sent.
    pub(crate) fn accept_send(
        &mut self,
        session: u64,
        user: &str,
        resource: &str,
        meta: Meta,
    ) -> Result<SendAccepted, SendRefused> {
        let namespace = meta.ns.and_then(|ns| NameSpace::try_from(ns).ok());
        let accepted = |id| SendAccepted { id, at_ms: now_ms(), metas: Vec::new() };
        let fault = match namespace {
            Some(NameSpace::Statistic) | None => return Ok(accepted(None)),
            Some(_) => self.faults.next_send(user),
        };
        if let Some(SendFaultKind::Refuse(number, reason)) = fault {
            let status = Status { error_code: Some(number), reason, redirect_info: Vec::new() };
            return Err(SendRefused::Refused(status));
        }
        let accepted = match namespace {
            Some(NameSpace::Chat) => self.chat_once(user, resource, meta)?,
            Some(NameSpace::Muc) => self.muc_request(session, user, &meta)?,
            _ => accepted(Some(self.ids.next())),
        };
        if matches!(fault, Some(SendFaultKind::Unanswered)) { Err(SendRefused::Unanswered) } else { Ok(accepted) }
    }

    fn chat_once(&mut self, user: &str, resource: &str, meta: Meta) -> Result<SendAccepted, Status> {
        let from = Jid::user(self.app.key.as_str(), user).with_resource(resource);
        let Some((window, key)) = self.settings.repeats.zip(self.repeats.key(user, &meta)) else {
            return self.chat(from, meta, true);
        };
        if let Some(accepted) = self.repeats.answer(key, window) {
            return Ok(accepted);
        }
        let accepted = self.chat(from, meta, true)?;
        self.repeats.remember(key, &accepted);
        Ok(accepted)
    }

    /// Delivers a chat meta. Unless `checked`, its sender need not exist nor be a member.
    pub(crate) fn chat(&mut self, from: Jid, meta: Meta, checked: bool) -> Result<SendAccepted, Status> {
        let body = match meta.body() {
            Ok(Body::Chat(body)) => *body,
            // An opaque payload is passed on as it is.
            _ => MessageBody::default(),
        };
        let target = self.target(meta.to.as_ref(), body.r#type())?;
        if checked && !self.is_member(&target, from.name()) {
            return Err(frames::rejected("not in group or chatroom"));
        }
        if checked && !self.settings.forged_bodies {
            self.check_body(&target, from.name(), &body)?;
        }
        let at_ms = now_ms();
        let meta = Meta { id: Some(self.ids.next()), from: Some(from), timestamp: Some(at_ms), ..meta };
        let id = meta.id;
        let metas = match body.r#type() {
            Type::Recall => self.recall(&target, self.with_sender(meta, &body), &body).map(|()| Vec::new())?,
            Type::Edit => vec![self.edit(&target, meta, &body)?],
            Type::ReadAck | Type::DeliverAck | Type::ChannelAck => {
                self.receipt(&target, meta, &body);
                Vec::new()
            }
            Type::Normal | Type::Chat | Type::Groupchat | Type::Chatroom => {
                self.message(&target, meta, &body);
                Vec::new()
            }
        };
        Ok(SendAccepted { id, at_ms, metas })
    }

    /// Adds the sender to a recall that names nobody, for such a recall looks like the administration's.
    fn with_sender(&self, meta: Meta, body: &MessageBody) -> Meta {
        let names_somebody = body.from.as_ref().is_some_and(|from| !from.name().is_empty());
        if names_somebody || self.settings.forged_bodies {
            return meta;
        }
        let from = Jid { name: meta.from.as_ref().and_then(|from| from.name.clone()), ..Jid::default() };
        let payload = payload::from(meta.payload.as_deref().unwrap_or_default(), from);
        Meta { payload: Some(payload), ..meta }
    }

    /// Returns the receiver of a message, if there is such a user, group or room.
    fn target(&self, to: Option<&Jid>, kind: Type) -> Result<Target, Status> {
        let to = to.cloned().unwrap_or_default();
        let name = to.name().to_lowercase();
        if !to.domain().is_empty() && !to.domain().eq_ignore_ascii_case(USER_DOMAIN) {
            return match () {
                () if self.groups.get(&name).is_some() => Ok(Target::Group(name)),
                () if self.rooms.get(&name).is_some() => Ok(Target::Room(name)),
                () if kind == Type::Chatroom => Err(frames::rejected(format!("grpID {name} does not exist!"))),
                () => Err(frames::rejected("group not found")),
            };
        }
        if self.users.contains(&name) {
            Ok(Target::User(name))
        } else {
            Err(frames::rejected(format!("username {name} doesn't exist!")))
        }
    }

    fn is_member(&self, target: &Target, user: &str) -> bool {
        match target {
            Target::User(_) => true,
            Target::Group(id) => self.groups.get(id).is_some_and(|group| group.members.contains_key(user)),
            Target::Room(id) => self.rooms.get(id).is_some_and(|room| room.holds(user)),
        }
    }

    fn message(&mut self, target: &Target, mut meta: Meta, body: &MessageBody) {
        if let Target::Group(id) = target
            && let Some(Thread { parent, message, name, .. }) = self.groups.get(id).and_then(|g| g.thread.as_ref())
        {
            let thread = serde_json::json!({"msg_parent_id": message, "muc_parent_id": parent, "thread_name": name});
            let payload = meta.payload.as_deref().unwrap_or_default();
            meta.payload = Some(payload::with_meta(payload, body.meta(), "thread", thread));
        }
        let is_stored = meta.routetype != Some(RouteType::RouteOnline as i32);
        let is_command = body.contents.first().is_some_and(|content| content.r#type() == ContentType::Command);
        let stored = self.forward(target, meta, !is_command);
        if is_stored {
            self.history.put(target, &stored, body);
        }
    }
}
