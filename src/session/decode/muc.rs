//! Groups, chat rooms and threads (messages spec §4.1).

use std::borrow::Cow;

use super::{Inbound, Receiver, event};
use crate::{
    model::{
        EventKind, EventMask,
        message::{
            Claims, Json, Parties, is_own,
            json::{self, Checked, View},
            name_of, shared,
        },
        notice::{
            DeviceEvent, DeviceOperation, MucEvent, MucOperation, MucSettings, ThreadAct, ThreadEvent, ThreadOperation,
        },
    },
    wire::{Body, Jid, Meta, MucBody, muc_body::Operation},
};

/// Reads a group meta; `None` if it has no event of its own.
pub(super) fn read(meta: &Meta, own: &Receiver<'_>, wanted: EventMask) -> Option<Inbound> {
    let Ok(Body::Muc(mut body)) = meta.body() else { return None };
    let operation = Operation::try_from(body.operation?).ok()?;
    // The meta names the group or the actor; the target is in the body alone.
    let parties = Parties::of(meta, name_of(body.from.as_ref()), None, None);
    let claims = parties.claims();
    if claims.is_some() {
        let from = parties.from.to_owned();
        // The device is part of the claim.
        body.from = Some(Jid { name: Some(from), ..Jid::default() });
    }
    if operation == Operation::ThreadKick {
        return Some(event(wanted, EventMask::THREAD, || {
            EventKind::Thread(Box::new(removal(meta, &body, claims, own)))
        }));
    }
    if let Some(operation) = on_another_device(operation, &body, own) {
        return Some(event(wanted, EventMask::DEVICE, || {
            let device = body.from.as_ref().and_then(|from| from.client_resource.as_deref()).unwrap_or_default();
            EventKind::Device(Box::new(DeviceEvent {
                id: meta.id.unwrap_or(0),
                device: device.into(),
                timestamp: meta.timestamp.unwrap_or(0),
                operation,
                claims,
            }))
        }));
    }
    let (mut body, operation) = (body, operation);
    let operation = happened(operation, &mut body)?;
    let room = body.is_chatroom.unwrap_or(false);
    Some(event(wanted, if room { EventMask::ROOM } else { EventMask::GROUP }, || {
        let told = Box::new(told(meta, *body, operation, claims, own));
        if room { EventKind::Room(told) } else { EventKind::Group(told) }
    }))
}

fn told(
    meta: &Meta,
    body: MucBody,
    operation: MucOperation,
    claims: Option<Box<Claims>>,
    own: &Receiver<'_>,
) -> MucEvent {
    let from = name_of(body.from.as_ref()).or(name_of(meta.from.as_ref())).unwrap_or_default();
    MucEvent {
        id: meta.id.unwrap_or(0),
        muc: shared(name_of(body.muc_id.as_ref()).unwrap_or_default(), own.user),
        from: shared(from, own.user),
        name: body.muc_name.filter(|name| !name.is_empty()),
        users: json::exactly(body.to.len(), body.to.into_iter().filter_map(|to: Jid| to.name)),
        reason: body.reason.filter(|reason| !reason.is_empty()),
        timestamp: meta.timestamp.unwrap_or(0),
        operation,
        claims,
    }
}

/// Returns the operation; `None` without an event, or if its subject is missing.
fn happened(operation: Operation, body: &mut MucBody) -> Option<MucOperation> {
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
        Operation::Update => {
            MucOperation::Updated(Box::new(event_info(body).map(|info| settings(info.view())).unwrap_or_default()))
        }
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
            let [set, result] = info.view().fields(["properties", "result"]);
            let keys = result.get("successKeys").items().filter(|key| key.str().is_some());
            let mut keys = json::exactly(keys.clone().count(), keys.filter_map(View::str));
            keys.sort_unstable();
            let mut attributes = set.pairs();
            attributes.retain(|(key, _)| keys.binary_search_by(|known| (**known).cmp(key)).is_ok());
            attributes.shrink_to_fit();
            if keys.is_empty() {
                return None;
            }
            MucOperation::AttributesSet { attributes }
        }
        Operation::DeleteMetadata => {
            let info = event_info(body)?;
            let keys = info.view().get("result").get("successKeys").texts();
            MucOperation::AttributesRemoved { keys: Some(keys).filter(|keys| !keys.is_empty())? }
        }
        Operation::GroupMemberMetadataUpdate => {
            let (user, attributes) = member_attributes(body)?;
            MucOperation::MemberAttributesUpdated { user, attributes }
        }
        _ => return None,
    })
}

/// Returns the account's operation on another of its devices, if it is one.
fn on_another_device(operation: Operation, body: &MucBody, own: &Receiver<'_>) -> Option<DeviceOperation> {
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

fn removal(meta: &Meta, body: &MucBody, claims: Option<Box<Claims>>, own: &Receiver<'_>) -> ThreadEvent {
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
        claims,
    }
}

/// Returns the JSON object of an operation.
fn event_info(body: &MucBody) -> Option<Checked<'_>> {
    let text = body.event_info.as_ref()?.ext.as_deref()?;
    json::open(text).filter(|info| info.view().is_object())
}

/// Returns the members who joined or left: the list if there is one, else the actor.
fn members(body: &mut MucBody) -> Vec<String> {
    let mut members = std::mem::take(&mut body.members);
    members.shrink_to_fit();
    match name_of(body.from.as_ref()) {
        Some(from) if members.is_empty() => vec![from.to_owned()],
        _ => members,
    }
}

fn count(body: &MucBody) -> Option<u32> {
    body.muc_member_count.and_then(|count| u32::try_from(count).ok()).filter(|count| *count != 0)
}

fn ext(body: &MucBody) -> Option<String> {
    body.ext.clone().filter(|ext| !ext.is_empty())
}

fn muted_until(body: &MucBody) -> Vec<(String, u64)> {
    let Some(info) = body.ext.as_deref().and_then(json::open) else { return Vec::new() };
    numbers(info.view().get("user_mute_time"))
}

/// Reads an object's numbers, by name.
fn numbers(object: View<'_>) -> Vec<(String, u64)> {
    let numbers = object.by_name(View::number);
    json::exactly(numbers.len(), numbers.into_iter().map(|(name, number)| (Cow::into_owned(name), number)))
}

fn member_attributes(body: &MucBody) -> Option<(String, Vec<(String, String)>)> {
    let info = event_info(body)?;
    let [user, attributes] = info.view().fields(["username", "properties"]);
    Some((user.text(), attributes.pairs()))
}

/// Reads the settings; empty if the service sends none, as for rooms.
fn settings(info: View<'_>) -> MucSettings {
    const TAKEN: [&str; 11] = [
        "name",
        "title",
        "description",
        "public",
        "members_only",
        "allow_user_invites",
        "invite_need_confirm",
        "max_users",
        "custom",
        "avatar",
        "last_modified",
    ];
    let fields = info.fields(TAKEN);
    let [name, title, description, public, approval, invite, consent, max_members, custom, avatar, modified_at] =
        fields;
    let text = |view: View<'_>| view.str().map(Cow::into_owned);
    let mut settings = MucSettings {
        // Older name of the same field.
        name: text(name).or_else(|| text(title)),
        description: text(description),
        public: public.bool(),
        approval: approval.bool(),
        members_invite: invite.bool(),
        invitations_need_consent: consent.bool(),
        max_members: max_members.number(),
        custom: text(custom),
        avatar: text(avatar),
        modified_at: modified_at.number(),
        other: None,
    };
    let took = [
        name.str().is_some(),
        name.str().is_none() && title.str().is_some(),
        settings.description.is_some(),
        settings.public.is_some(),
        settings.approval.is_some(),
        settings.members_invite.is_some(),
        settings.invitations_need_consent.is_some(),
        settings.max_members.is_some(),
        settings.custom.is_some(),
        settings.avatar.is_some(),
        settings.modified_at.is_some(),
    ];
    let is_other = |(name, _): &(View<'_>, View<'_>)| {
        let name = name.str().unwrap_or_default();
        !TAKEN.iter().zip(took).any(|(taken, took)| took && *taken == name)
    };
    let other = info.members().filter(is_other);
    settings.other = other.clone().next().is_some().then(|| Json::object(other));
    settings
}
