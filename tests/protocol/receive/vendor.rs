//! Our events in the vendor's words: its names, its fields, its order.

use agora_chat::{
    Conversation, DisconnectReason, EventKind, Message, MessageBody,
    errors::Kick,
    events::{
        ContactChange, DeviceEvent, DeviceOperation, Edit, MucEvent, MucOperation, Recall, Receipt, ReceiptKind,
        ThreadAct, ThreadEvent, ThreadOperation,
    },
    messages::{Attachment, ChatType, OnlineState, Priority},
};
use serde_json::{Map, Value, json};

use crate::receive::receiver::USER;

/// The REST base of the recording, which the vendor's SDK puts in the place of every host.
const BASE: &str = "https://a1.example.com";

/// The list of `[name, fields]` that the vendor's SDK makes of the same.
pub(crate) fn shown(event: &EventKind) -> Value {
    let one = |name: &str, fields: Value| json!([[name, fields]]);
    match event {
        EventKind::Message(message) => {
            let (name, fields) = message_fields(message);
            match message.body {
                MessageBody::Command { .. } => one(name, fields),
                _ => json!([[name, fields], ["onMessage", [fields]]]),
            }
        }
        EventKind::Edited(edit) => one("onModifiedMessage", edited(edit)),
        EventKind::Receipt(receipt) => receipt_fields(receipt),
        EventKind::Recalled(recall) => one("onRecallMessage", recalled(recall)),
        EventKind::Contact(contact) => {
            let (name, kind) = match contact.change {
                ContactChange::Invited => ("onContactInvited", "subscribe"),
                ContactChange::Removed => ("onContactDeleted", "unsubscribed"),
                ContactChange::Added => ("onContactAdded", "subscribed"),
                ContactChange::Agreed => ("onContactAgreed", "subscribed"),
                ContactChange::Declined | ContactChange::Refused => ("onContactRefuse", "unsubscribed"),
                other => panic!("{other:?}"),
            };
            one(name, json!({"type": kind, "from": *contact.from, "to": *contact.to, "status": contact.reason}))
        }
        EventKind::Group(told) => each("onGroupEvent", muc(told, false)),
        EventKind::Room(told) => each("onChatroomEvent", muc(told, true)),
        EventKind::Thread(thread) => one("onChatThreadChange", thread_fields(thread)),
        EventKind::Presence(presence) => {
            // The vendor's SDK gives every user the devices of all: a bug, not the protocol (messages spec §4.4).
            let devices = presence.users.iter().flat_map(|user| &user.devices);
            let devices: Vec<_> = devices.map(|(device, state)| json!({"device": device, "status": state})).collect();
            let users = presence.users.iter().map(|user| {
                json!({
                    "userId": user.user, "lastTime": user.last_seen, "expire": user.expires, "ext": user.text,
                    "statusDetails": devices,
                })
            });
            one("onPresenceStatusChange", users.collect())
        }
        EventKind::Reaction(told) => {
            let changes = told.changes.iter().map(|change| {
                let reactions = change.reactions.iter().map(|reaction| {
                    let op = |kind| move |user| json!({"operator": user, "reactionType": kind});
                    let ops = reaction.added_by.iter().map(op("create"));
                    let ops: Vec<_> = ops.chain(reaction.removed_by.iter().map(op("delete"))).collect();
                    json!({
                        "reaction": reaction.reaction, "count": reaction.count, "userList": reaction.users, "op": ops,
                    })
                });
                json!({
                    "from": change.from, "to": change.to, "chatType": chat_type(change.chat),
                    "messageId": change.message.to_string(), "ts": change.timestamp,
                    "reactions": reactions.collect::<Vec<_>>(),
                })
            });
            each("onReactionChange", changes.collect())
        }
        EventKind::Pinned(pin) => {
            let fields = json!({
                "messageId": pin.message.to_string(), "conversationId": pin.conversation.id(),
                "conversationType": chat_type(pin.conversation.chat()),
                "operation": if pin.pinned { "pin" } else { "unpin" },
                "operatorId": *pin.from, "time": pin.timestamp,
            });
            one("onMessagePinEvent", fields)
        }
        EventKind::Device(device) => each("onMultiDeviceEvent", device_fields(device)),
        EventKind::Disconnected { reason: DisconnectReason::Kicked(kick) } => {
            let mut fields = Map::new();
            let message = match kick {
                Kick::UserRemoved => "user has been removed",
                Kick::LoggedInElsewhere { ext } => {
                    fields.insert("data".to_owned(), json!({"loginInfoCustomExt": ext}));
                    "the user is already logged on another device"
                }
                Kick::PasswordChanged => "the user was kicked by changing password",
                Kick::ByOtherDevice => "the user was kicked by other device",
                other => panic!("{other:?}"),
            };
            let code = DisconnectReason::Kicked(kick.clone()).code().unwrap().number();
            fields.insert("type".to_owned(), json!(code));
            fields.insert("message".to_owned(), json!(message));
            one("onError", fields.into())
        }
        other => panic!("no event of the vendor's: {other:?}"),
    }
}

/// A number is a number, whether or not it was written with a fraction.
pub(crate) fn normal(json: Value) -> Value {
    match json {
        Value::Number(number) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 2e15 => json!(whole as i64),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(normal).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, normal(value))).collect(),
        other => other,
    }
}

fn each(name: &str, fields: Vec<Value>) -> Value {
    fields.into_iter().map(|fields| json!([name, fields])).collect()
}

/// The fields of both; those of the second win.
fn with(fields: Value, more: Value) -> Value {
    let (Value::Object(mut fields), Value::Object(more)) = (fields, more) else { panic!("no objects") };
    fields.extend(more);
    fields.into()
}

fn chat_type(chat: ChatType) -> &'static str {
    match chat {
        ChatType::Single => "singleChat",
        ChatType::Group => "groupChat",
        ChatType::Room => "chatRoom",
        other => panic!("{other:?}"),
    }
}

fn message_fields(message: &Message) -> (&'static str, Value) {
    let extras = message.extras();
    let to_self = message.chat == ChatType::Single && *message.from == *USER && *message.to == *USER;
    let party = |name: &str, device: Option<&str>| match device {
        Some(device) if to_self => format!("{name}/{device}"),
        _ => name.to_owned(),
    };
    let online = match (message.chat, extras.online) {
        (ChatType::Room, _) | (_, Some(OnlineState::Online)) => 1,
        (_, None) => 3,
        (_, Some(OnlineState::Offline)) => 0,
        (_, Some(_)) => 2,
    };
    let mut fields = json!({
        "id": message.id.to_string(), "chatType": chat_type(message.chat), "time": message.timestamp,
        "from": party(&message.from, extras.from_device.as_deref()),
        "to": party(&message.to, extras.to_device.as_deref()),
        "ext": message.ext.to_json(), "onlineState": online,
    });
    let mut add = |name: &str, value: Value| drop(fields.as_object_mut().unwrap().insert(name.to_owned(), value));
    if let Some(allow) = extras.wants_group_receipts {
        add("msgConfig", json!({"allowGroupAck": allow}));
    }
    if let Some(thread) = &extras.thread {
        let id = thread.message_id.to_string();
        add("chatThread", json!({"messageId": id, "parentId": thread.group, "chatThreadName": thread.name}));
    }
    if !extras.reactions.is_empty() {
        let reactions = extras.reactions.iter().map(|reaction| {
            json!({
                "reaction": reaction.reaction, "count": reaction.count, "userList": reaction.users,
                "isAddedBySelf": reaction.own,
            })
        });
        add("reactions", reactions.collect());
    }
    if !extras.translations.is_empty() {
        let all = extras.translations.iter().map(|one| json!({"code": one.language, "text": one.text}));
        add("translations", all.collect());
    }
    if let Some(edit) = &extras.edit {
        let (time, by, count) = (edit.time, &edit.operator, edit.count);
        add("modifiedInfo", json!({"operationTime": time, "operatorId": by, "operationCount": count}));
    }
    if let Some(read) = extras.read {
        add("isRead", json!(read));
    }
    if let Some(delivered) = extras.delivered {
        add("isDelivered", json!(delivered));
    }
    if let Some(priority) = extras.priority {
        let priority = match priority {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
            other => panic!("{other:?}"),
        };
        add("priority", json!(priority));
    }
    if extras.broadcast {
        add("broadcast", json!(true));
    }
    let (name, body) = body_fields(&message.body);
    (name, with(fields, body))
}

fn body_fields(body: &MessageBody) -> (&'static str, Value) {
    // What the vendor's SDK adds to what it can play or save.
    let playable = |fields| with(fields, json!({"file": {}, "filetype": "", "accessToken": "tok"}));
    match body {
        MessageBody::Text(text) => ("onTextMessage", json!({"type": "txt", "msg": text})),
        MessageBody::Command { action } => ("onCmdMessage", json!({"type": "cmd", "action": action})),
        MessageBody::Custom(custom) => {
            let (values, params) = (custom.values.to_json(), custom.params.to_json());
            let fields = json!({"type": "custom", "customEvent": custom.event, "customExts": values, "params": params});
            ("onCustomMessage", fields)
        }
        MessageBody::Location(place) => {
            let (lat, lng) = (place.latitude, place.longitude);
            let fields =
                json!({"type": "loc", "lat": lat, "lng": lng, "addr": place.address, "buildingName": place.building});
            ("onLocationMessage", fields)
        }
        MessageBody::Image(image) => {
            let fields = with(
                file(&image.file),
                json!({
                    "type": "img", "width": image.width, "height": image.height,
                    "thumb": format!("{}&thumbnail=true", address(&image.file)), "thumb_secret": secret(&image.file),
                }),
            );
            ("onImageMessage", fields)
        }
        MessageBody::Voice(voice) => {
            let fields = json!({"type": "audio", "length": voice.seconds, "filename": voice.file.name});
            ("onAudioMessage", playable(with(file(&voice.file), fields)))
        }
        MessageBody::Video(video) => {
            let thumbnail = video.thumbnail.as_ref().unwrap();
            let fields = json!({
                "type": "video", "length": video.seconds, "filename": video.file.name,
                "thumb": rehosted(&thumbnail.url), "thumb_secret": secret(thumbnail),
            });
            ("onVideoMessage", playable(with(file(&video.file), fields)))
        }
        MessageBody::File(attached) => {
            let fields = json!({"type": "file", "filename": attached.name, "length": 0});
            ("onFileMessage", playable(with(file(attached), fields)))
        }
        MessageBody::Combined(combined) => {
            let fields = json!({
                "type": "combine", "compatibleText": combined.compatible_text, "title": combined.title,
                "summary": combined.summary, "combineLevel": combined.level, "filename": combined.file.name,
            });
            ("onCombineMessage", with(file(&combined.file), fields))
        }
        other => panic!("{other:?}"),
    }
}

fn file(file: &Attachment) -> Value {
    json!({"url": address(file), "secret": secret(file), "file_length": file.length})
}

fn secret(file: &Attachment) -> &str {
    file.secret.as_ref().unwrap().expose()
}

/// The vendor's address of a file: its own host, and what opens the file in the query (messages spec §2.6).
fn address(file: &Attachment) -> String {
    let url = rehosted(&file.url);
    let redirect = if url.contains("?em-redirect") { "" } else { "?em-redirect=true" };
    format!("{url}{redirect}&share-secret={}", secret(file))
}

fn rehosted(url: &str) -> String {
    let path = url.strip_prefix("https://other.host").unwrap();
    assert!(!url.contains("share-secret"), "a secret stays in {url}");
    format!("{BASE}{path}")
}

fn edited(edit: &Edit) -> Value {
    assert!(edit.id != 0 && edit.id != edit.message.id && edit.info().is_some());
    message_fields(&edit.message).1
}

fn receipt_fields(receipt: &Receipt) -> Value {
    // None of the recorded ones says whether this account was online, which is 3.
    let fields = json!({
        "id": receipt.id.to_string(), "from": *receipt.from, "to": *receipt.to, "onlineState": 3,
    });
    let message = || receipt.messages[0].to_string();
    let (name, more) = match &receipt.kind {
        ReceiptKind::Delivered => ("onDeliveredMessage", json!({"type": "delivery", "mid": message()})),
        ReceiptKind::Read => ("onReadMessage", json!({"type": "read", "mid": message()})),
        ReceiptKind::GroupRead { counts, content } => {
            let counts: Map<_, _> = counts.iter().map(|(id, count)| (id.to_string(), json!(count))).collect();
            let more = json!({"type": "read", "mid": message(), "groupReadCount": counts, "ackContent": content});
            ("onReadMessage", more)
        }
        ReceiptKind::Conversation => {
            assert!(receipt.messages.is_empty());
            let more = json!({"type": "channel", "chatType": "singleChat", "time": receipt.timestamp});
            ("onChannelMessage", more)
        }
        other => panic!("{other:?}"),
    };
    json!([[name, with(fields, more)]])
}

fn recalled(recall: &Recall) -> Value {
    json!({
        "id": recall.id.to_string(), "mid": recall.message.to_string(), "from": recall.from.as_deref().unwrap_or("admin"),
        "to": *recall.to, "ext": recall.ext.as_deref().unwrap_or_default(), "onlineState": 3,
    })
}

fn muc(told: &MucEvent, room: bool) -> Vec<Value> {
    let user = || told.user().unwrap();
    let plain = |operation: &str| json!({ "operation": operation });
    let of_user = |operation: &str| json!({"operation": operation, "userId": user()});
    let fields = match &told.operation {
        MucOperation::Created => plain("create"),
        MucOperation::Destroyed => plain("destroy"),
        MucOperation::JoinRequested => json!({"operation": "requestToJoin", "reason": told.reason}),
        MucOperation::JoinRequestAccepted => plain("acceptRequest"),
        MucOperation::JoinRequestDeclined => of_user("joinPublicGroupDeclined"),
        MucOperation::Invited => json!({"operation": "inviteToJoin", "name": told.name}),
        MucOperation::InvitationAccepted => plain("acceptInvite"),
        MucOperation::InvitationDeclined => plain("rejectInvite"),
        MucOperation::MemberRemoved => plain("removeMember"),
        MucOperation::MemberUnblocked => json!({"operation": "unblockMember", "reason": told.reason}),
        MucOperation::Updated(settings) => {
            let mut detail = Map::new();
            let mut add = |name: &str, value: Option<Value>| {
                value.map(|value| detail.insert(name.to_owned(), value));
            };
            add("name", settings.name.as_ref().map(|v| json!(v)));
            add("description", settings.description.as_ref().map(|v| json!(v)));
            add("public", settings.public.map(|v| json!(v)));
            add("approval", settings.approval.map(|v| json!(v)));
            add("allowInvites", settings.members_invite.map(|v| json!(v)));
            add("maxUsers", settings.max_members.map(|v| json!(v)));
            add("inviteNeedConfirm", settings.invitations_need_consent.map(|v| json!(v)));
            add("ext", settings.custom.as_ref().map(|v| json!(v)));
            add("avatar", settings.avatar.as_ref().map(|v| json!(v)));
            add("lastModified", settings.modified_at.map(|v| json!(v)));
            assert_eq!(
                settings.other.as_ref().unwrap().parse().unwrap(),
                json!({"foo": 1}),
                "what the vendor's SDK drops is kept"
            );
            json!({"operation": "updateInfo", "detail": detail})
        }
        MucOperation::MembersJoined { members, count, ext } => {
            return came_or_left(told, room, ["memberPresence", "membersPresence"], members, *count, ext.as_deref());
        }
        MucOperation::MembersLeft { members, count, ext } => {
            return came_or_left(told, room, ["memberAbsence", "membersAbsence"], members, *count, ext.as_deref());
        }
        MucOperation::DirectlyJoined => json!({"operation": "directJoined", "name": told.name}),
        MucOperation::OwnerChanged => plain("changeOwner"),
        MucOperation::AdminAdded => of_user("setAdmin"),
        MucOperation::AdminRemoved => plain("removeAdmin"),
        MucOperation::MemberMuted { until } => {
            let until: Map<_, _> = until.iter().map(|(user, until)| (user.clone(), json!(until))).collect();
            json!({"operation": "muteMember", "userId": user(), "muteTimestamp": until})
        }
        MucOperation::MemberUnmuted => of_user("unmuteMember"),
        MucOperation::AnnouncementUpdated => json!({"operation": "updateAnnouncement", "announcement": told.reason}),
        MucOperation::AnnouncementDeleted => plain("deleteAnnouncement"),
        MucOperation::FileUploaded => plain("uploadFile"),
        MucOperation::FileDeleted => plain("deleteFile"),
        MucOperation::AllowlistAdded => of_user("addUserToAllowlist"),
        MucOperation::AllowlistRemoved => of_user("removeAllowlistMember"),
        MucOperation::AllMuted => plain("muteAllMembers"),
        MucOperation::AllUnmuted => plain("unmuteAllMembers"),
        MucOperation::AttributesSet { attributes } => {
            json!({"operation": "updateChatRoomAttributes", "attributes": object(attributes)})
        }
        MucOperation::AttributesRemoved { keys } => {
            json!({"operation": "removeChatRoomAttributes", "attributes": keys})
        }
        MucOperation::MemberAttributesUpdated { user, attributes } => {
            json!({"operation": "memberAttributesUpdate", "userId": user, "attributes": object(attributes)})
        }
        other => panic!("{other:?}"),
    };
    vec![with(json!({"id": *told.muc, "from": *told.from}), fields)]
}

/// One event for all members of a group, one for each of a room.
fn came_or_left(
    told: &MucEvent,
    room: bool,
    [one, many]: [&str; 2],
    members: &[String],
    count: Option<u32>,
    ext: Option<&str>,
) -> Vec<Value> {
    let event = |operation: &str| {
        let mut fields = json!({"operation": operation, "id": *told.muc});
        if let Some(count) = count {
            fields["memberCount"] = json!(count);
        }
        if let Some(ext) = ext.filter(|_| room) {
            fields["ext"] = json!(ext);
        }
        fields
    };
    if room || members == [&*told.from] {
        return members.iter().map(|member| with(event(one), json!({"from": member}))).collect();
    }
    vec![with(event(many), json!({"members": members}))]
}

fn object(attributes: &[(String, String)]) -> Value {
    attributes.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into()
}

fn thread_fields(thread: &ThreadEvent) -> Value {
    let fields = json!({
        "id": *thread.thread, "name": thread.name, "parentId": *thread.group, "operator": *thread.from,
    });
    if let ThreadOperation::UserRemoved { user } = &thread.operation {
        return with(fields, json!({"operation": "userRemove", "userName": **user}));
    }
    let fields = with(fields, json!({"messageId": thread.message.to_string(), "timestamp": thread.timestamp}));
    let more = match &thread.operation {
        // The vendor's SDK does not look at the number of messages of a new thread.
        ThreadOperation::Created => {
            json!({"operation": "create", "createTimestamp": thread.timestamp, "messageCount": 0})
        }
        ThreadOperation::Updated => json!({"operation": "update", "messageCount": thread.messages}),
        ThreadOperation::MessagesChanged => {
            let last = last_message(&thread.last_message.as_ref().unwrap().parse().unwrap());
            json!({"operation": "update", "messageCount": thread.messages, "lastMessage": last})
        }
        ThreadOperation::Destroyed => json!({"operation": "destroy"}),
        other => panic!("{other:?}"),
    };
    with(fields, more)
}

/// A text in the service's REST form.
fn last_message(rest: &Value) -> Value {
    let (payload, body) = (&rest["payload"], &rest["payload"]["bodies"][0]);
    json!({
        "id": rest["id"], "type": body["type"], "chatType": payload["type"], "msg": body["msg"], "to": payload["to"],
        "from": payload["from"], "time": rest["timestamp"], "ext": payload["ext"],
    })
}

fn device_fields(device: &DeviceEvent) -> Vec<Value> {
    let on = |operation: &str, conversation: &Conversation| {
        json!({
            "operation": operation, "conversationId": conversation.id(),
            "conversationType": chat_type(conversation.chat()), "timestamp": device.timestamp,
        })
    };
    let marked = |operation: &str, conversation: &Conversation, mark: u64| {
        with(on(operation, conversation), json!({"conversationMark": format!("mark_{mark}")}))
    };
    let fields = match &device.operation {
        DeviceOperation::Thread { thread, name, group, act } => {
            let operation = match act {
                ThreadAct::Created => "chatThreadCreate",
                ThreadAct::Destroyed => "chatThreadDestroy",
                ThreadAct::Joined => "chatThreadJoin",
                ThreadAct::Left => "chatThreadLeave",
                ThreadAct::Renamed => "chatThreadNameUpdate",
                other => panic!("{other:?}"),
            };
            json!({"operation": operation, "chatThreadId": **thread, "chatThreadName": name, "parentId": **group})
        }
        DeviceOperation::HistoryDeleted { conversation, .. } => json!({
            "operation": "deleteRoaming", "conversationId": conversation.id(),
            "chatType": chat_type(conversation.chat()), "resource": *device.device,
        }),
        DeviceOperation::ConversationDeleted(conversation) => on("deleteConversation", conversation),
        DeviceOperation::ConversationPinned(conversation) => on("pinnedConversation", conversation),
        DeviceOperation::ConversationUnpinned(conversation) => on("unpinnedConversation", conversation),
        DeviceOperation::ConversationMarked { conversation, mark } => marked("markConversation", conversation, *mark),
        DeviceOperation::ConversationUnmarked { conversation, mark } => {
            marked("unMarkConversation", conversation, *mark)
        }
        DeviceOperation::SilentModes(modes) => {
            let modes = modes.iter().map(|mode| {
                let data = mode.settings.as_ref().map_or(json!({}), |settings| settings.parse().unwrap());
                let Some(conversation) = &mode.conversation else {
                    return json!({"operation": "setSilentModeForUser", "resource": mode.device, "data": data});
                };
                let operation = match mode.settings {
                    Some(_) => "setSilentModeForConversation",
                    None => "removeSilentModeForConversation",
                };
                json!({
                    "operation": operation, "resource": mode.device, "conversationId": conversation.id(),
                    "type": chat_type(conversation.chat()), "data": data,
                })
            });
            return modes.collect();
        }
        other => panic!("{other:?}"),
    };
    vec![fields]
}
