//! Groups, chat rooms and threads (messages spec §4.1).

use std::collections::HashSet;

use serde_json::Value;

use super::{Inbound, Own, event};
use crate::{
    DeviceEvent, DeviceOperation, EventKind, EventMask, MucEvent, MucOperation, MucSettings, ThreadAct, ThreadEvent,
    ThreadOperation,
    message::{is_own, json, name_of, shared},
    wire::{Body, Jid, Meta, MucBody, muc_body::Operation},
};

/// `None` for what has no event of its own.
pub(super) fn read(meta: &Meta, own: &Own<'_>, wanted: EventMask) -> Option<Inbound> {
    let Ok(Body::Muc(body)) = meta.body() else { return None };
    let operation = Operation::try_from(body.operation?).ok()?;
    if operation == Operation::ThreadKick {
        return Some(event(wanted, EventMask::THREAD, || EventKind::Thread(Box::new(removal(meta, &body, own)))));
    }
    if let Some(operation) = on_another_device(operation, &body, own) {
        return Some(event(wanted, EventMask::DEVICE, || {
            let device = body.from.as_ref().and_then(|from| from.client_resource.as_deref()).unwrap_or_default();
            EventKind::Device(Box::new(DeviceEvent {
                id: meta.id.unwrap_or(0),
                device: device.into(),
                timestamp: meta.timestamp.unwrap_or(0),
                operation,
            }))
        }));
    }
    let operation = happened(operation, &body)?;
    let room = body.is_chatroom.unwrap_or(false);
    Some(event(wanted, if room { EventMask::ROOM } else { EventMask::GROUP }, || {
        let told = Box::new(told(meta, *body, operation, own));
        if room { EventKind::Room(told) } else { EventKind::Group(told) }
    }))
}

fn told(meta: &Meta, body: MucBody, operation: MucOperation, own: &Own<'_>) -> MucEvent {
    let from = name_of(body.from.as_ref()).or(name_of(meta.from.as_ref())).unwrap_or_default();
    MucEvent {
        id: meta.id.unwrap_or(0),
        muc: shared(name_of(body.muc_id.as_ref()).unwrap_or_default(), own.user),
        from: shared(from, own.user),
        name: body.muc_name.filter(|name| !name.is_empty()),
        users: body.to.into_iter().filter_map(|to: Jid| to.name).collect(),
        reason: body.reason.filter(|reason| !reason.is_empty()),
        timestamp: meta.timestamp.unwrap_or(0),
        operation,
    }
}

/// What happened to the group or room; `None` for what has no event, or lacks what it is about.
fn happened(operation: Operation, body: &MucBody) -> Option<MucOperation> {
    Some(match operation {
        Operation::Create => MucOperation::Created,
        Operation::Destroy => MucOperation::Destroyed,
        Operation::Apply => MucOperation::JoinRequested,
        Operation::ApplyAccept => MucOperation::JoinRequestAccepted,
        Operation::ApplyDecline => MucOperation::JoinRequestDeclined,
        Operation::Invite => MucOperation::Invited,
        Operation::InviteAccept => MucOperation::InvitationAccepted,
        Operation::InviteDecline => MucOperation::InvitationDeclined,
        Operation::Kick => MucOperation::MemberRemoved,
        Operation::Allow => MucOperation::MemberUnblocked,
        Operation::Update => MucOperation::Updated(Box::new(settings(event_info(body)))),
        Operation::Presence => {
            MucOperation::MembersJoined { members: members(body), count: count(body), ext: ext(body) }
        }
        Operation::Absence => MucOperation::MembersLeft { members: members(body), count: count(body), ext: ext(body) },
        Operation::DirectJoined => MucOperation::DirectlyJoined,
        Operation::AssignOwner => MucOperation::OwnerChanged,
        Operation::AddAdmin => MucOperation::AdminAdded,
        Operation::RemoveAdmin => MucOperation::AdminRemoved,
        Operation::AddMute => MucOperation::MemberMuted { until: muted_until(body) },
        Operation::RemoveMute => MucOperation::MemberUnmuted,
        Operation::UpdateAnnouncement => MucOperation::AnnouncementUpdated,
        Operation::DeleteAnnouncement => MucOperation::AnnouncementDeleted,
        Operation::UploadFile => MucOperation::FileUploaded,
        Operation::DeleteFile => MucOperation::FileDeleted,
        Operation::AddUserWhiteList => MucOperation::AllowlistAdded,
        Operation::RemoveUserWhiteList => MucOperation::AllowlistRemoved,
        Operation::BanGroup => MucOperation::AllMuted,
        Operation::RemoveBanGroup => MucOperation::AllUnmuted,
        Operation::SetMetadata => {
            let info = event_info(body)?;
            let (set, keys) = (json::pairs(&info, "properties"), success_keys(&info)?);
            let keys: HashSet<String> = keys.into_iter().collect();
            MucOperation::AttributesSet { attributes: set.into_iter().filter(|(key, _)| keys.contains(key)).collect() }
        }
        Operation::DeleteMetadata => MucOperation::AttributesRemoved { keys: success_keys(&event_info(body)?)? },
        Operation::GroupMemberMetadataUpdate => {
            let (user, attributes) = member_attributes(body)?;
            MucOperation::MemberAttributesUpdated { user, attributes }
        }
        _ => return None,
    })
}

/// What the account did on another of its devices, if this is word of such.
fn on_another_device(operation: Operation, body: &MucBody, own: &Own<'_>) -> Option<DeviceOperation> {
    let muc = || shared(name_of(body.muc_id.as_ref()).unwrap_or_default(), own.user);
    let act = match operation {
        Operation::ThreadCreate => ThreadAct::Created,
        Operation::ThreadDestroy => ThreadAct::Destroyed,
        Operation::ThreadJoin => ThreadAct::Joined,
        Operation::ThreadLeave => ThreadAct::Left,
        Operation::ThreadUpdate => ThreadAct::Renamed,
        Operation::GroupMemberMetadataUpdate => {
            let from = body.from.as_ref()?;
            let other = from.client_resource.as_deref().is_some_and(|resource| resource != own.resource);
            if !other || !is_own(from.name.as_deref()?, own.user) {
                return None;
            }
            let (user, attributes) = member_attributes(body)?;
            return Some(DeviceOperation::MemberAttributesUpdated { group: muc(), user, attributes });
        }
        _ => return None,
    };
    let group = shared(name_of(body.muc_parent_id.as_ref()).unwrap_or_default(), own.user);
    Some(DeviceOperation::Thread { thread: muc(), name: body.muc_name.clone().unwrap_or_default(), group, act })
}

fn removal(meta: &Meta, body: &MucBody, own: &Own<'_>) -> ThreadEvent {
    let name = |jid: Option<&Jid>| shared(name_of(jid).unwrap_or_default(), own.user);
    ThreadEvent {
        id: meta.id.unwrap_or(0),
        thread: name(body.muc_id.as_ref()),
        name: body.muc_name.clone().unwrap_or_default(),
        group: name(body.muc_parent_id.as_ref()),
        message: 0,
        from: name(body.from.as_ref().or(meta.from.as_ref())),
        timestamp: meta.timestamp.unwrap_or(0),
        messages: None,
        last_message: None,
        operation: ThreadOperation::UserRemoved { user: name(body.to.first()) },
    }
}

/// The JSON object that comes with an operation.
fn event_info(body: &MucBody) -> Option<Value> {
    let text = body.event_info.as_ref()?.ext.as_deref()?;
    json::parse(text).filter(Value::is_object)
}

/// Those who came or left: the list where there is one, else who did it.
fn members(body: &MucBody) -> Vec<String> {
    match (body.members.as_slice(), name_of(body.from.as_ref())) {
        ([], Some(from)) => vec![from.to_owned()],
        (members, _) => members.to_vec(),
    }
}

fn count(body: &MucBody) -> Option<u32> {
    body.muc_member_count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count != 0)
}

fn ext(body: &MucBody) -> Option<String> {
    body.ext.clone().filter(|ext| !ext.is_empty())
}

fn muted_until(body: &MucBody) -> Vec<(String, u64)> {
    let info: Option<Value> = body.ext.as_deref().and_then(json::parse);
    let times = info.as_ref().and_then(|info| info.get("user_mute_time")).and_then(Value::as_object);
    let times = times.into_iter().flatten();
    times.filter_map(|(user, until)| Some((user.clone(), json::as_number(until)?))).collect()
}

/// The attributes an operation was done to; `None` where there are none.
fn success_keys(info: &Value) -> Option<Vec<String>> {
    Some(json::texts(info.get("result")?, "successKeys")).filter(|keys| !keys.is_empty())
}

fn member_attributes(body: &MucBody) -> Option<(String, Vec<(String, String)>)> {
    let info = event_info(body)?;
    Some((json::text(&info, "username"), json::pairs(&info, "properties")))
}

/// What is told of the settings; nothing where the service does not say, as for rooms.
fn settings(info: Option<Value>) -> MucSettings {
    let Some(Value::Object(members)) = info else { return MucSettings::default() };
    let mut settings = MucSettings::default();
    for (key, value) in members {
        let text = || value.as_str().map(str::to_owned);
        let took = match key.as_str() {
            "name" => put(&mut settings.name, text()),
            // An older name of the same.
            "title" if settings.name.is_none() => put(&mut settings.name, text()),
            "description" => put(&mut settings.description, text()),
            "public" => put(&mut settings.public, json::as_bool(&value)),
            "members_only" => put(&mut settings.approval, json::as_bool(&value)),
            "allow_user_invites" => put(&mut settings.members_invite, json::as_bool(&value)),
            "invite_need_confirm" => put(&mut settings.invitations_need_consent, json::as_bool(&value)),
            "max_users" => put(&mut settings.max_members, json::as_number(&value)),
            "custom" => put(&mut settings.custom, text()),
            "avatar" => put(&mut settings.avatar, text()),
            "last_modified" => put(&mut settings.modified_at, json::as_number(&value)),
            _ => false,
        };
        if !took {
            settings.other.insert(key, value);
        }
    }
    settings
}

/// Whether there was something to put.
fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let some = value.is_some();
    if some {
        *place = value;
    }
    some
}
