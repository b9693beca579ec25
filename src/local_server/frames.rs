//! The frames a server sends, in the forms the spec calls safe.

use bytes::Bytes;
use prost::Message as _;

use super::{queues::QueueName, state::now_ms};
use crate::{
    AppKey,
    wire::{
        CommNotice, Jid, Logout, MSync, Meta, Provision, StatisticsBody, Status, USER_DOMAIN, meta::NameSpace,
        msync::Command, status::ErrorCode,
    },
};

/// An envelope around a payload.
pub(super) fn envelope(command: Command, payload: &impl prost::Message) -> Bytes {
    let frame = MSync {
        version: Some(0),
        command: Some(command as i32),
        payload: Some(payload.encode_to_vec().into()),
        ..MSync::default()
    };
    frame.encode_to_vec().into()
}

pub(super) fn ok() -> Option<Status> {
    Some(Status { error_code: Some(ErrorCode::Ok as i32), ..Status::default() })
}

pub(super) fn failed(code: ErrorCode, reason: impl Into<String>) -> Status {
    Status { error_code: Some(code as i32), reason: Some(reason.into()), redirect_info: Vec::new() }
}

pub(super) fn user_jid(app_key: &AppKey, name: &str, resource: Option<&str>) -> Jid {
    Jid {
        app_key: Some(app_key.as_str().to_owned()),
        name: Some(name.to_owned()),
        domain: Some(USER_DOMAIN.to_owned()),
        client_resource: resource.map(str::to_owned),
    }
}

pub(super) fn queue_jid(app_key: &AppKey, queue: &QueueName) -> Jid {
    Jid { domain: Some(queue.domain.clone()), ..user_jid(app_key, &queue.name, None) }
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
    let meta = Meta {
        id: Some(id),
        from: Some(Jid { name: None, ..user_jid(app_key, "", None) }),
        to: Some(user_jid(app_key, user, Some(resource))),
        timestamp: Some(now_ms()),
        ns: Some(NameSpace::Statistic as i32),
        payload: Some(body.encode_to_vec().into()),
        ..Meta::default()
    };
    let batch = crate::wire::CommSyncDl {
        status: ok(),
        metas: vec![meta],
        queue: Some(user_jid(app_key, user, None)),
        is_last: Some(true),
        timestamp: Some(now_ms()),
        ..Default::default()
    };
    envelope(Command::Sync, &batch)
}
