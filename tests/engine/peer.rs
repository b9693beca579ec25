//! The frames of a scripted server.

use agora_chat::wire::{
    self, CommNotice, CommSyncDl, CommUnreadDl, Jid, Logout, MSync, MessageBody, Meta, MetaQueue, Provision,
    RedirectInfo, StatisticsBody, Status, content::ContentType, message_body, meta::NameSpace, msync::Command,
};
use bytes::Bytes;
use prost::Message;

use crate::sim::{APP, RESOURCE};

pub(crate) fn status(code: i32, reason: Option<&str>) -> Status {
    Status { error_code: Some(code), reason: reason.map(str::to_owned), ..Status::default() }
}

fn frame(command: Command, payload: &impl Message) -> Bytes {
    MSync::from_server(command, payload).to_bytes()
}

fn provision(status: Status, auth_token: Option<String>) -> Bytes {
    let resource = Some(RESOURCE.to_owned());
    frame(Command::Provision, &Provision { status: Some(status), resource, auth_token, ..Provision::default() })
}

pub(crate) fn accepted() -> Bytes {
    provision(status(0, None), None)
}

/// Accepted, with the token's end in milliseconds since 1970.
pub(crate) fn accepted_until(end: u64) -> Bytes {
    accepted_with(&format!("{{\"expires_in\":{end}}}"))
}

pub(crate) fn accepted_with(auth_token: &str) -> Bytes {
    provision(status(0, None), Some(auth_token.to_owned()))
}

/// Accepted, with a name for the device.
pub(crate) fn accepted_as(resource: Option<&str>) -> Bytes {
    let resource = resource.map(str::to_owned);
    frame(Command::Provision, &Provision { status: Some(status(0, None)), resource, ..Provision::default() })
}

pub(crate) fn refused(code: i32, reason: Option<&str>) -> Bytes {
    provision(status(code, reason), None)
}

pub(crate) fn without_status() -> Bytes {
    frame(Command::Provision, &Provision::default())
}

pub(crate) fn redirect(targets: &[(&str, u32)]) -> Bytes {
    let info = |(host, port): &(&str, u32)| RedirectInfo { host: Some((*host).to_owned()), port: Some(*port) };
    provision(Status { redirect_info: targets.iter().map(info).collect(), ..status(5, None) }, None)
}

pub(crate) fn user(name: &str) -> Jid {
    Jid::user(APP, name)
}

pub(crate) fn unread(queues: &[Jid]) -> Bytes {
    unread_dl(queues, None)
}

/// The answer to a heartbeat with the server's clock in it.
pub(crate) fn unread_at(clock: u64) -> Bytes {
    unread_dl(&[], Some(clock))
}

fn unread_dl(queues: &[Jid], timestamp: Option<u64>) -> Bytes {
    let unread = queues.iter().map(|queue| MetaQueue { queue: Some(queue.clone()), n: Some(1) }).collect();
    frame(Command::Unread, &CommUnreadDl { status: Some(status(0, None)), unread, timestamp })
}

pub(crate) fn notice(queue: &Jid) -> Bytes {
    frame(Command::Notice, &CommNotice { queue: Some(queue.clone()) })
}

/// A page of a queue with a next key.
pub(crate) fn page(queue: &Jid, metas: Vec<Meta>, next_key: u64) -> Bytes {
    sync(CommSyncDl { queue: Some(queue.clone()), metas, next_key: Some(next_key), ..CommSyncDl::default() })
}

/// The empty page that ends a queue.
pub(crate) fn last(queue: &Jid) -> Bytes {
    sync(CommSyncDl { queue: Some(queue.clone()), is_last: Some(true), ..CommSyncDl::default() })
}

/// Any downward SYNC; status OK where it gives none.
pub(crate) fn sync(payload: CommSyncDl) -> Bytes {
    let status = payload.status.clone().or_else(|| Some(status(0, None)));
    frame(Command::Sync, &CommSyncDl { status, ..payload })
}

/// A text from bob.
pub(crate) fn text(id: u64, text: &str) -> Meta {
    let named = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
    let content = wire::Content {
        r#type: Some(ContentType::Text as i32),
        text: Some(text.to_owned()),
        ..wire::Content::default()
    };
    let body = MessageBody {
        r#type: Some(message_body::Type::Chat as i32),
        from: named("bob"),
        to: named("alice"),
        contents: vec![content],
        ..MessageBody::default()
    };
    Meta {
        id: Some(id),
        from: Some(user("bob")),
        to: Some(user("alice")),
        ns: Some(NameSpace::Chat as i32),
        payload: Some(wire::encode(&body)),
        ..Meta::default()
    }
}

pub(crate) fn statistics(id: Option<u64>, operation: i32, reason: Option<&str>) -> Meta {
    let body =
        StatisticsBody { operation: Some(operation), reason: reason.map(str::to_owned), ..StatisticsBody::default() };
    let from = Some(Jid { name: None, ..user("") });
    let ns = Some(NameSpace::Statistic as i32);
    Meta { id, from, ns, payload: Some(wire::encode(&body)), ..Meta::default() }
}

/// A batch as the spec's safe form of a kick has it.
pub(crate) fn batch(metas: Vec<Meta>) -> Bytes {
    sync(CommSyncDl { queue: Some(user("alice")), metas, is_last: Some(true), ..CommSyncDl::default() })
}

pub(crate) fn kick(operation: i32) -> Bytes {
    batch(vec![statistics(Some(9), operation, None)])
}

pub(crate) fn answer(client_id: u64, code: i32, reason: Option<&str>) -> Bytes {
    sync(CommSyncDl {
        status: Some(status(code, reason)),
        meta_id: Some(client_id),
        server_id: Some(1000 + client_id),
        timestamp: Some(5),
        ..CommSyncDl::default()
    })
}

/// What stands in a text for bytes that are none, see [`spoilt`].
pub(crate) const SPOIL: &str = "%%%";

/// The frame with these bytes wherever a text has [`SPOIL`].
pub(crate) fn spoilt(frame: &[u8], bytes: [u8; 3]) -> Bytes {
    let mut spoilt = frame.to_vec();
    while let Some(at) = spoilt.windows(3).position(|three| three == SPOIL.as_bytes()) {
        spoilt[at..at + 3].copy_from_slice(&bytes);
    }
    spoilt.into()
}

pub(crate) fn logged_out() -> Bytes {
    frame(Command::Logout, &Logout { status: Some(status(0, None)), ..Logout::default() })
}
