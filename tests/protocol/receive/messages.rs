//! Messages: whose they are, what they hold, what tells them apart.

use agora_chat::{
    Conversation, EventKind, EventMask, Message, MessageBody, UserId,
    messages::{ChatType, ExtValue, OnlineState, Priority, StreamStatus},
    wire::{
        self, Content, Jid, KeyValue, MessageBody as WireBody, Meta,
        content::Size,
        key_value::Value,
        message_body::{MessageConfig, Stream},
    },
};
use prost::Message as _;

use crate::receive::receiver::{APP, RESOURCE, Receiver, chat, event, text};

fn message(meta: Meta) -> Message {
    match event(meta) {
        EventKind::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn of_content(content: Content) -> MessageBody {
    message(chat(1, "bob", "alice", WireBody { contents: vec![content], ..text("") })).body
}

fn from_device(meta: Meta, device: &str) -> Meta {
    Meta { from: meta.from.map(|from| from.with_resource(device)), ..meta }
}

#[test]
fn a_message_from_another_device_of_the_account_is_marked_as_own_and_belongs_to_whom_it_is_for() {
    let sent = message(from_device(chat(1, "alice", "bob", text("hi")), "ios_1"));
    assert!(sent.own);
    assert_eq!(sent.extras().from_device.as_deref(), Some("ios_1"));
    assert_eq!(sent.conversation(), Conversation::user("bob"));
    let received = message(from_device(chat(1, "bob", "alice", text("hi")), "ios_1"));
    assert!(!received.own);
    assert_eq!(received.extras().from_device, None, "only of own messages");
    assert_eq!(received.conversation(), Conversation::user("bob"));
}

#[test]
fn user_ids_are_compared_without_regard_to_case() {
    for name in ["Alice", "ALICE", "alice"] {
        assert!(message(chat(1, name, "bob", text("hi"))).own, "{name}");
        let with_ext = WireBody { ext: vec![KeyValue::default()], ..text("hi") };
        assert!(message(chat(1, name, "bob", with_ext)).own, "{name}, decoded in full");
    }
    assert!(!message(chat(1, "alicia", "bob", text("hi"))).own);
}

#[test]
fn a_message_to_oneself_names_both_devices() {
    let mut meta = from_device(chat(1, "alice", "alice", text("note")), "ios_1");
    meta.to = Some(Jid::user(APP, "alice").with_resource(RESOURCE));
    let note = message(meta);
    assert!(note.own);
    assert_eq!(
        (note.extras().from_device.as_deref(), note.extras().to_device.as_deref()),
        (Some("ios_1"), Some(RESOURCE))
    );
    assert_eq!(note.conversation(), Conversation::user("alice"));
}

#[test]
fn what_this_device_sent_into_a_room_is_dropped_and_what_another_device_sent_is_not() {
    let room = |from: &str, device: &str, body: WireBody| {
        let meta = chat(1, from, "9003", WireBody { r#type: Some(3), ..body });
        let meta = Meta { to: Some(Jid::group(APP, "9003")), ..from_device(meta, device) };
        Receiver::online().page(vec![meta])
    };
    let decorated = || WireBody { ext: vec![KeyValue::default()], ..text("x") };
    for body in [text("x"), decorated()] {
        assert!(room("alice", RESOURCE, body.clone()).is_empty());
        assert!(room("Alice", RESOURCE, body.clone()).is_empty());
        let [EventKind::Message(other)] = &room("alice", "ios_1", body.clone())[..] else { panic!() };
        assert!(other.own);
        let [EventKind::Message(bobs)] = &room("bob", RESOURCE, body)[..] else { panic!() };
        assert!(!bobs.own, "another user may use a device of the same name");
    }
    let group = from_device(chat(1, "alice", "9001", WireBody { r#type: Some(2), ..text("x") }), RESOURCE);
    assert!(message(group).own, "only rooms tell it back");
}

#[test]
fn a_rooms_message_has_its_priority_and_says_whether_it_went_to_all_rooms() {
    let room = |ext: Vec<(&str, i64)>| {
        let pair = |(key, number): (&str, i64)| KeyValue {
            key: Some(key.to_owned()),
            r#type: Some(2),
            value: Some(Value::Varint(number)),
        };
        let meta = chat(1, "bob", "9003", WireBody { r#type: Some(3), ..text("x") });
        message(Meta { ext: ext.into_iter().map(pair).collect(), ..meta })
    };
    for (ext, priority, broadcast) in [
        (vec![], Priority::Normal, false),
        (vec![("chatroom_msg_tag", 0)], Priority::High, false),
        (vec![("chatroom_msg_tag", 1)], Priority::Normal, false),
        (vec![("chatroom_msg_tag", 2), ("is_broadcast", 1)], Priority::Low, true),
        (vec![("chatroom_msg_tag", 77), ("is_broadcast", 0)], Priority::Normal, false),
    ] {
        let message = room(ext);
        assert_eq!((message.extras().priority, message.extras().broadcast), (Some(priority), broadcast));
        assert_eq!((message.chat, message.conversation()), (ChatType::Room, Conversation::room("9003")));
    }
    assert_eq!(message(chat(1, "bob", "alice", text("x"))).extras().priority, None);
}

#[test]
fn the_online_state_and_replaced_contents_are_told_where_the_service_says_so() {
    let with = |json: &str| {
        let meta = Meta { meta: Some(json.as_bytes().to_vec().into()), ..chat(1, "bob", "alice", text("x")) };
        let message = message(meta);
        (message.extras().online, message.extras().replaced)
    };
    assert_eq!(with(r#"{"is_online":0}"#), (Some(OnlineState::Offline), false));
    assert_eq!(with(r#"{"is_online":1,"callback_replace":true}"#), (Some(OnlineState::Online), true));
    assert_eq!(with(r#"{"is_online":2}"#), (Some(OnlineState::Unknown), false));
    for nothing in ["{}", "", "[1]", "not json", "{\"is_online\":null}"] {
        assert_eq!(with(nothing), (None, false), "{nothing}");
    }
}

#[test]
fn a_thread_is_told_from_its_group_even_where_the_flag_says_nothing_more() {
    let group = WireBody { r#type: Some(2), ..text("x") };
    let thread = WireBody { meta: Some(r#"{"thread":{}}"#.to_owned()), ..group.clone() };
    assert_eq!(message(chat(1, "bob", "9002", thread)).conversation(), Conversation::thread("9002"));
    assert_eq!(message(chat(1, "bob", "9001", group)).conversation(), Conversation::group("9001"));
    let overview = r#"{"thread_overview":{"id":"9002","muc_parent_id":"9001","name":"T","message_count":2,
        "create_timestamp":1,"update_timestamp":2,"last_message":{"payload":{"bodies":[{"secret":"canary-7f3a"}]}}}}"#;
    let began =
        message(chat(1, "bob", "9001", WireBody { meta: Some(overview.to_owned()), r#type: Some(2), ..text("x") }));
    let thread = began.extras().thread_overview.as_ref().unwrap();
    assert_eq!((&*thread.id, &*thread.group, &*thread.name, thread.messages), ("9002", "9001", "T", 2));
    assert_eq!((thread.created_at, thread.updated_at, thread.last_message.is_some()), (1, 2, true));
    assert!(!format!("{began:?}").contains("canary-7f3a"));
    assert_eq!(began.conversation(), Conversation::group("9001"));
}

#[test]
fn a_files_secret_leaves_its_address_and_no_debug_shows_it() {
    let secret = || Some("canary-7f3a".to_owned());
    let content = Content {
        r#type: Some(8),
        remote_path: Some("https://h/o/a/chatfiles/u?em-redirect=true&share-secret=canary-7f3a".to_owned()),
        ..Content::default()
    };
    let body = of_content(content.clone());
    let MessageBody::Combined(combined) = &body else { panic!("{body:?}") };
    assert_eq!(combined.file.url, "https://h/o/a/chatfiles/u");
    assert_eq!(combined.file.secret.as_ref().unwrap().expose(), "canary-7f3a");
    for kind in [1, 2, 4, 5, 8, 99] {
        let content = Content {
            r#type: Some(kind),
            secret_key: secret(),
            thumbnail_remote_path: content.remote_path.clone(),
            thumbnail_secret_key: secret(),
            ..content.clone()
        };
        assert!(!format!("{:?}", of_content(content)).contains("canary-7f3a"), "content {kind}");
    }
}

#[test]
fn a_picture_may_be_a_gif_and_may_stand_at_an_address_that_needs_no_secret() {
    let gif = Content {
        r#type: Some(1),
        sub_type: Some(1),
        remote_path: Some("https://pictures.example/cat.gif".to_owned()),
        size: Some(Size { width: Some(3.0), height: None }),
        file_length: Some(-1),
        ..Content::default()
    };
    let MessageBody::Image(image) = of_content(gif) else { panic!() };
    assert!(image.gif && image.file.secret.is_none());
    assert_eq!((image.width, image.height, image.file.length), (3.0, 0.0, 0));
    assert_eq!(image.file.url, "https://pictures.example/cat.gif");
}

#[test]
fn contents_without_a_single_field_are_read_as_empty() {
    assert_eq!(of_content(Content::default()), MessageBody::Text(String::new()));
    for kind in 1..=8 {
        let body = of_content(Content { r#type: Some(kind), ..Content::default() });
        assert!(!matches!(body, MessageBody::Text(_) | MessageBody::Raw { .. }), "{kind}: {body:?}");
    }
}

fn piece(place: u64, status: i32, words: &str) -> Meta {
    let mut body = text(words);
    body.contents[0].sub_type = Some(10);
    body.stream = Some(Stream {
        stream_type: Some("markdown".to_owned()),
        stream_seq: Some(place),
        stream_status: Some(status),
        stream_error: Some(u32::from(status == 3) * 512),
        stream_finish_reason: Some(-1),
    });
    chat(7, "bob", "alice", body)
}

#[test]
fn pieces_of_a_streamed_text_arrive_each_once_though_they_share_an_id() {
    let mut receiver = Receiver::online();
    let pieces = || vec![piece(0, 0, "He"), piece(1, 2, "llo"), piece(2, 3, "!"), piece(1, 2, "llo")];
    let heard = receiver.page(pieces());
    let heard: Vec<_> = heard
        .iter()
        .map(|event| match event {
            EventKind::Message(Message { id: 7, body: MessageBody::Stream(piece), .. }) => (
                piece.sequence,
                piece.status,
                piece.text.as_str(),
                piece.kind.as_str(),
                piece.error,
                piece.finish_reason,
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        heard,
        [
            (0, StreamStatus::Start, "He", "markdown", 0, -1),
            (1, StreamStatus::InProgress, "llo", "markdown", 0, -1),
            (2, StreamStatus::Completed, "!", "markdown", 512, -1),
        ]
    );
    assert!(receiver.page(pieces()).is_empty(), "a page that comes again is no news");
}

#[test]
fn the_status_of_a_piece_is_told_by_its_number() {
    for (number, status) in [
        (0, StreamStatus::Start),
        (1, StreamStatus::StartAndCompleted),
        (2, StreamStatus::InProgress),
        (3, StreamStatus::Completed),
        (4, StreamStatus::Full),
        (9, StreamStatus::Unknown(9)),
    ] {
        let MessageBody::Stream(piece) = message(piece(0, number, "")).body else { panic!() };
        assert_eq!(piece.status, status);
    }
    let mut bare = piece(0, 0, "all of it");
    let mut body = WireBody::decode(bare.payload.unwrap()).unwrap();
    body.stream = None;
    bare.payload = Some(wire::encode(&body));
    assert_eq!(message(bare).text(), Some("all of it"), "without a stream it is a text");
}

fn edit(change: impl FnOnce(&mut WireBody)) -> Meta {
    let meta = r#"{"edit_msg":{"sender":"Alice","send_time":"100","chat_type":"chat:group","count":3,"operator":"bob",
        "edit_time":500}}"#;
    let mut body = WireBody {
        r#type: Some(8),
        edit_message_id: Some(555),
        edit_scope: Some(2),
        meta: Some(meta.to_owned()),
        ext: vec![KeyValue { key: Some("k".to_owned()), r#type: Some(1), value: Some(Value::Varint(1)) }],
        ..text("new")
    };
    change(&mut body);
    chat(1, "bob", "9001", body)
}

#[test]
fn an_edit_names_the_message_its_sender_and_its_editor() {
    let EventKind::Edited(edited) = event(edit(|_| {})) else { panic!() };
    let message = &edited.message;
    assert_eq!((edited.id, message.id, message.timestamp, edited.timestamp), (1, 555, 100, 5));
    assert_eq!(
        (&*message.from, message.own, message.chat, message.text()),
        ("Alice", true, ChatType::Group, Some("new"))
    );
    assert!(edited.replaces_ext);
    assert_eq!(message.ext.get("k"), Some(&ExtValue::Bool(true)));
    let info = edited.info().unwrap();
    assert_eq!((info.count, &*info.operator, info.time), (3, "bob", 500));
}

#[test]
fn an_edit_that_says_little_is_read_as_far_as_it_goes_and_one_without_a_content_is_unknown() {
    let EventKind::Edited(bare) = event(edit(|body| (body.meta, body.edit_scope) = (None, None))) else { panic!() };
    assert_eq!((&*bare.message.from, bare.message.timestamp, bare.replaces_ext), ("bob", 5, false));
    assert!(bare.info().is_none());
    assert!(matches!(event(edit(|body| body.contents.clear())), EventKind::Unknown(_)));
    assert!(matches!(event(edit(|body| body.edit_message_id = None)), EventKind::Unknown(_)));
}

#[test]
fn a_stored_message_is_read_as_it_was_received_and_what_is_no_message_is_not_read() {
    let own: UserId = "alice".parse().unwrap();
    let config = Some(MessageConfig { allow_group_ack: Some(true) });
    let decorated = WireBody { r#type: Some(2), msg_config: config, ..text("x") };
    for meta in [chat(1, "bob", "alice", text("x")), chat(2, "alice", "9001", decorated), piece(3, 4, "x")] {
        assert_eq!(Message::from_meta(&meta, Some(&own)), Some(message(meta)));
    }
    let receipt = chat(1, "bob", "alice", WireBody { r#type: Some(4), ..text("") });
    let empty = chat(1, "bob", "alice", WireBody { contents: vec![], ..text("") });
    let elsewhere = Meta { ns: Some(2), ..chat(1, "bob", "alice", text("x")) };
    let broken = Meta { payload: Some(bytes::Bytes::from_static(b"\xff")), ..chat(1, "bob", "alice", text("x")) };
    for meta in [receipt, empty, elsewhere, broken, edit(|_| {}), Meta::default()] {
        assert_eq!(Message::from_meta(&meta, Some(&own)), None, "{meta:?}");
    }
}

#[test]
fn messages_are_built_for_those_who_want_them_only() {
    let page = || {
        vec![
            chat(1, "bob", "alice", text("x")),
            chat(2, "bob", "alice", WireBody { ext: vec![KeyValue::default()], ..text("x") }),
        ]
    };
    assert!(Receiver::wanting(EventMask::RECEIPT | EventMask::UNKNOWN).page(page()).is_empty());
    assert_eq!(Receiver::wanting(EventMask::MESSAGE).page(page()).len(), 2);
}
