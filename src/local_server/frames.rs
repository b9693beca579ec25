//! The frames a server sends, in the forms the spec calls safe.

use bytes::Bytes;

use super::{queues::QueueName, state::now_ms};
use crate::{
    model::account::AppKey,
    wire::{
        CommNotice, CommSyncDl, Jid, Logout, MSync, Meta, Provision, StatisticsBody, Status, encode, meta::NameSpace,
        msync::Command, status::ErrorCode,
    },
};

/// An envelope around a payload.
pub(super) fn envelope(command: Command, payload: &impl prost::Message) -> Bytes {
    MSync::from_server(command, payload).to_bytes()
}

pub(super) fn ok() -> Option<Status> {
    Some(Status { error_code: Some(ErrorCode::Ok as i32), ..Status::default() })
}

pub(super) fn failed(code: ErrorCode, reason: impl Into<String>) -> Status {
    Status { error_code: Some(code as i32), reason: Some(reason.into()), redirect_info: Vec::new() }
}

pub(super) fn queue_jid(app_key: &AppKey, queue: &QueueName) -> Jid {
    Jid { domain: Some(queue.domain.clone()), ..Jid::user(app_key.as_str(), &queue.name) }
}

pub(super) fn notice(app_key: &AppKey, queue: &QueueName) -> Bytes {
    envelope(Command::Notice, &CommNotice { queue: Some(queue_jid(app_key, queue)) })
}

pub(super) fn logged_out() -> Bytes {
    envelope(Command::Logout, &Logout { status: ok(), ..Logout::default() })
}

pub(super) fn refused(status: Status, resource: Option<String>) -> Bytes {
    envelope(Command::Provision, &Provision { status: Some(status), resource, ..Provision::default() })
}

/// A kick in the safe form of connection spec §9.
pub(super) fn kick(app_key: &AppKey, id: u64, user: &str, resource: &str, body: &StatisticsBody) -> Bytes {
    let own = Jid::user(app_key.as_str(), user);
    let meta = Meta {
        id: Some(id),
        from: Some(Jid { name: None, ..Jid::user(app_key.as_str(), "") }),
        to: Some(own.clone().with_resource(resource)),
        timestamp: Some(now_ms()),
        ns: Some(NameSpace::Statistic as i32),
        payload: Some(encode(body)),
        ..Meta::default()
    };
    let batch = CommSyncDl {
        status: ok(),
        metas: vec![meta],
        queue: Some(own),
        is_last: Some(true),
        timestamp: Some(now_ms()),
        ..Default::default()
    };
    envelope(Command::Sync, &batch)
}
