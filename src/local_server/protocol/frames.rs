//! Frames of the server, in the forms the spec calls safe.

use bytes::Bytes;

use crate::{
    local_server::data::QueueName,
    model::account::AppKey,
    util::unix_time::now_ms,
    wire::{
        CommNotice, CommSyncDl, Jid, Logout, MSync, Meta, Provision, StatisticsBody, Status, encode, meta::NameSpace,
        msync::Command, status::ErrorCode,
    },
};

/// Returns an envelope around a payload.
pub(crate) fn envelope(command: Command, payload: &impl prost::Message) -> Bytes {
    MSync::from_server(command, payload).to_bytes()
}

pub(crate) fn ok() -> Option<Status> {
    Some(Status { error_code: Some(ErrorCode::Ok as i32), ..Status::default() })
}

pub(crate) fn failed(code: ErrorCode, reason: impl Into<String>) -> Status {
    Status { error_code: Some(code as i32), reason: Some(reason.into()), redirect_info: Vec::new() }
}

/// Returns the status of a send that is refused without a code of its own.
pub(crate) fn rejected(reason: impl Into<String>) -> Status {
    failed(ErrorCode::Fail, reason)
}

/// Returns a JID of a name alone.
pub(crate) fn named(name: &str) -> Jid {
    Jid { name: Some(name.to_owned()), ..Jid::default() }
}

pub(crate) fn queue_jid(app_key: &AppKey, queue: &QueueName) -> Jid {
    Jid { domain: Some(queue.domain.clone()), ..Jid::user(app_key.as_str(), &queue.name) }
}

pub(crate) fn notice(app_key: &AppKey, queue: &QueueName) -> Bytes {
    envelope(Command::Notice, &CommNotice { queue: Some(queue_jid(app_key, queue)) })
}

pub(crate) fn logged_out() -> Bytes {
    envelope(Command::Logout, &Logout { status: ok(), ..Logout::default() })
}

/// Returns a refusal of PROVISION.
pub(crate) fn refused(status: Status, resource: Option<String>) -> Bytes {
    envelope(Command::Provision, &Provision { status: Some(status), resource, ..Provision::default() })
}

/// Returns a kick in the safe form of connection spec §9.
pub(crate) fn kick(app_key: &AppKey, id: u64, user: &str, resource: &str, body: &StatisticsBody) -> Bytes {
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
    let page = CommSyncDl {
        status: ok(),
        metas: vec![meta],
        queue: Some(own),
        is_last: Some(true),
        timestamp: Some(now_ms()),
        ..Default::default()
    };
    envelope(Command::Sync, &page)
}
