//! What is told on stdout: each event and answer as a JSON object, and as a sentence for people.

use std::{
    fmt::Display,
    time::{Duration, UNIX_EPOCH},
};

use agora_chat::{Code, Event, EventKind, SendError};
use serde_json::{Value, json};

use super::{message::message, notice, words::printable};

/// Something to tell, as a JSON object and as a sentence.
pub(crate) type Told = (Value, String);

/// What went wrong, with its number where it has one.
pub(crate) type Failure = (Option<Code>, String);

pub(crate) fn plain(error: impl Display) -> Failure {
    (None, error.to_string())
}

pub(crate) fn numbered(code: Code, error: impl Display) -> Failure {
    (Some(code), error.to_string())
}

pub(crate) fn failed((code, message): Failure) -> Told {
    let number = code.map(|code| format!(" {code}")).unwrap_or_default();
    let sentence = format!("Error{number}: {message}.");
    (json!({"event": "error", "code": code, "message": message}), sentence)
}

/// What is told, as a line for a program or for people.
pub(crate) fn line(as_json: bool, (mut object, sentence): Told) -> String {
    if !as_json {
        return printable(&sentence);
    }
    if let Value::Object(members) = &mut object {
        members.insert("at_ms".to_owned(), json!(millis(UNIX_EPOCH.elapsed().unwrap_or_default())));
    }
    object.to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// As people read it.
fn seconds(duration: Duration) -> String {
    let whole = duration.subsec_millis() == 0;
    format!("{:.*} s", if whole { 0 } else { 1 }, duration.as_secs_f64())
}

/// An event, told.
pub(crate) fn describe(event: &Event) -> Told {
    let user = event.user();
    match event.kind() {
        EventKind::Connected { resumed } => {
            let again = if *resumed { " again" } else { "" };
            (json!({"event": "connected", "resumed": resumed}), format!("{user} is online{again}."))
        }
        EventKind::Reconnecting { attempt, delay, cause } => {
            let (cause, pause) = (cause.to_string(), seconds(*delay));
            let sentence = format!("{user} is offline: {cause}. Attempt {attempt} to come back follows in {pause}.");
            let object =
                json!({"event": "reconnecting", "attempt": attempt, "delay_ms": millis(*delay), "cause": cause});
            (object, sentence)
        }
        EventKind::Disconnected { reason } => {
            let object = json!({"event": "disconnected", "code": reason.code(), "reason": reason.to_string()});
            (object, format!("{user} is logged out: {reason}."))
        }
        EventKind::TokenWillExpire { expires_in, .. } => {
            let sentence = format!("The token ends in {}; give a new one by `renew TOKEN`.", seconds(*expires_in));
            (json!({"event": "token_will_expire", "expires_in_ms": millis(*expires_in)}), sentence)
        }
        EventKind::TokenExpired => (json!({"event": "token_expired"}), "The token has expired.".into()),
        EventKind::Flapping { sessions, window, floor } => {
            let (within, pause) = (seconds(*window), seconds(*floor));
            let sentence = format!(
                "{user} was online {sessions} times within {within}, and never for long. Every pause is now at least \
                 {pause}. If another program uses this account, give each a --resource of its own."
            );
            let object = json!({
                "event": "flapping", "sessions": sessions, "window_ms": millis(*window), "floor_ms": millis(*floor),
            });
            (object, sentence)
        }
        EventKind::Message(received) => message("message", received),
        EventKind::Receipt(receipt) => notice::receipt(receipt),
        EventKind::Recalled(recall) => notice::recalled(recall),
        EventKind::Edited(edit) => notice::edited(edit),
        EventKind::Group(group) => notice::muc("group", group),
        EventKind::Room(room) => notice::muc("room", room),
        EventKind::RoomLost { room, error } => {
            let object = json!({
                "event": "room_lost", "room": &**room, "code": error.as_ref().map(SendError::code),
                "error": error.as_ref().map(ToString::to_string),
            });
            let why = error.as_ref().map_or_else(|| "too many rooms were joined".to_owned(), ToString::to_string);
            (object, format!("{user} is not in room {room} any more: {why}. Join it anew."))
        }
        EventKind::Thread(thread) => notice::thread(thread),
        EventKind::Contact(contact) => notice::contact(contact),
        EventKind::Presence(presence) => notice::presence(presence),
        EventKind::Reaction(reaction) => notice::reaction(reaction),
        EventKind::Pinned(pin) => notice::pinned(pin),
        EventKind::Device(device) => notice::device(device),
        EventKind::Unknown(unknown) => notice::unknown(unknown),
        EventKind::OfflineSyncStarted { queues, messages } => (
            json!({"event": "offline_sync_started", "queues": queues, "messages": messages}),
            format!("{messages} messages waited on the server, in {queues} queues."),
        ),
        EventKind::OfflineSyncFinished { queues, messages, complete } => {
            let object = json!({
                "event": "offline_sync_finished", "queues": queues, "messages": messages, "complete": complete,
            });
            let all = if *complete { "All" } else { "Not all" };
            (object, format!("{all} of what waited is fetched: {messages} messages of {queues} queues."))
        }
        EventKind::Missed { count } => (
            json!({"event": "missed", "count": count}),
            format!("{count} events were not told: this program was too slow."),
        ),
        other => (json!({"event": "other"}), format!("{other:?}")),
    }
}
