//! The frames of a server that means well, or nearly so.

use bytes::Bytes;

use crate::wire::{
    self, CommNotice, CommSyncDl, CommUnreadDl, Content, Jid, Logout, MSync, MessageBody, Meta, MetaQueue, Provision,
    RedirectInfo, StatisticsBody, Status, content::ContentType, message_body, meta::NameSpace, msync::Command,
    status::ErrorCode,
};

fn frame(command: Command, payload: &impl prost::Message) -> Vec<u8> {
    MSync::from_server(command, payload).to_bytes().to_vec()
}

fn status(code: i32) -> Option<Status> {
    Some(Status { error_code: Some(code), ..Status::default() })
}

fn queue(name: u8) -> Option<Jid> {
    Some(Jid::user("org#app", &name.to_string()))
}

/// Any payload in a whole envelope.
pub(super) fn envelope(command: i32, payload: Vec<u8>) -> Vec<u8> {
    let payload = Some(Bytes::from(payload));
    MSync { command: Some(command), payload, ..MSync::default() }.to_bytes().to_vec()
}

/// The answer to a login; `told` is both the reason and the JSON with the token's end.
pub(super) fn provision(code: i32, told: String) -> Vec<u8> {
    let status = Some(Status { error_code: Some(code), reason: Some(told.clone()), ..Status::default() });
    frame(Command::Provision, &Provision { status, auth_token: Some(told), ..Provision::default() })
}

pub(super) fn redirect(host: String, port: u32) -> Vec<u8> {
    let redirect_info = vec![RedirectInfo { host: Some(host), port: Some(port) }];
    let status = Status { error_code: Some(ErrorCode::Redirect as i32), redirect_info, ..Status::default() };
    frame(Command::Provision, &Provision { status: Some(status), ..Provision::default() })
}

pub(super) fn unread(queues: &[u8], timestamp: u64) -> Vec<u8> {
    let unread = queues.iter().map(|name| MetaQueue { queue: queue(*name), n: Some(1) }).collect();
    frame(Command::Unread, &CommUnreadDl { status: status(0), unread, timestamp: Some(timestamp) })
}

pub(super) fn notice(name: u8) -> Vec<u8> {
    frame(Command::Notice, &CommNotice { queue: queue(name) })
}

/// A page of texts with these ids.
pub(super) fn page(name: u8, ids: &[u8], key: u8, is_last: bool) -> Vec<u8> {
    let metas = ids.iter().map(|id| text(u64::from(*id))).collect();
    let (next_key, is_last) = (Some(u64::from(key)), Some(is_last));
    sync(CommSyncDl { queue: queue(name), metas, next_key, is_last, ..CommSyncDl::default() })
}

pub(super) fn kick(operation: i32) -> Vec<u8> {
    let body = StatisticsBody { operation: Some(operation), ..StatisticsBody::default() };
    sync(CommSyncDl { queue: queue(0), metas: vec![meta(NameSpace::Statistic, 9, &body)], ..CommSyncDl::default() })
}

/// The answer to a send.
pub(super) fn answer(client_id: u64, code: i32, reason: String) -> Vec<u8> {
    let status = Some(Status { error_code: Some(code), reason: Some(reason), ..Status::default() });
    frame(Command::Sync, &CommSyncDl { status, meta_id: Some(client_id), ..CommSyncDl::default() })
}

pub(super) fn logged_out() -> Vec<u8> {
    frame(Command::Logout, &Logout { status: status(0), ..Logout::default() })
}

fn sync(payload: CommSyncDl) -> Vec<u8> {
    frame(Command::Sync, &CommSyncDl { status: status(0), ..payload })
}

fn text(id: u64) -> Meta {
    let content = Content { r#type: Some(ContentType::Text as i32), text: Some("x".to_owned()), ..Content::default() };
    let r#type = Some(message_body::Type::Chat as i32);
    meta(NameSpace::Chat, id, &MessageBody { r#type, contents: vec![content], ..MessageBody::default() })
}

fn meta(ns: NameSpace, id: u64, body: &impl prost::Message) -> Meta {
    Meta { id: Some(id), ns: Some(ns as i32), payload: Some(wire::encode(body)), ..Meta::default() }
}
