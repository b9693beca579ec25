//! Messages that the handle puts in.

use bytes::Bytes;

use crate::{
    local_server::{
        data::{Item, QueueName, Run, Texts},
        error::LocalServerError,
        state::State,
    },
    model::message::Conversation,
    util::unix_time::now_ms,
    wire::{
        Jid, Meta,
        meta::{NameSpace, RouteType},
    },
};

impl State {
    /// Sends a message as if a device of `from` had sent it.
    pub(crate) fn send_as(&mut self, from: &str, to: &Conversation, payload: Bytes) -> Result<u64, LocalServerError> {
        let app_key = self.app.key.as_str();
        let from = Jid::user(app_key, &from.to_lowercase());
        let id = to.id().to_lowercase();
        let (jid, known, unknown) = match to {
            Conversation::User(_) => {
                let (name, resource) = id.split_once('/').map_or((&*id, None), |(name, res)| (name, Some(res)));
                let jid = Jid { client_resource: resource.map(str::to_owned), ..Jid::user(app_key, name) };
                (jid, self.users.contains(name), LocalServerError::NoSuchUser(name.to_owned()))
            }
            Conversation::Room(_) => {
                let unknown = LocalServerError::NotFound { what: "chat room", id: id.clone() };
                (Jid::group(app_key, &id), self.rooms.get(&id).is_some(), unknown)
            }
            Conversation::Group(_) | Conversation::Thread(_) => (
                Jid::group(app_key, &id),
                self.groups.get(&id).is_some(),
                LocalServerError::NotFound { what: "group", id: id.clone() },
            ),
        };
        if !known {
            return Err(unknown);
        }
        let meta = Meta {
            to: Some(jid),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(payload),
            routetype: Some(RouteType::RouteAll as i32),
            ..Meta::default()
        };
        self.chat(from, meta, false).ok().and_then(|accepted| accepted.id).ok_or(unknown)
    }

    /// Puts any meta into a queue of a user.
    pub(crate) fn push_meta(&mut self, user: &str, meta: Meta) -> Result<u64, LocalServerError> {
        let name = user.to_lowercase();
        self.users.find(&name)?;
        let fresh = self.ids.next();
        let meta = Meta { id: meta.id.or(Some(fresh)), timestamp: meta.timestamp.or(Some(now_ms())), ..meta };
        let queue = match meta.from.as_ref().filter(|from| !from.name().is_empty()) {
            Some(from) => QueueName::of(from),
            None => QueueName::user(&name),
        };
        let id = meta.id();
        // The fresh id is the cursor, so that an odd id cannot block the queue.
        self.enqueue_as(&name, fresh, queue, meta);
        Ok(id)
    }

    /// Puts generated texts into a queue of a user.
    pub(crate) fn fill_queue(&mut self, user: &str, from: &str, count: u64) -> Result<(), LocalServerError> {
        let most = self.settings.queues.stored;
        if usize::try_from(count).map_or(true, |count| count > most) {
            return Err(LocalServerError::Full { what: "undelivered messages", limit: most });
        }
        let first_id = self.ids.next_run(count.max(1));
        let jid = |name: &str| Jid::user(self.app.key.as_str(), &name.to_lowercase());
        let texts = Texts { queue: QueueName::user(from), from: jid(from), to: jid(user), first_id, at_ms: now_ms() };
        let queue = texts.queue.clone();
        let owner = self.users.find(user)?;
        if count > 0 {
            owner.mailbox.put(&Item::Run(Run::new(texts, count)), !owner.online.is_empty(), None);
            self.notice(user, &queue);
        }
        Ok(())
    }
}
