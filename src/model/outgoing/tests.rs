use std::sync::Arc;

use bytes::Bytes;

use super::Outgoing;
use crate::{
    model::{
        error::SendError,
        message::{
            Attachment, ChatType, Combined, Conversation, Ext, FileSecret, Image, Message, MessageBody, MessageExtras,
            Priority, StreamPiece, StreamStatus, ThreadOrigin, Video, Voice,
        },
    },
    wire::{
        self, Body, Meta,
        message_body::{EditScope, MessageConfig, Type},
        meta::RouteType,
    },
};

fn sent(message: Outgoing) -> (Meta, wire::MessageBody) {
    let meta = message.into_meta(7, &"org#app".parse().unwrap(), &"alice".parse().unwrap());
    match meta.body().unwrap() {
        Body::Chat(body) => (meta, *body),
        other => panic!("{other:?}"),
    }
}

fn why<T: std::fmt::Debug>(refused: Result<T, SendError>) -> String {
    let error = refused.unwrap_err();
    assert_eq!(error.code().number(), 205);
    match error {
        SendError::Invalid(text) => text,
        other => panic!("{other:?}"),
    }
}

fn received(chat: ChatType, own: bool) -> Message {
    Message {
        id: 42,
        from: Arc::from("bob"),
        to: Arc::from(if chat == ChatType::Single { "alice" } else { "182736" }),
        chat,
        own,
        timestamp: 1,
        body: MessageBody::Text("hi".to_owned()),
        ext: Ext::new(),
        extras: None,
    }
}

fn group() -> Conversation {
    Conversation::group("182736")
}

fn hello(to: impl Into<Conversation>) -> Outgoing {
    Outgoing::text(to, "hello").unwrap()
}

#[test]
fn a_recipient_that_cannot_be_one_is_refused_by_its_kind() {
    let long = "1".repeat(256);
    let user = "its recipient: ";
    let rows: [(Conversation, &str); 13] = [
        ("".into(), "it has no recipient"),
        ("/phone".into(), "it has no recipient"),
        ("bob/".into(), "the device's id is empty"),
        ("bob/ph\none".into(), "the device's id has a control character"),
        ("no spaces".into(), user),
        ("no spaces/phone".into(), user),
        ("x".repeat(65).into(), user),
        (Conversation::group(""), "the group's id is empty"),
        (Conversation::room("1\u{7f}"), "the chat room's id has a control character"),
        (Conversation::thread("\u{85}"), "the thread's id has a control character"),
        (Conversation::group(&*long), "the group's id has 256 bytes"),
        (Conversation::room(&*long), "the chat room's id has 256 bytes"),
        (Conversation::user(format!("bob/{long}")), "the device's id has 256 bytes"),
    ];
    for (to, expected) in rows {
        let refusals = [
            Outgoing::text(to.clone(), "hi"),
            Outgoing::conversation_read(to.clone()),
            Outgoing::recall(to.clone(), 1),
            Outgoing::edit(to.clone(), 1, MessageBody::Text(String::new())),
        ];
        for refused in refusals {
            let text = why(refused);
            assert!(text.starts_with(expected), "{to}: {text}");
        }
    }
}

#[test]
fn ids_are_kept_but_for_the_case_of_a_users() {
    assert_eq!(hello("Bob").to(), "bob");
    let device = hello("Bob/Web/1");
    assert_eq!((device.to(), device.conversation()), ("bob", &Conversation::user("bob/Web/1")));
    let (meta, body) = sent(device);
    assert_eq!(meta.to.unwrap().client_resource(), "Web/1", "split at the first stroke");
    assert_eq!(body.to.unwrap().name(), "bob");
    assert_eq!(hello(Conversation::group("AbC")).to(), "AbC");
    let longest = "1".repeat(255);
    assert_eq!(hello(Conversation::thread(&*longest)).to(), longest);
}

#[test]
fn what_goes_to_a_user_cannot_be_directed_to_others() {
    let text = why(hello("bob").directed_to(["carol"]));
    assert!(text.contains("a group, a chat room or a thread"), "{text}");
    assert_eq!(why(hello(group()).directed_to(Vec::<String>::new())), "it is directed to nobody");
    assert_eq!(why(hello(group()).directed_to([""])), "it has no recipient");
    assert!(why(hello(group()).directed_to(["bob", "no spaces"])).starts_with("its recipient: "));
    let receipt = Outgoing::conversation_read(group()).unwrap();
    assert_eq!(why(receipt.directed_to(["bob"])), "a receipt cannot be directed to some members");
}

#[test]
fn directed_wins_over_online_only_in_any_order() {
    for to in [group(), Conversation::room("1"), Conversation::thread("1")] {
        let first = hello(to.clone()).directed_to(["Bob"]).unwrap().online_only();
        let last = hello(to).online_only().directed_to(["Bob"]).unwrap();
        for message in [first, last] {
            let (meta, _) = sent(message);
            assert_eq!((meta.routetype(), meta.directed_users), (RouteType::RouteDirect, vec!["bob".to_owned()]));
        }
    }
    assert_eq!(sent(hello("bob").online_only()).0.routetype(), RouteType::RouteOnline);
}

#[test]
fn the_priority_is_written_in_chat_rooms_alone_and_there_always() {
    let tag = |message: Outgoing| Ext::from_wire(sent(message).0.ext);
    let is = |number| Ext::new().with("chatroom_msg_tag", number);
    let room = || Conversation::room("1");
    assert_eq!(tag(hello(room())), is(1));
    assert_eq!(tag(hello(room()).priority(Priority::High)), is(0));
    assert_eq!(tag(hello(room()).priority(Priority::Low)), is(2));
    assert_eq!(tag(Outgoing::conversation_read(room()).unwrap()), is(1));
    let recall = Outgoing::recall(room(), 5).unwrap().recall_ext("why");
    assert_eq!(tag(recall), is(1).with("recallMessageExtensionInfo", "why"));
    for to in ["bob".into(), group(), Conversation::thread("1")] {
        assert_eq!(tag(hello(to).priority(Priority::High)), Ext::new());
    }
}

#[test]
fn receipts_of_the_group_are_asked_for_in_groups_alone_and_yes_or_no_is_written() {
    let config = |message: Outgoing| sent(message).1.msg_config;
    assert_eq!(config(hello(group())), None);
    for wanted in [true, false] {
        let asked = config(hello(group()).group_receipts(wanted));
        assert_eq!(asked, Some(MessageConfig { allow_group_ack: Some(wanted) }));
        for to in ["bob".into(), Conversation::room("1"), Conversation::thread("1")] {
            assert_eq!(config(hello(to).group_receipts(wanted)), None);
        }
    }
    let recall = Outgoing::recall(group(), 1).unwrap().group_receipts(true);
    assert_eq!(config(recall), None);
}

#[test]
fn receipts_and_recalls_take_no_attributes_and_receipts_are_for_all_times() {
    let ext = || Ext::new().with("a", 1);
    for receipt in
        [Outgoing::read_by_id("bob", 1), Outgoing::delivered_by_id("bob", 1), Outgoing::conversation_read("bob")]
    {
        let plain = receipt.unwrap();
        assert_eq!(plain.clone().ext(ext()).online_only().recall_ext("why").group_receipts(true), plain);
    }
    let recall = Outgoing::recall("bob", 1).unwrap();
    assert_eq!(recall.clone().ext(ext()), recall);
    assert_eq!(hello("bob").recall_ext("why"), hello("bob"));
}

#[test]
fn an_edit_replaces_the_attributes_only_when_given_some_or_none() {
    let edit = || Outgoing::edit(Conversation::thread("1"), 9, MessageBody::Text("better".to_owned())).unwrap();
    let (_, body) = sent(edit());
    assert_eq!((body.edit_scope(), body.edit_message_id()), (EditScope::Body, 9));
    assert_eq!((body.r#type(), body.meta.as_deref()), (Type::Edit, Some(r#"{"thread":{}}"#)));
    let (_, body) = sent(edit().ext(Ext::new()));
    assert_eq!((body.edit_scope(), body.ext), (EditScope::BodyAndExt, Vec::new()));
}

#[test]
fn a_receipt_goes_to_the_sender_and_names_the_message() {
    let message = received(ChatType::Single, false);
    for (receipt, kind) in
        [(Outgoing::delivered(&message), Type::DeliverAck), (Outgoing::read(&message), Type::ReadAck)]
    {
        let receipt = receipt.unwrap();
        assert_eq!(receipt.to(), "bob");
        let (meta, body) = sent(receipt);
        assert_eq!((body.r#type(), body.ack_message_id()), (kind, 42));
        assert_eq!((body.contents, body.msg_config), (vec![wire::Content::default()], None));
        assert_eq!((meta.routetype, meta.ext.len()), (Some(0), 0));
    }
}

#[test]
fn a_read_receipt_in_a_group_or_thread_goes_to_it() {
    let mut message = received(ChatType::Group, false);
    let receipt = Outgoing::read(&message).unwrap();
    assert_eq!(receipt, Outgoing::group_read("182736", 42, None).unwrap());
    let (_, body) = sent(receipt);
    assert_eq!((body.msg_config.unwrap().allow_group_ack, body.ack_content, body.meta), (Some(true), None, None));
    let extras = MessageExtras { thread: Some(ThreadOrigin::default()), ..MessageExtras::default() };
    message.extras = Some(Box::new(extras));
    let receipt = Outgoing::read(&message).unwrap();
    assert_eq!(receipt.conversation(), &Conversation::thread("182736"));
    assert!(sent(receipt).1.meta.is_some());
}

#[test]
fn no_receipt_is_made_of_a_message_that_cannot_have_one() {
    let own = "a receipt is for messages of others, and this account sent that one itself";
    let single = "such a receipt is for messages between two users";
    for chat in [ChatType::Single, ChatType::Group, ChatType::Room] {
        assert_eq!(why(Outgoing::delivered(&received(chat, true))), own);
        assert_eq!(why(Outgoing::read(&received(chat, true))), own);
    }
    for chat in [ChatType::Group, ChatType::Room] {
        assert_eq!(why(Outgoing::delivered(&received(chat, false))), single);
    }
    assert_eq!(why(Outgoing::read(&received(ChatType::Room, false))), single);
    assert_eq!(why(Outgoing::delivered_by_id(group(), 1)), single);
    assert_eq!(why(Outgoing::read_by_id(Conversation::room("1"), 1)), single);
    let nobody = Message { from: Arc::from(""), ..received(ChatType::Single, false) };
    assert_eq!(why(Outgoing::read(&nobody)), "it has no recipient");
}

#[test]
fn the_id_0_names_no_message() {
    let text = || MessageBody::Text(String::new());
    let unnamed = |chat| Message { id: 0, ..received(chat, false) };
    for refused in [
        Outgoing::recall("bob", 0),
        Outgoing::edit("bob", 0, text()),
        Outgoing::read_by_id("bob", 0),
        Outgoing::delivered_by_id("bob", 0),
        Outgoing::group_read("1", 0, None),
        Outgoing::read(&unnamed(ChatType::Single)),
        Outgoing::read(&unnamed(ChatType::Group)),
        Outgoing::delivered(&unnamed(ChatType::Single)),
    ] {
        assert_eq!(why(refused), "the message's id is 0");
    }
}

#[test]
fn a_content_that_others_make_is_refused() {
    let piece = StreamPiece {
        text: "a".to_owned(),
        sequence: 0,
        status: StreamStatus::Start,
        kind: String::new(),
        error: 0,
        finish_reason: 0,
    };
    let raw = MessageBody::Raw { namespace: 1, payload: Bytes::from_static(b"x") };
    for body in [MessageBody::Stream(Box::new(piece)), raw] {
        assert!(why(Outgoing::body("bob", body.clone())).contains("cannot be sent"));
        assert!(why(Outgoing::edit("bob", 1, body)).contains("cannot be sent"));
    }
}

#[test]
fn a_file_beyond_what_the_protocol_can_tell_is_refused() {
    let file = |length| Attachment { length, ..Attachment::at("https://files.test/1") };
    let most = u64::from(i32::MAX.unsigned_abs());
    assert!(Outgoing::file("bob", file(most)).is_ok());
    assert!(why(Outgoing::file("bob", file(most + 1))).contains("2147483648 bytes"));
    assert!(why(Outgoing::image("bob", Image::new(Attachment::at(""), 1.0, 1.0))).contains("no address"));
    assert!(why(Outgoing::voice("bob", Voice::new(file(1), u32::MAX))).contains("4294967295 seconds"));
    let thumbnail = Video { thumbnail: Some(file(most + 1)), ..Video::new(file(1), 1) };
    assert!(why(Outgoing::video("bob", thumbnail)).contains("2147483648 bytes"));
    let deep = Combined { level: 11, file: file(1), ..Combined::default() };
    assert!(why(Outgoing::combined("bob", deep)).contains("11 deep"));
}

#[test]
fn an_address_that_holds_its_secret_already_gets_it_once() {
    let path = |url: &str| {
        let file = Attachment { secret: Some(FileSecret::new("s1")), ..Attachment::at(url) };
        let message = Outgoing::combined("bob", Combined { file, ..Combined::default() }).unwrap();
        sent(message).1.contents[0].remote_path().to_owned()
    };
    let whole = "https://files.test/1?em-redirect=true&share-secret=s1";
    assert_eq!(path("https://files.test/1"), whole);
    assert_eq!(path(whole), whole);
    assert_eq!(path("https://files.test/1?a=b"), "https://files.test/1?a=b&em-redirect=true&share-secret=s1");
}

#[test]
fn what_is_to_be_sent_shows_no_file_secret() {
    let file = Attachment { secret: Some(FileSecret::new("canary-7f3a")), ..Attachment::at("https://files.test/1") };
    for message in [
        Outgoing::file("bob", file.clone()),
        Outgoing::video("bob", Video::new(file.clone(), 1)),
        Outgoing::combined("bob", Combined { file, ..Combined::default() }),
    ] {
        let shown = format!("{:?}", message.unwrap());
        assert!(shown.contains("https://files.test/1") && !shown.contains("canary"), "{shown}");
    }
}
