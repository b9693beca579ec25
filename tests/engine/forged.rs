//! Who wrote a message is what the server says: what the sender's own part says otherwise is told, and not believed.

use agora_chat::{
    ConfigBuilder, Conversation, EventKind, Message,
    events::ReceiptKind,
    messages::{ChatType, Claims},
    session::Diagnostic,
    wire::{
        self, Body, Content, Jid, MessageBody, Meta, MucBody, RosterBody, Upward,
        content::ContentType,
        message_body::{MessageConfig, Stream, Type},
        meta::NameSpace,
        muc_body, roster_body,
    },
};
use serde_json::{Value, json};

use crate::{
    peer,
    sim::{APP, Did, RESOURCE, Sim, config, seconds},
};

fn named(name: &str) -> Option<Jid> {
    Some(Jid { name: Some(name.to_owned()), ..Jid::default() })
}

/// A body of this kind that says it is from this sender, to alice.
fn body(kind: Type, from: &str) -> MessageBody {
    let content = Content { r#type: Some(ContentType::Text as i32), text: Some("x".to_owned()), ..Content::default() };
    MessageBody {
        r#type: Some(kind as i32),
        from: named(from),
        to: named("alice"),
        contents: vec![content],
        ..MessageBody::default()
    }
}

fn to(to: Jid, id: u64, ns: NameSpace, payload: bytes::Bytes) -> Meta {
    let from = Some(peer::user("mallory").with_resource("pc"));
    Meta { id: Some(id), from, to: Some(to), ns: Some(ns as i32), payload: Some(payload), ..Meta::default() }
}

/// What the server passes on of mallory to alice.
fn by_mallory(id: u64, body: &MessageBody) -> Meta {
    to(peer::user("alice"), id, NameSpace::Chat, wire::encode(body))
}

fn page(metas: Vec<Meta>) -> bytes::Bytes {
    peer::page(&peer::user("mallory"), metas, 4)
}

/// What alice hears of one meta, and what is noted of it.
fn heard(meta: Meta) -> Did {
    Sim::online().frame(&page(vec![meta]))
}

fn claims_of(did: &Did) -> Vec<&Claims> {
    let claims = did.notes().into_iter().filter_map(|note| match note {
        Diagnostic::FalseClaims { count: 1, from, claims } => {
            assert_eq!(&**from, "mallory");
            Some(&**claims)
        }
        _ => None,
    });
    claims.collect()
}

/// The event, and what was claimed, of which one note tells as well.
fn event_and_claims(did: &Did) -> (&EventKind, &Claims) {
    let event = did.event();
    let claims = event.claims().unwrap_or_else(|| panic!("it is to be seen: {event:?}"));
    assert_eq!(claims_of(did), [claims], "one note");
    (event, claims)
}

fn message(event: &EventKind) -> &Message {
    let EventKind::Message(message) = event else { panic!("{event:?}") };
    message
}

#[test]
fn a_sender_is_who_the_server_says_whoever_the_body_names() {
    for claimed in ["admin", "alice", "Alice", "bob", "mallory2", "alice/phone", "org#app_alice@easemob.com"] {
        let did = heard(by_mallory(1, &body(Type::Chat, claimed)));
        let (event, claims) = event_and_claims(&did);
        let message = message(event);
        assert_eq!((&*message.from, &*message.to, message.own), ("mallory", "alice", false), "{claimed}");
        assert_eq!(message.conversation(), Conversation::user("mallory"));
        assert_eq!(claims.from.as_deref(), Some(claimed));
        assert_eq!((&claims.to, claims.chat), (&None, None));
        assert_eq!(message.extras().claims.as_deref(), Some(claims));
    }
}

#[test]
fn a_body_that_names_its_sender_in_another_form_or_not_at_all_is_no_false_claim() {
    let long = format!("{APP}_Mallory@easemob.com/pc");
    for said in ["mallory", "Mallory", "MALLORY", "mallory/pc", "mallory@easemob.com", &long, ""] {
        let did = heard(by_mallory(1, &body(Type::Chat, said)));
        assert_eq!(&*message(did.event()).from, "mallory", "{said}");
        assert_eq!((did.event().claims(), did.notes()), (None, vec![]), "{said}");
    }
    let silent = MessageBody { from: None, to: None, ..body(Type::Chat, "") };
    let did = heard(by_mallory(1, &silent));
    assert_eq!((&*message(did.event()).from, &*message(did.event()).to), ("mallory", "alice"));
    assert!(did.notes().is_empty());
}

#[test]
fn where_the_server_names_nobody_the_body_counts() {
    for nobody in [None, Some(Jid { name: None, ..peer::user("") }), Some(peer::user(""))] {
        let did = heard(Meta { from: nobody, ..by_mallory(1, &body(Type::Chat, "bob")) });
        assert_eq!(&*message(did.event()).from, "bob");
        assert!(did.notes().is_empty());
    }
}

#[test]
fn a_conversation_is_where_the_server_says_whatever_the_body_says() {
    let in_group = |kind| MessageBody { to: named("9001"), ..body(kind, "mallory") };
    for (kind, claimed) in [(Type::Groupchat, ChatType::Group), (Type::Chatroom, ChatType::Room)] {
        let did = heard(by_mallory(1, &in_group(kind)));
        let (event, claims) = event_and_claims(&did);
        assert_eq!(message(event).conversation(), Conversation::user("mallory"), "she is in no such group");
        assert_eq!((claims.chat, claims.to.as_deref(), &claims.from), (Some(claimed), Some("9001"), &None));
    }
    let group = |body: &MessageBody| to(Jid::group(APP, "9001"), 1, NameSpace::Chat, wire::encode(body));
    let did = heard(group(&body(Type::Chat, "mallory")));
    let (event, claims) = event_and_claims(&did);
    assert_eq!(message(event).conversation(), Conversation::group("9001"), "all of the group read it");
    assert_eq!((claims.chat, claims.to.as_deref()), (Some(ChatType::Single), Some("alice")));
    for kind in [Type::Groupchat, Type::Chatroom] {
        let elsewhere = MessageBody { to: named("9002"), ..body(kind, "mallory") };
        let did = heard(group(&elsewhere));
        let (event, claims) = event_and_claims(&did);
        assert_eq!((message(event).conversation().id(), claims.to.as_deref()), ("9001", Some("9002")));
        assert!(heard(group(&in_group(kind))).notes().is_empty());
    }
    let thread = MessageBody { meta: Some(r#"{"thread":{}}"#.to_owned()), ..body(Type::Groupchat, "mallory") };
    let did = heard(by_mallory(1, &MessageBody { to: named("9002"), ..thread }));
    assert_eq!(message(event_and_claims(&did).0).conversation(), Conversation::user("mallory"), "no thread either");
}

#[test]
fn a_room_does_not_lose_a_message_that_says_to_be_this_devices_own() {
    let body = MessageBody { to: named("9003"), ..body(Type::Chatroom, "alice") };
    let meta = to(Jid::group(APP, "9003"), 1, NameSpace::Chat, wire::encode(&body));
    let device = Some(peer::user("mallory").with_resource(RESOURCE));
    let did = heard(Meta { from: device, ..meta });
    assert_eq!(&*message(event_and_claims(&did).0).from, "mallory");
}

#[test]
fn commands_pieces_of_streams_and_all_other_contents_name_the_servers_sender() {
    for kind in 0..10 {
        let mut forged = body(Type::Chat, "admin");
        forged.contents[0].r#type = Some(kind);
        let did = heard(by_mallory(1, &forged));
        assert_eq!(&*message(event_and_claims(&did).0).from, "mallory", "content {kind}");
    }
    let mut piece = body(Type::Chat, "admin");
    piece.contents[0].sub_type = Some(10);
    piece.stream = Some(Stream { stream_seq: Some(0), ..Stream::default() });
    let did = heard(by_mallory(1, &piece));
    assert_eq!(&*message(event_and_claims(&did).0).from, "mallory");
}

#[test]
fn receipts_are_from_whom_the_server_says() {
    for claimed in ["bob", "alice", "admin"] {
        for kind in [Type::DeliverAck, Type::ReadAck, Type::ChannelAck] {
            let did = heard(by_mallory(1, &MessageBody { ack_message_id: Some(5), ..body(kind, claimed) }));
            let (EventKind::Receipt(receipt), claims) = event_and_claims(&did) else { panic!("{did:?}") };
            assert_eq!((&*receipt.from, receipt.own, receipt.group), ("mallory", false, false));
            assert_eq!(receipt.conversation(), Some(Conversation::user("mallory")));
            assert_eq!(claims.from.as_deref(), Some(claimed));
        }
    }
    // Readers that are counted come to the sender alone, and only the body names the group.
    let config = Some(MessageConfig { allow_group_ack: Some(true) });
    let counted = MessageBody { to: named("9001"), msg_config: config, ..body(Type::ReadAck, "bob") };
    let did = heard(by_mallory(1, &counted));
    let (EventKind::Receipt(receipt), claims) = event_and_claims(&did) else { panic!("{did:?}") };
    assert!(matches!(receipt.kind, ReceiptKind::GroupRead { .. }));
    assert_eq!((&*receipt.from, &*receipt.to, claims.to.as_deref()), ("mallory", "9001", None));
}

#[test]
fn recalls_are_from_whom_the_server_says() {
    let recall = |from: Option<Jid>| MessageBody { from, ack_message_id: Some(5), ..body(Type::Recall, "") };
    for claimed in ["admin", "bob", "alice"] {
        let did = heard(by_mallory(1, &recall(named(claimed))));
        let (EventKind::Recalled(recall), claims) = event_and_claims(&did) else { panic!("{did:?}") };
        assert_eq!((recall.from.as_deref(), &*recall.sender, recall.own), (Some("mallory"), "mallory", false));
        assert_eq!(
            (recall.conversation(), claims.from.as_deref()),
            (Some(Conversation::user("mallory")), Some(claimed))
        );
    }
    let did = heard(by_mallory(1, &recall(named(""))));
    let EventKind::Recalled(empty) = did.event() else { panic!("{did:?}") };
    assert_eq!(empty.from.as_deref(), Some("mallory"), "not the administration");
    // A recall by the administration names nobody; who sent it is to be seen all the same.
    let did = heard(by_mallory(1, &recall(None)));
    let EventKind::Recalled(none) = did.event() else { panic!("{did:?}") };
    assert_eq!((none.from.as_deref(), &*none.sender, none.own), (None, "mallory", false));
    let own = Meta { from: Some(peer::user("alice").with_resource("phone")), ..by_mallory(1, &recall(None)) };
    let did = heard(Meta { to: Some(peer::user("bob")), ..own });
    let EventKind::Recalled(own) = did.event() else { panic!("{did:?}") };
    assert_eq!((own.from.as_deref(), own.own), (Some("alice"), true));
}

fn edit(from: &str, told: Value) -> MessageBody {
    MessageBody {
        edit_message_id: Some(5),
        meta: Some(json!({ "edit_msg": told }).to_string()),
        ..body(Type::Edit, from)
    }
}

#[test]
fn between_two_users_an_edit_is_of_whom_the_server_says() {
    for (from, sender) in [("bob", ""), ("bob", "bob"), ("mallory", "admin"), ("alice", "alice")] {
        let told = json!({"sender": sender, "operator": "mallory", "chat_type": "chat:user", "count": 1});
        let did = heard(by_mallory(1, &edit(from, told)));
        let (EventKind::Edited(edit), claims) = event_and_claims(&did) else { panic!("{did:?}") };
        assert_eq!((&*edit.message.from, edit.message.own, &*edit.editor), ("mallory", false, "mallory"));
        assert_eq!(claims.from.as_deref(), Some(if from == "mallory" { sender } else { from }));
        assert_eq!(edit.message.conversation(), Conversation::user("mallory"));
    }
    let elsewhere = json!({"sender": "mallory", "operator": "mallory", "chat_type": "chat:group", "count": 1});
    let did = heard(by_mallory(1, &edit("mallory", elsewhere)));
    let (EventKind::Edited(edit), claims) = event_and_claims(&did) else { panic!("{did:?}") };
    assert_eq!((edit.message.chat, claims.chat), (ChatType::Single, Some(ChatType::Group)));
}

#[test]
fn in_a_group_an_edit_of_what_another_wrote_says_who_edited_it() {
    let edited = |told: Value| {
        let body = MessageBody { to: named("9001"), ..edit("mallory", told) };
        heard(to(Jid::group(APP, "9001"), 1, NameSpace::Chat, wire::encode(&body)))
    };
    let by_the_owner = edited(json!({"sender": "bob", "operator": "mallory", "chat_type": "chat:group", "count": 1}));
    let EventKind::Edited(edit) = by_the_owner.event() else { panic!("{by_the_owner:?}") };
    assert_eq!((&*edit.message.from, &*edit.editor), ("bob", "mallory"));
    assert!(by_the_owner.notes().is_empty());
    let forged = edited(json!({"sender": "bob", "operator": "bob", "chat_type": "chat:group", "count": 1}));
    let (EventKind::Edited(edit), claims) = event_and_claims(&forged) else { panic!("{forged:?}") };
    assert_eq!((&*edit.message.from, claims.from.as_deref()), ("mallory", Some("bob")));
}

fn notice(json: &Value) -> Did {
    heard(to(peer::user("alice"), 1, NameSpace::Notify, json.to_string().into()))
}

#[test]
fn a_notification_that_a_user_wrote_tells_of_that_user() {
    let op = json!([{"operator": "bob", "reactionType": "create"}]);
    let reactions = json!([{"reaction": "ok", "count": 1, "userList": ["bob"], "op": op}]);
    let change =
        json!({"from": "bob", "to": "alice", "channel_type": "chat", "messageId": "5", "reactions": reactions});
    let did = notice(&json!({"type": "reaction", "data": [change]}));
    let (EventKind::Reaction(reaction), claims) = event_and_claims(&did) else { panic!("{did:?}") };
    assert_eq!((&*reaction.changes[0].from, claims.from.as_deref()), ("mallory", Some("bob")));

    for claimed in ["bob", "alice"] {
        let data = json!({"op": "pin", "id": "alice", "type": "chat", "from": claimed, "res": RESOURCE, "ext": "5"});
        let did = notice(&json!({"type": "conv", "data": data}));
        let (EventKind::Pinned(pin), claims) = event_and_claims(&did) else { panic!("{did:?}") };
        assert_eq!((&*pin.from, &pin.conversation), ("mallory", &Conversation::user("mallory")));
        assert_eq!(claims.from.as_deref(), Some(claimed));
    }
    let data = json!({"op": "del", "id": "bob", "type": "chat", "from": "alice", "res": "phone"});
    let did = notice(&json!({"type": "conv", "data": data}));
    let (EventKind::Device(_), claims) = event_and_claims(&did) else { panic!("{did:?}") };
    assert_eq!(claims.from.as_deref(), Some("alice"));
    let did =
        notice(&json!({"type": "roaming_delete", "data": {"resource": "phone", "to": "bob", "chatType": "chat"}}));
    assert!(matches!(event_and_claims(&did).0, EventKind::Device(_)));

    let data = json!({"operation": "delete", "id": "9002", "muc_parent_id": "9001", "from": "admin"});
    let did = notice(&json!({"type": "thread", "data": data}));
    let (EventKind::Thread(thread), claims) = event_and_claims(&did) else { panic!("{did:?}") };
    assert_eq!((&*thread.from, claims.from.as_deref()), ("mallory", Some("admin")));

    let did = notice(&json!({"type": "presence", "data": {"values": [{"uid": "bob", "status": {"x": 1}}]}}));
    assert!(matches!(event_and_claims(&did).0, EventKind::Presence(_)));
}

#[test]
fn word_of_groups_and_contacts_names_who_did_it_by_the_servers_word() {
    for (operation, room) in [(muc_body::Operation::Kick, false), (muc_body::Operation::AssignOwner, true)] {
        let body = MucBody {
            muc_id: Some(Jid::group(APP, "9001")),
            operation: Some(operation as i32),
            from: named("admin"),
            to: vec![peer::user("alice")],
            is_chatroom: Some(room),
            ..MucBody::default()
        };
        let did = heard(to(peer::user("alice"), 1, NameSpace::Muc, wire::encode(&body)));
        let (EventKind::Group(told) | EventKind::Room(told), claims) = event_and_claims(&did) else {
            panic!("{did:?}")
        };
        assert_eq!((&*told.from, claims.from.as_deref()), ("mallory", Some("admin")));
        // As it comes with a server that names the group.
        let by_group = to(peer::user("alice"), 1, NameSpace::Muc, wire::encode(&body));
        let did = heard(Meta { from: Some(Jid::group(APP, "9001")), ..by_group });
        let (EventKind::Group(told) | EventKind::Room(told)) = did.event() else { panic!("{did:?}") };
        assert_eq!((&*told.from, did.notes()), ("admin", vec![]));
    }
    let body = RosterBody {
        operation: Some(roster_body::Operation::Accept as i32),
        from: named("bob"),
        to: vec![peer::user("alice")],
        ..RosterBody::default()
    };
    let did = heard(to(peer::user("alice"), 1, NameSpace::Roster, wire::encode(&body)));
    let (EventKind::Contact(contact), claims) = event_and_claims(&did) else { panic!("{did:?}") };
    assert_eq!((&*contact.from, claims.from.as_deref()), ("mallory", Some("bob")));
}

/// The receipts that went out: to whom, in the address and in the body.
fn receipts(did: &Did) -> Vec<(String, String)> {
    let receipts = did.sent().into_iter().filter_map(|frame| {
        let Upward::Sync(sync) = frame else { return None };
        let meta = sync.meta?;
        let Ok(Body::Chat(body)) = meta.body() else { return None };
        let is_receipt = body.r#type == Some(Type::DeliverAck as i32);
        is_receipt.then(|| (meta.to.unwrap().name().to_owned(), body.to.unwrap().name().to_owned()))
    });
    receipts.collect()
}

#[test]
fn automatic_receipts_go_to_the_servers_sender() {
    let receipts = |body: &MessageBody| {
        let on: ConfigBuilder = config().delivery_receipts(true);
        receipts(&Sim::online_with(on).frame(&page(vec![by_mallory(1, body)])))
    };
    let mallory = [("mallory".to_owned(), "mallory".to_owned())];
    for claimed in ["bob", "alice", "mallory", "Mallory", "admin", ""] {
        assert_eq!(receipts(&body(Type::Chat, claimed)), mallory, "{claimed}");
        let mut command = body(Type::Chat, claimed);
        command.contents[0].r#type = Some(ContentType::Command as i32);
        assert_eq!(receipts(&command), mallory, "{claimed}");
    }
    assert!(receipts(&body(Type::Groupchat, "bob")).is_empty());
    let on = config().delivery_receipts(true);
    let group = to(Jid::group(APP, "9001"), 1, NameSpace::Chat, wire::encode(&body(Type::Chat, "bob")));
    assert!(self::receipts(&Sim::online_with(on).frame(&page(vec![group]))).is_empty(), "none goes to a group");
}

#[test]
fn false_claims_without_end_are_told_of_once_in_ten_minutes_with_a_count() {
    let mut sim = Sim::online();
    let forged = |id: u64| by_mallory(id, &body(Type::Chat, &format!("admin{id}")));
    let counts = |did: &Did| {
        let counts = did.notes().into_iter().filter_map(|note| match note {
            Diagnostic::FalseClaims { count, claims, .. } => Some((*count, claims.from.clone().unwrap().to_string())),
            _ => None,
        });
        counts.collect::<Vec<_>>()
    };
    assert_eq!(counts(&sim.frame(&page((1..=50).map(forged).collect()))), [(1, "admin1".to_owned())]);
    assert_eq!(counts(&sim.frame(&page((51..=99).map(forged).collect()))), []);
    for _ in 0..61 {
        sim.pass(seconds(10));
    }
    assert_eq!(counts(&sim.frame(&page(vec![forged(100)]))), [(99, "admin100".to_owned())]);
    assert_eq!(counts(&sim.frame(&page(vec![forged(101)]))), []);
    sim.step(agora_chat::session::Input::Close);
    let ended = counts(&sim.run_out());
    assert_eq!(ended, [(1, "admin101".to_owned())], "and what is left at the end");
}

#[test]
fn a_claim_is_cut_at_the_length_that_names_have() {
    let did = heard(by_mallory(1, &body(Type::Chat, &"ü".repeat(1 << 20))));
    let (_, claims) = event_and_claims(&did);
    assert_eq!(claims.from.as_deref().map(|name| name.chars().count()), Some(Claims::MAX_CHARS));
}
