//! What is no message: receipts, groups, contacts, notifications.

use agora_chat::{
    Conversation, DisconnectReason, EventKind, EventMask,
    errors::Kick,
    events::{DeviceOperation, MucOperation, Receipt, ReceiptKind},
    wire::{
        self, Jid, KeyValue, MessageBody, Meta, MucBody, RosterBody, StatisticsBody,
        key_value::Value,
        message_body::MessageConfig,
        muc_body::{EventInfo, Operation},
    },
};
use prost::Message;
use serde_json::json;

use crate::receive::receiver::{APP, RESOURCE, Receiver, chat, event, named, notify};

fn receipt(body: MessageBody) -> Receipt {
    match event(chat(1, "bob", "alice", body)) {
        EventKind::Receipt(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

fn ack(kind: i32) -> MessageBody {
    MessageBody { r#type: Some(kind), ..MessageBody::default() }
}

#[test]
fn a_receipt_names_the_messages_of_both_fields_each_once() {
    for (one, many, expected) in [
        (Some(5), vec![], vec![5]),
        (None, vec![6, 7], vec![6, 7]),
        (Some(5), vec![5, 6], vec![5, 6]),
        (Some(0), vec![0, 6], vec![6]),
        (None, vec![], vec![]),
    ] {
        for (kind, says) in [(5, ReceiptKind::Delivered), (4, ReceiptKind::Read), (7, ReceiptKind::Conversation)] {
            let body = MessageBody { ack_message_id: one, ack_message_ids: many.clone(), ..ack(kind) };
            let receipt = receipt(body);
            assert_eq!((receipt.messages, receipt.kind, receipt.own), (expected.clone(), says, false));
        }
    }
}

#[test]
fn ids_of_receipts_are_read_packed_too() {
    let mut payload = ack(4).encode_to_vec();
    payload.extend([0x8a, 0x01, 2, 6, 7]);
    let meta = Meta { payload: Some(payload.into()), ..chat(1, "bob", "alice", ack(4)) };
    let EventKind::Receipt(receipt) = event(meta) else { panic!() };
    assert_eq!(receipt.messages, [6, 7]);
    assert_eq!(&*receipt.from, "bob", "named by the meta where the body does not");
}

#[test]
fn readers_in_a_group_are_counted_where_the_first_attribute_does_so() {
    let counted = |text: &str| {
        let value = Some(Value::String(text.to_owned()));
        let ext = vec![KeyValue { key: Some("message_id".to_owned()), r#type: Some(7), value }];
        receipt(MessageBody { ext, ack_message_id: Some(5), ..ack(4) }).kind
    };
    let group = |counts: &[(u64, u64)]| ReceiptKind::GroupRead { counts: counts.to_vec(), content: None };
    assert_eq!(counted(r#"{"5":3}"#), group(&[(5, 3)]));
    assert_eq!(counted(r#"{"5":"4","x":1,"6":null}"#), group(&[(5, 4)]));
    for none in ["", "null", "0", "not json"] {
        assert_eq!(counted(none), ReceiptKind::Read, "{none}");
    }
    let config = Some(MessageConfig { allow_group_ack: Some(true) });
    assert_eq!(receipt(MessageBody { msg_config: config, ..ack(4) }).kind, group(&[]));
}

#[test]
fn a_receipt_from_another_device_of_the_account_is_marked_as_own() {
    let EventKind::Receipt(receipt) = event(chat(1, "Alice", "bob", ack(7))) else { panic!() };
    assert!(receipt.own && receipt.kind == ReceiptKind::Conversation);
}

fn statistics(id: u64, operation: i32, location: Option<&str>) -> Meta {
    let body = StatisticsBody {
        operation: Some(operation),
        location: location.map(str::to_owned),
        ..StatisticsBody::default()
    };
    Meta { id: Some(id), ns: Some(0), payload: Some(wire::encode(&body)), ..Meta::default() }
}

#[test]
fn readers_counted_while_the_sender_was_away_come_with_the_statistics_once() {
    let mut receiver = Receiver::online();
    let meta = statistics(3, 0, Some(r#"{"group_ack":[{"5":3},{"6":1}]}"#));
    let heard = receiver.page(vec![meta.clone()]);
    let [EventKind::Receipt(receipt)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(receipt.kind, ReceiptKind::GroupRead { counts: vec![(5, 3), (6, 1)], content: None });
    assert_eq!((&receipt.messages[..], receipt.conversation()), (&[5, 6][..], None), "the groups are not named");
    assert!(receiver.page(vec![meta]).is_empty());
    assert!(matches!(event(statistics(4, 0, Some("somewhere"))), EventKind::Unknown(_)));
    assert!(Receiver::online().page(vec![statistics(5, 0, None)]).is_empty());
}

#[test]
fn a_kick_is_heard_whatever_is_wanted() {
    let heard = Receiver::wanting(EventMask::NONE).page(vec![statistics(3, 1, None)]);
    let kicked = |event: &EventKind| {
        matches!(event, EventKind::Disconnected { reason: DisconnectReason::Kicked(Kick::UserRemoved) })
    };
    assert!(heard.iter().any(kicked), "{heard:?}");
}

fn muc(operation: Operation, change: impl FnOnce(&mut MucBody)) -> EventKind {
    let mut body = MucBody {
        operation: Some(operation as i32),
        muc_id: Some(Jid::group(APP, "9001")),
        from: named("bob"),
        to: vec![Jid::user(APP, "alice")],
        ..MucBody::default()
    };
    change(&mut body);
    event(Meta { id: Some(1), ns: Some(2), payload: Some(wire::encode(&body)), ..Meta::default() })
}

fn with_info(json: &str) -> impl FnOnce(&mut MucBody) {
    let info = EventInfo { event_type: None, ext: Some(json.to_owned()) };
    move |body| body.event_info = Some(info)
}

#[test]
fn every_operation_survives_the_absence_of_everything_else() {
    for number in -1..60 {
        for room in [None, Some(true)] {
            let body = MucBody { operation: Some(number), is_chatroom: room, ..MucBody::default() };
            event(Meta { id: Some(1), ns: Some(2), payload: Some(wire::encode(&body)), ..Meta::default() });
        }
        let body = RosterBody { operation: Some(number), ..RosterBody::default() };
        event(Meta { id: Some(1), ns: Some(3), payload: Some(wire::encode(&body)), ..Meta::default() });
    }
    for namespace in [2, 3, 5] {
        let bare = event(Meta { id: Some(1), ns: Some(namespace), ..Meta::default() });
        assert!(matches!(bare, EventKind::Unknown(_)), "{bare:?}");
    }
}

#[test]
fn attributes_that_were_not_set_are_not_told_as_set() {
    let told = muc(
        Operation::SetMetadata,
        with_info(r#"{"properties":{"a":"1","b":"2","c":3},"result":{"successKeys":["a","c","d"]}}"#),
    );
    let EventKind::Group(told) = told else { panic!("{told:?}") };
    let attributes = [("a", "1"), ("c", "3")].map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    assert_eq!(told.operation, MucOperation::AttributesSet { attributes });
    for nothing in [r#"{"properties":{"a":"1"},"result":{"successKeys":[]}}"#, "{}", "not json"] {
        let told = muc(Operation::SetMetadata, with_info(nothing));
        assert!(matches!(told, EventKind::Unknown(_)), "{told:?}");
    }
}

#[test]
fn an_update_is_told_also_where_it_does_not_say_what_changed() {
    let bare = || MucOperation::Updated(Box::default());
    for (info, room) in [(None, false), (None, true), (Some("not json"), false), (Some("[]"), true)] {
        let told = muc(Operation::Update, |body| {
            body.is_chatroom = Some(room);
            body.event_info = info.map(|info| EventInfo { event_type: None, ext: Some(info.to_owned()) });
        });
        match told {
            EventKind::Group(told) if !room => assert_eq!(told.operation, bare()),
            EventKind::Room(told) if room => assert_eq!(told.operation, bare()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn receipts_and_recalls_name_their_conversation_as_far_as_the_service_says() {
    let of = |from: &str, to: Jid, kind: i32| match event(Meta {
        to: Some(to.clone()),
        ..chat(1, from, to.name(), ack(kind))
    }) {
        EventKind::Receipt(receipt) => receipt.conversation(),
        EventKind::Recalled(recall) => recall.conversation(),
        other => panic!("{other:?}"),
    };
    for kind in [4, 5, 6, 7] {
        assert_eq!(of("bob", Jid::user(APP, "alice"), kind), Some(Conversation::user("bob")));
        assert_eq!(of("alice", Jid::user(APP, "bob"), kind), Some(Conversation::user("bob")), "from another device");
        assert_eq!(of("bob", Jid::group(APP, "9001"), kind), Some(Conversation::group("9001")));
    }
    // By the administration, with a user: the service does not say with whom.
    let EventKind::Recalled(recall) = event(chat(1, "", "alice", ack(6))) else { panic!() };
    assert_eq!((recall.from.as_deref(), recall.conversation()), (None, None));
    // Counted readers of a group's message come to the sender alone, and only the body names the group.
    let config = Some(MessageConfig { allow_group_ack: Some(true) });
    let meta = chat(1, "bob", "9001", MessageBody { msg_config: config, ..ack(4) });
    let EventKind::Receipt(receipt) = event(Meta { to: Some(Jid::user(APP, "alice")), ..meta }) else { panic!() };
    assert_eq!(receipt.conversation(), Some(Conversation::group("9001")));
}

#[test]
fn settings_are_read_by_every_name_and_form_the_service_has() {
    let told = muc(
        Operation::Update,
        with_info(
            r#"{"title":"T","description":"d","public":"false","members_only":true,"allow_user_invites":"true",
            "max_users":"200","invite_need_confirm":0,"custom":"c","avatar":"a","last_modified":5,"more":[1]}"#,
        ),
    );
    let EventKind::Group(told) = told else { panic!("{told:?}") };
    let MucOperation::Updated(settings) = told.operation else { panic!("{told:?}") };
    assert_eq!((settings.name.as_deref(), settings.description.as_deref()), (Some("T"), Some("d")));
    assert_eq!((settings.public, settings.approval), (Some(false), Some(true)));
    assert_eq!((settings.members_invite, settings.invitations_need_consent), (Some(true), Some(false)));
    assert_eq!((settings.max_members, settings.modified_at), (Some(200), Some(5)));
    assert_eq!((settings.custom.as_deref(), settings.avatar.as_deref()), (Some("c"), Some("a")));
    assert_eq!(settings.other.unwrap().parse().unwrap(), json!({"more": [1]}));
}

#[test]
fn member_attributes_changed_on_another_device_are_that_devices_doing() {
    let from = |name: &str, device: &str| Some(Jid::user(APP, name).with_resource(device));
    let told = |from| {
        muc(Operation::GroupMemberMetadataUpdate, |body| {
            with_info(r#"{"properties":{"k":"v"},"username":"alice"}"#)(body);
            body.from = from;
        })
    };
    let EventKind::Device(device) = told(from("Alice", "ios_1")) else { panic!() };
    assert_eq!(&*device.device, "ios_1");
    assert!(matches!(&device.operation, DeviceOperation::MemberAttributesUpdated { user, .. } if user == "alice"));
    assert!(matches!(told(from("alice", RESOURCE)), EventKind::Group(_)));
    assert!(matches!(told(from("bob", "ios_1")), EventKind::Group(_)));
}

#[test]
fn notifications_of_an_unknown_form_arrive_as_they_came() {
    for json in [
        json!({"type": "weather", "data": {}}),
        json!({"type": "presence"}),
        json!({"type": "reaction", "data": {}}),
        json!({"type": "thread", "data": {"operation": "explode"}}),
        json!({"type": "conv", "data": {"op": "explode"}}),
        json!({"type": "conv", "data": {"op": "mark", "ext": "not a number"}}),
        json!({"type": "user_notification_mute"}),
        json!({"type": 7}),
        json!([]),
    ] {
        let EventKind::Unknown(notice) = event(notify(&json)) else { panic!("{json}") };
        assert_eq!((notice.namespace, notice.id, &notice.payload[..]), (5, 9, json.to_string().as_bytes()));
    }
    let deep = "[".repeat(100_000);
    let long = json!({"type": "reaction", "data": vec![json!({}); 100_000]}).to_string();
    for text in [deep, long] {
        let meta = Meta { payload: Some(text.into_bytes().into()), ..notify(&json!(null)) };
        assert!(matches!(event(meta), EventKind::Unknown(_)), "too deep or too long to be taken apart");
    }
}

#[test]
fn what_this_device_did_to_a_conversation_is_not_told_back() {
    let conv = |device: &str, from: &str| json!({"type": "conv", "data": {"op": "del", "id": "bob", "type": "chat", "ts": 1, "res": device, "from": from}});
    let roaming =
        |device: &str| json!({"type": "roaming_delete", "data": {"resource": device, "to": "bob", "chatType": "chat"}});
    let heard = |json| Receiver::online().page(vec![notify(&json)]).len();
    assert_eq!(
        (heard(conv(RESOURCE, "alice")), heard(conv("ios_1", "alice")), heard(conv(RESOURCE, "bob"))),
        (0, 1, 1)
    );
    assert_eq!((heard(roaming(RESOURCE)), heard(roaming("ios_1"))), (0, 1));
}

#[test]
fn a_deleted_history_says_which_messages_as_a_list_or_as_text() {
    for ids in [json!(["5", 6]), json!("5, 6")] {
        let json = json!({"type": "roaming_delete", "data": {
            "resource": "ios_1", "to": "9001", "chatType": "groupchat", "msgIdList": ids, "deleteTime": "77", "lastMsgId": 6,
        }});
        let EventKind::Device(device) = event(notify(&json)) else { panic!() };
        let conversation = Conversation::group("9001");
        let deleted =
            DeviceOperation::HistoryDeleted { conversation, messages: vec![5, 6], before: Some(77), last: Some(6) };
        assert_eq!(device.operation, deleted);
    }
}

#[test]
fn a_message_pinned_between_two_users_belongs_to_the_other_one() {
    let pin = |from: &str, id: &str| {
        let data = json!({"op": "pin", "id": id, "type": "chat", "ts": 1, "res": "x", "from": from, "ext": "555"});
        let EventKind::Pinned(pin) = event(notify(&json!({"type": "conv", "data": data}))) else { panic!() };
        (pin.conversation, pin.message, pin.pinned)
    };
    assert_eq!(pin("bob", "alice"), (Conversation::user("bob"), 555, true));
    assert_eq!(pin("alice", "bob"), (Conversation::user("bob"), 555, true), "pinned on another device");
}

#[test]
fn silent_modes_are_read_beside_the_type_and_under_the_data() {
    let values = json!([{"operator_resource": "ios_1", "group": "9001", "data": {"type": "NONE"}}]);
    for json in [
        json!({"type": "user_notification_mute", "values": values}),
        json!({"type": "user_notification_mute", "data": {"values": values}}),
    ] {
        let EventKind::Device(device) = event(notify(&json)) else { panic!() };
        let DeviceOperation::SilentModes(modes) = &device.operation else { panic!() };
        assert_eq!((modes.len(), &modes[0].conversation), (1, &Some(Conversation::group("9001"))));
        assert!(modes[0].settings.is_some());
    }
}

#[test]
fn each_user_of_a_presence_has_its_own_devices_only() {
    let json = json!({"type": "presence", "data": {"values": [
        {"uid": "bob", "last_time": "1700", "expiry": 5, "ext": "busy", "status": {"ios": "1", "web": 0}},
        {"uid": "carol", "status": {}},
    ]}});
    let EventKind::Presence(presence) = event(notify(&json)) else { panic!() };
    let [bob, carol] = &presence.users[..] else { panic!() };
    let devices = [("ios".to_owned(), 1), ("web".to_owned(), 0)];
    assert_eq!((bob.last_seen, bob.expires, bob.text.as_str(), &bob.devices[..]), (1700, 5, "busy", &devices[..]));
    assert!(carol.devices.is_empty() && carol.user == "carol");
}

#[test]
fn a_threads_last_message_is_kept_and_not_shown_in_debug() {
    let last = json!({"payload": {"bodies": [{"type": "img", "secret": "canary-7f3a"}]}});
    let data = json!({"operation": "update_msg", "id": "9002", "last_message": last});
    let EventKind::Thread(thread) = event(notify(&json!({"type": "thread", "data": data}))) else { panic!() };
    assert_eq!(thread.last_message.as_ref().unwrap().parse().unwrap(), last);
    assert!(!format!("{thread:?}").contains("canary-7f3a"));
}
