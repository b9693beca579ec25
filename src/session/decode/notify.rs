//! JSON notifications (messages spec §4.4).

use std::sync::Arc;

use super::{Inbound, Receiver, event};
use crate::{
    model::{
        EventKind, EventMask,
        message::{
            ChatType, Conversation, Json, Parties, is_own,
            json::{self, View},
            shared,
        },
        notice::{
            DeviceEvent, DeviceOperation, PinEvent, PresenceEvent, ReactionChange, ReactionEvent, ReactionOperation,
            SilentMode, ThreadEvent, ThreadOperation, UserPresence,
        },
    },
    wire::Meta,
};

/// Reads a notification; `None` if it has no event of its own.
pub(super) fn read(meta: &Meta, own: &Receiver<'_>, wanted: EventMask) -> Option<Inbound> {
    let kinds = EventMask::PRESENCE
        | EventMask::REACTION
        | EventMask::THREAD
        | EventMask::DEVICE
        | EventMask::PINNED
        | EventMask::UNKNOWN;
    if !wanted.intersects(kinds) {
        // Message handlers get unreadable ones.
        let unread = wanted.contains(EventMask::MESSAGE) && !json::is_json(meta.payload.as_deref()?);
        return (!unread).then_some(Inbound::Unwanted(EventMask::UNKNOWN));
    }
    let json = json::open(meta.payload.as_deref()?)?;
    let [kind, data, values] = json.view().fields(["type", "data", "values"]);
    let id = meta.id.unwrap_or(0);
    match &*kind.str()? {
        "presence" => {
            let users = Some(data.get("values")).filter(|users| users.is_list())?;
            Some(event(wanted, EventMask::PRESENCE, || {
                let users: Vec<UserPresence> = users.entries(|user| json::said(presence(user)));
                let claims = users.iter().find_map(|user| said_by(meta, &user.user).claims());
                EventKind::Presence(PresenceEvent { id, users, claims })
            }))
        }
        "reaction" => {
            let changes = Some(data).filter(|changes| changes.is_list())?;
            Some(event(wanted, EventMask::REACTION, || {
                let mut changes: Vec<ReactionChange> =
                    changes.entries(|change| Some(reaction(change)).filter(|change| !change.says_nothing()));
                let claims = changes.iter().flat_map(actors).find_map(|user| said_by(meta, user).claims());
                for change in &mut changes {
                    let from = said_by(meta, &change.from).from;
                    if from != change.from {
                        change.from = from.to_owned();
                    }
                }
                EventKind::Reaction(ReactionEvent { id, changes, claims })
            }))
        }
        "thread" => {
            let thread = thread(meta, data, own)?;
            Some(event(wanted, EventMask::THREAD, || EventKind::Thread(Box::new(thread))))
        }
        "roaming_delete" => {
            let [device, chat, to, messages, before, last] =
                data.fields(["resource", "chatType", "to", "msgIdList", "deleteTime", "lastMsgId"]);
            let device = device.text();
            if device == own.resource {
                return Some(Inbound::Echo);
            }
            let operation = DeviceOperation::HistoryDeleted {
                conversation: conversation(chat, to.text()),
                messages: ids(messages),
                before: before.number(),
                last: last.number(),
            };
            let timestamp = meta.timestamp.unwrap_or(0);
            let claims = said_by(meta, own.user.as_str()).claims();
            Some(on_device(wanted, DeviceEvent { id, device: device.into(), timestamp, operation, claims }))
        }
        "conv" => conversation_act(meta, data, own, wanted),
        "user_notification_mute" => {
            // Seen next to the type; newer clients look for it in the data too.
            let values = if values.is_some() { values } else { data.get("values") };
            let values = Some(values).filter(|values| values.is_list())?;
            let modes = values.entries(|value| Some(silent_mode(value, own)).filter(|mode| !mode.says_nothing()));
            let device = modes.first().map_or("", |mode| mode.device.as_str()).into();
            let operation = DeviceOperation::SilentModes(modes);
            let (timestamp, claims) = (meta.timestamp.unwrap_or(0), said_by(meta, own.user.as_str()).claims());
            Some(on_device(wanted, DeviceEvent { id, device, timestamp, operation, claims }))
        }
        _ => None,
    }
}

/// Returns a notification's parties: the service's, if it names a user, else the notification's.
fn said_by<'a>(meta: &'a Meta, user: &'a str) -> Parties<'a> {
    Parties::of(meta, Some(user), None, None)
}

/// Returns all claimed actors of a reaction change.
fn actors(change: &ReactionChange) -> impl Iterator<Item = &str> {
    let operators = change.reactions.iter().flat_map(|reaction| reaction.added_by.iter().chain(&reaction.removed_by));
    operators.chain([&change.from]).map(String::as_str)
}

fn on_device(wanted: EventMask, told: DeviceEvent) -> Inbound {
    event(wanted, EventMask::DEVICE, || EventKind::Device(Box::new(told)))
}

fn presence(value: View<'_>) -> UserPresence {
    let [user, last_seen, expires, text, devices] = value.fields(["uid", "last_time", "expiry", "ext", "status"]);
    UserPresence {
        user: user.text(),
        last_seen: last_seen.number().unwrap_or(0),
        expires: expires.number().unwrap_or(0),
        text: text.text(),
        devices: states(devices),
    }
}

/// Reads the state of each device; 0 if it is no number.
fn states(devices: View<'_>) -> Vec<(String, u64)> {
    let states = devices.by_name(|state| Some(state.number().unwrap_or(0)));
    json::exactly(states.len(), states.into_iter().map(|(device, state)| (device.into_owned(), state)))
}

fn reaction(value: View<'_>) -> ReactionChange {
    let [from, to, chat, message, timestamp, reactions] =
        value.fields(["from", "to", "channel_type", "messageId", "ts", "reactions"]);
    ReactionChange {
        from: from.text(),
        to: to.text(),
        chat: if chat.is("chat") { ChatType::Single } else { ChatType::Group },
        message: message.number().unwrap_or(0),
        timestamp: timestamp.number().unwrap_or(0),
        reactions: reactions.entries(|done| json::said(reaction_operation(done))),
    }
}

fn reaction_operation(value: View<'_>) -> ReactionOperation {
    let [reaction, count, users, done] = value.fields(["reaction", "count", "userList", "op"]);
    let by = |kind: &str| {
        let done = done.items().map(|op| op.fields(["reactionType", "operator"])).filter(|[done, _]| done.is(kind));
        json::exactly(done.clone().count(), done.map(|[_, operator]| operator.text()))
    };
    ReactionOperation {
        reaction: reaction.text(),
        count: count.number().unwrap_or(0),
        users: users.texts(),
        added_by: by("create"),
        removed_by: by("delete"),
    }
}

/// Reads a thread event; `None` for an unknown operation.
fn thread(meta: &Meta, data: View<'_>, own: &Receiver<'_>) -> Option<ThreadEvent> {
    let [operation, thread, name, group, message, from, timestamp, messages, last_message] = data.fields([
        "operation",
        "id",
        "name",
        "muc_parent_id",
        "msg_parent_id",
        "from",
        "timestamp",
        "message_count",
        "last_message",
    ]);
    let operation = match &*operation.str()? {
        "create" => ThreadOperation::Created,
        "update" => ThreadOperation::Updated,
        "update_msg" => ThreadOperation::MessagesChanged,
        "delete" => ThreadOperation::Destroyed,
        _ => return None,
    };
    let id_of = |member: View<'_>| shared(&member.text(), own.user);
    let from = from.text();
    let parties = said_by(meta, &from);
    Some(ThreadEvent {
        id: meta.id.unwrap_or(0),
        thread: id_of(thread),
        name: name.text(),
        group: id_of(group),
        message: message.number().unwrap_or(0),
        from: shared(parties.from, own.user),
        timestamp: timestamp.number().unwrap_or(0),
        messages: messages.number(),
        last_message: last_message.is_some().then(|| Json::seen(last_message)),
        operation,
        claims: parties.claims(),
    })
}

/// Reads an operation on a conversation, or a pinned message; `None` for an unknown one.
fn conversation_act(meta: &Meta, data: View<'_>, own: &Receiver<'_>, wanted: EventMask) -> Option<Inbound> {
    let [device, from, timestamp, act, mark, kind, of] = data.fields(["res", "from", "ts", "op", "ext", "type", "id"]);
    let (device, from) = (device.text(), from.text());
    let parties = said_by(meta, &from);
    let (id, from) = (meta.id.unwrap_or(0), parties.from);
    if device == own.resource && is_own(from, own.user) {
        return Some(Inbound::Echo);
    }
    let (timestamp, mark) = (timestamp.number().unwrap_or(0), || mark.number());
    let act = act.str()?;
    let conversation = conversation(kind, of.text());
    let operation = match &*act {
        "del" => DeviceOperation::ConversationDeleted(conversation),
        "top" => DeviceOperation::ConversationPinned(conversation),
        "not_top" => DeviceOperation::ConversationUnpinned(conversation),
        "mark" => DeviceOperation::ConversationMarked { conversation, mark: mark()? },
        "mark_delete" => DeviceOperation::ConversationUnmarked { conversation, mark: mark()? },
        "pin" | "pin_delete" => {
            let message = mark()?;
            // In a 1:1 chat each user sees the other's name.
            let conversation = match conversation {
                Conversation::User(_) if !is_own(from, own.user) => Conversation::user(from),
                other => other,
            };
            let (from, claims) = (shared(from, own.user), parties.claims());
            return Some(event(wanted, EventMask::PINNED, || {
                EventKind::Pinned(PinEvent { id, message, conversation, from, timestamp, pinned: act == "pin", claims })
            }));
        }
        _ => return None,
    };
    let claims = parties.claims().or_else(|| said_by(meta, own.user.as_str()).claims());
    Some(on_device(wanted, DeviceEvent { id, device: device.into(), timestamp, operation, claims }))
}

fn silent_mode(value: View<'_>, own: &Receiver<'_>) -> SilentMode {
    let [device, settings, user, group] = value.fields(["operator_resource", "data", "user", "group"]);
    let settings = Some(settings).filter(|settings| settings.has_members());
    // The service names the account itself for all conversations.
    let interval = settings.map_or(View::NOTHING, |settings| settings.get("ignoreInterval"));
    let all = !interval.raw().is_empty();
    let id = |id: View<'_>| Some(id.text()).filter(|id| !id.is_empty());
    let conversation = match (id(user), id(group)) {
        (Some(user), _) if all && is_own(&user, own.user) => None,
        (Some(user), _) => Some(Conversation::user(user)),
        (None, Some(group)) => Some(Conversation::group(group)),
        (None, None) => None,
    };
    SilentMode { device: device.text(), conversation, settings: settings.map(Json::seen) }
}

fn conversation(kind: View<'_>, id: String) -> Conversation {
    let id: Arc<str> = id.into();
    match kind.str().map(|kind| kind.to_ascii_lowercase()).as_deref() {
        Some("groupchat" | "group") => Conversation::Group(id),
        Some("chatroom" | "room") => Conversation::Room(id),
        _ => Conversation::User(id),
    }
}

/// Reads ids from a list or from comma-separated text.
fn ids(told: View<'_>) -> Vec<u64> {
    match told.str() {
        Some(text) => {
            let ids = text.split(',').filter_map(|id| id.trim().parse().ok());
            json::exactly(ids.clone().count(), ids)
        }
        None => {
            let ids = told.items().filter_map(View::number);
            json::exactly(ids.clone().count(), ids)
        }
    }
}
