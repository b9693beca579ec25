//! Bodies that lie about their sender or conversation: refused, unless a test wants them to pass.

use agora_chat::{
    Connection, Conversation, Credentials, EventHandler, EventKind,
    local_server::{FrameKind, LocalServer},
    wire::{self, Body, CommSyncUl, Content, Jid, MessageBody, Meta, Upward, content::ContentType, message_body::Type},
};
use tokio::sync::mpsc;

use crate::peer::{APP, LIMIT, Peer, code, server};

fn named(name: &str) -> Option<Jid> {
    Some(Jid { name: Some(name.to_owned()), ..Jid::default() })
}

fn body(kind: Type, from: &str, to: &str) -> MessageBody {
    let content = Content { r#type: Some(ContentType::Text as i32), text: Some("x".to_owned()), ..Content::default() };
    MessageBody {
        r#type: Some(kind as i32),
        from: named(from),
        to: named(to),
        contents: vec![content],
        ..MessageBody::default()
    }
}

fn meta(id: u64, to: Jid, body: &MessageBody) -> Meta {
    let (to, payload) = (Some(to), Some(wire::encode(body)));
    Meta { id: Some(id), to, ns: Some(1), payload, routetype: Some(0), ..Meta::default() }
}

/// A server with mallory, and the groups and rooms she lies about.
struct Scene {
    server: LocalServer,
    mallory: Peer,
    /// One that mallory and alice are in.
    group: String,
    /// One that mallory is not in.
    other: String,
    /// What bob said to alice.
    of_bob: u64,
    id: u64,
}

impl Scene {
    async fn new() -> Self {
        let server = server().await;
        server.create_user("mallory", "pw-m").unwrap();
        let group = server.create_group("alice", &["mallory", "bob"]).unwrap();
        let other = server.create_group("bob", &["alice"]).unwrap();
        let of_bob = server.send_text("bob", "alice", "hello").unwrap();
        let mallory = Peer::login(&server, "mallory", "m1");
        Scene { server, mallory, group, other, of_bob, id: 0 }
    }

    /// Sends it; answers the status.
    fn say(&mut self, to: Jid, body: &MessageBody) -> i32 {
        self.id += 1;
        let sent = meta(self.id, to, body);
        self.mallory.send(&wire::MSync::client_sync(&CommSyncUl::send(sent)));
        // Word of the groups may come before it.
        loop {
            if let wire::Downward::Sync(answer) = self.mallory.receive()
                && answer.meta_id == Some(self.id)
            {
                return code(answer.status.as_ref());
            }
        }
    }

    /// Every kind of lie: what it is, whom it goes to, and what the body says.
    fn lies(&self) -> Vec<(&'static str, Jid, MessageBody)> {
        let (alice, group) = (Jid::user(APP, "alice"), Jid::group(APP, &self.group));
        let said = |kind, from, meta: &str| MessageBody { meta: Some(meta.to_owned()), ..body(kind, from, "alice") };
        let about = |kind, from| MessageBody { ack_message_id: Some(self.of_bob), ..body(kind, from, "alice") };
        vec![
            ("as the administrator", alice.clone(), body(Type::Chat, "admin", "alice")),
            ("as alice herself", alice.clone(), body(Type::Chat, "Alice", "alice")),
            ("as bob, on a device", alice.clone(), body(Type::Chat, "bob/phone", "alice")),
            ("to another user", alice.clone(), body(Type::Chat, "mallory", "bob")),
            ("in a group she is not in", alice.clone(), body(Type::Groupchat, "mallory", &self.other)),
            ("as a group's", alice.clone(), body(Type::Groupchat, "mallory", "alice")),
            ("as a room's", alice.clone(), body(Type::Chatroom, "mallory", "alice")),
            ("to all as if to one", group.clone(), body(Type::Chat, "mallory", &self.group)),
            ("as a room's, in a group", group.clone(), body(Type::Chatroom, "mallory", &self.group)),
            ("in one group as if in another", group.clone(), body(Type::Groupchat, "mallory", &self.other)),
            ("as bob, in a group", group.clone(), body(Type::Groupchat, "bob", &self.group)),
            ("bob's receipt", alice.clone(), about(Type::ReadAck, "bob")),
            ("a receipt for what bob said", alice.clone(), about(Type::DeliverAck, "mallory")),
            ("a read conversation of bob", alice.clone(), body(Type::ChannelAck, "bob", "alice")),
            ("as edited by the service", alice.clone(), said(Type::Chat, "mallory", r#"{"edit_msg":{"count":1}}"#)),
            ("with reactions", alice.clone(), said(Type::Chat, "mallory", r#"{"reaction":[]}"#)),
            ("as in a thread", group, {
                let meta = Some(r#"{"thread":{}}"#.to_owned());
                MessageBody { meta, ..body(Type::Groupchat, "mallory", &self.group) }
            }),
        ]
    }
}

#[actix_web::test]
async fn a_body_that_lies_is_refused_and_reaches_nobody() {
    let mut scene = Scene::new().await;
    let mut alice = Peer::login(&scene.server, "alice", "a1");
    let before = |alice: &mut Peer| {
        let waiting = alice.unread().unread;
        waiting.into_iter().map(|entry| (entry.queue.clone().unwrap().name, entry.n)).collect::<Vec<_>>()
    };
    let waiting = before(&mut alice);
    for (what, to, body) in scene.lies() {
        let status = scene.say(to, &body);
        assert!(matches!(status, 4 | 7), "{what}: {status}");
    }
    let not_in_it = body(Type::Groupchat, "mallory", &scene.other);
    assert_eq!(scene.say(Jid::group(APP, &scene.other), &not_in_it), 1, "not in group or chatroom");
    assert_eq!(before(&mut alice), waiting);
}

#[actix_web::test]
async fn a_body_that_says_the_same_in_another_form_or_nothing_is_taken() {
    let mut scene = Scene::new().await;
    let alice = Jid::user(APP, "alice");
    let long = format!("{APP}_mallory@easemob.com/m1");
    for from in ["mallory", "Mallory", "MALLORY", "mallory/m1", &long, ""] {
        for to in ["alice", "Alice", "alice/a1", ""] {
            assert_eq!(scene.say(alice.clone(), &body(Type::Chat, from, to)), 0, "{from} to {to}");
        }
    }
    let silent = MessageBody { from: None, to: None, ..body(Type::Chat, "", "") };
    assert_eq!(scene.say(alice.clone(), &silent), 0);
    assert_eq!(scene.say(Jid { domain: None, ..alice.clone() }, &silent), 0, "without a domain");
    let group = scene.group.clone();
    assert_eq!(scene.say(Jid::group(APP, &group), &body(Type::Groupchat, "mallory", &group)), 0);
    let hello = scene.server.send_text("alice", "mallory", "hello").unwrap();
    let receipt = MessageBody { ack_message_id: Some(hello), ..body(Type::ReadAck, "mallory", "alice") };
    assert_eq!(scene.say(alice, &receipt), 0);
}

#[actix_web::test]
async fn a_recall_that_names_nobody_is_passed_on_with_its_sender() {
    let mut scene = Scene::new().await;
    let alice = Jid::user(APP, "alice");
    let mut told = Vec::new();
    for pass in [false, true] {
        scene.server.set_forged_bodies(pass);
        let said = scene.server.send_text("mallory", "alice", "hello").unwrap();
        let recall = MessageBody { from: None, ack_message_id: Some(said), ..body(Type::Recall, "", "alice") };
        assert_eq!(scene.say(alice.clone(), &recall), 0);
    }
    let mut peer = Peer::login(&scene.server, "alice", "a2");
    let mut key = None;
    loop {
        let batch = peer.pull("mallory", key);
        for meta in batch.metas {
            if let Ok(Body::Chat(body)) = meta.body()
                && body.r#type == Some(Type::Recall as i32)
            {
                told.push(body.from.map(|from| from.name().to_owned()));
            }
        }
        key = batch.next_key;
        if batch.is_last == Some(true) {
            break;
        }
    }
    assert_eq!(told, [Some("mallory".to_owned()), None]);
}

#[actix_web::test]
async fn where_lies_may_pass_a_client_goes_by_the_server_and_answers_whom_it_names() {
    let mut scene = Scene::new().await;
    scene.server.set_forged_bodies(true);
    let (heard, mut events) = mpsc::unbounded_channel();
    let connection = Connection::start(scene.server.config().delivery_receipts(true).build().unwrap()).unwrap();
    let handler = EventHandler::new().on_event(move |event| {
        if matches!(event.kind(), EventKind::Message(_) | EventKind::Receipt(_)) {
            let _ = heard.send(event.clone());
        }
    });
    connection.handlers().add_event_handler("test", handler).unwrap();
    let token = scene.server.issue_token("alice", None).unwrap();
    connection.open(Credentials::token("alice", token).unwrap()).await.unwrap();
    let mut next = async || tokio::time::timeout(LIMIT, events.recv()).await.unwrap().unwrap();
    let EventKind::Message(hello) = next().await.kind().clone() else { panic!() };
    assert_eq!((hello.id, &*hello.from), (scene.of_bob, "bob"));
    let mut to_alice = 0;
    for (what, to, body) in scene.lies() {
        assert_eq!(scene.say(to.clone(), &body), 0, "{what}");
        let event = next().await;
        let claims = event.kind().claims();
        match event.kind() {
            EventKind::Message(message) => {
                assert_eq!((&*message.from, message.own), ("mallory", false), "{what}");
                let place = if to.domain() == wire::USER_DOMAIN {
                    to_alice += u64::from(body.r#type == Some(Type::Chat as i32));
                    Conversation::user("mallory")
                } else if what == "as in a thread" {
                    Conversation::thread(scene.group.as_str())
                } else if what == "as a room's, in a group" {
                    // Their addresses are of one kind.
                    Conversation::room(scene.group.as_str())
                } else {
                    Conversation::group(scene.group.as_str())
                };
                assert_eq!(message.conversation(), place, "{what}");
            }
            EventKind::Receipt(receipt) => assert_eq!((&*receipt.from, receipt.own), ("mallory", false), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
        // What is only in the wrong place, or in the service's part of the body, names the right people.
        let honest_names = ["as a room's, in a group", "as in a thread", "a receipt for what bob said"];
        let of_the_service = ["as edited by the service", "with reactions"];
        let expected = !honest_names.contains(&what) && !of_the_service.contains(&what);
        assert_eq!(claims.is_some(), expected, "{what}: {claims:?}");
    }
    let receipts = |server: &LocalServer| {
        let sent = server.sent_by("alice").into_iter().filter(|frame| matches!(frame.kind, FrameKind::Send { .. }));
        let to = sent.filter_map(|frame| {
            let frame = wire::MSync::decode_frame(frame.bytes, 1 << 20).ok()?;
            let Ok(Upward::Sync(sync)) = frame.upward() else { return None };
            let meta = sync.meta?;
            let Ok(Body::Chat(body)) = meta.body() else { return None };
            (body.r#type == Some(Type::DeliverAck as i32)).then(|| meta.to.unwrap().name().to_owned())
        });
        to.collect::<Vec<_>>()
    };
    let count = usize::try_from(to_alice).unwrap();
    scene.server.wait_until(LIMIT, |server| receipts(server).len() == count + 1).await.unwrap();
    let mut to = receipts(&scene.server);
    assert_eq!(to.remove(0), "bob", "for what bob said");
    assert!(to.iter().all(|to| to == "mallory"), "{to:?}");
    connection.close().await;
}
