//! The recorded messages, made by the public face.

use std::collections::HashMap;

use agora_chat::{
    Conversation, MessageBody, Outgoing, SendError,
    messages::{
        Attachment, Bundle, BundledMessage, Combined, Custom, Ext, FileSecret, Image, Location, Priority, RoomRequest,
        Video, Voice,
    },
    wire::Meta,
};
use serde_json::json;

use crate::send_vectors::{alice, app_key};

/// Makes a message's meta under a client id.
pub(crate) type Make = Box<dyn Fn(u64) -> Meta>;

const SERVER_ID: u64 = 1_157_777_777_777_777_777;

fn group() -> Conversation {
    Conversation::group("184524748161025")
}

fn room() -> Conversation {
    Conversation::room("184524748161026")
}

fn uploaded(name: &str, length: u64) -> Attachment {
    let mut file = Attachment::at("https://a1.example.com/org/app/chatfiles/5fd74830-10df-11ee-b1b8-a5c3b1b0e1f3");
    file.secret = Some(FileSecret::new("X9dIOhDfEe6X"));
    file.name = name.to_owned();
    file.length = length;
    file
}

fn every_type() -> Ext {
    Ext::new()
        .with("i", 1)
        .with("neg", -1)
        .with("big", 5_000_000_000_i64)
        .with("t", true)
        .with("f", false)
        .with("d", 1.5)
        .with("s", "str")
        .with("o", json!({"x": 1}))
        .with("a", json!([1, "b"]))
        .with("n", json!(null))
        .with("nan", f64::NAN)
        .with("inf", f64::INFINITY)
}

fn hello() -> Result<Outgoing, SendError> {
    Outgoing::text("bob", "hello")
}

fn corrected() -> MessageBody {
    MessageBody::Text("corrected".to_owned())
}

/// What is uploaded for the combined message.
pub(crate) fn bundle() -> Bundle {
    let mut file = Attachment::at("https://a1.example.com/org/app/chatfiles/u1");
    file.secret = Some(FileSecret::new("S1"));
    file.name = "p.png".to_owned();
    file.length = 10;
    let picture = MessageBody::Image(Box::new(Image::new(file, 3.0, 4.0)));
    let messages = [
        BundledMessage::new("bob", "alice", MessageBody::Text("one".to_owned()))
            .id(1_157_777_777_777_777_701)
            .timestamp(1_700_000_000_001),
        BundledMessage::new("alice", "bob", picture).id(1_157_777_777_777_777_702).timestamp(1_700_000_000_002),
    ];
    Bundle::new(&app_key(), &messages).unwrap()
}

fn combined() -> Combined {
    let bundle = bundle();
    let uploaded = uploaded("500000000023", bundle.file().len().try_into().unwrap());
    bundle.combined(uploaded, "Chat history", "bob: one", "no support")
}

/// By the name of its recorded body.
pub(crate) fn all() -> HashMap<&'static str, Make> {
    let mut all: HashMap<&'static str, Make> = HashMap::new();
    let mut add = |name, make: fn() -> Result<Outgoing, SendError>| {
        let make: Make = Box::new(move |client_id| make().unwrap().into_meta(client_id, &app_key(), &alice()));
        assert!(all.insert(name, make).is_none(), "{name} twice");
    };
    add("txt_single", hello);
    add("txt_utf8", || Outgoing::text("bob", "héllo 你好 😀"));
    add("txt_empty", || Outgoing::text("bob", ""));
    add("txt_ext_types", || Ok(hello()?.ext(every_type())));
    add("txt_single_online_only", || Ok(hello()?.online_only()));
    add("txt_single_resource", || Outgoing::text("bob/webim_web_9", "hello"));
    add("txt_group", || Outgoing::text(group(), "hello group"));
    add("txt_group_ack", || Ok(Outgoing::text(group(), "please read")?.group_receipts(true)));
    add("txt_group_directed", || Outgoing::text(group(), "for two")?.directed_to(["bob", "carol"]));
    add("txt_thread", || Outgoing::text(Conversation::thread("210000000000001"), "in thread"));
    add("txt_room", || Outgoing::text(room(), "hello room"));
    add("txt_room_high", || Ok(Outgoing::text(room(), "hello room")?.priority(Priority::High)));
    add("txt_room_low", || Ok(Outgoing::text(room(), "hello room")?.priority(Priority::Low)));
    add("img", || Outgoing::image("bob", Image::new(uploaded("p.png", 1234), 640.0, 480.0)));
    add("img_gif", || Outgoing::image("bob", Image::new(uploaded("p.gif", 99), 10.0, 20.0).gif()));
    add("img_url", || {
        Outgoing::image("bob", Image::new(Attachment::at("https://cdn.example.com/p.png"), 640.0, 480.0))
    });
    add("audio", || Outgoing::voice("bob", Voice::new(uploaded("v.amr", 2000), 7)));
    add("video", || Outgoing::video("bob", Video::new(uploaded("m.mp4", 3000), 12)));
    add("file", || Outgoing::file("bob", uploaded("d.pdf", 4000)));
    add("loc", || Outgoing::location("bob", Location::new(59.9139, 10.7522, "1 Main St").building("Tower")));
    add("cmd", || Ok(Outgoing::command("bob", "typing")?.ext(Ext::new().with("k", "v"))));
    add("custom", || {
        let values = Ext::new().with("id", "42").with("n", 3).with("ok", true);
        Outgoing::custom("bob", Custom::new("order", values))
    });
    add("combine", || Outgoing::combined("bob", combined()));
    add("read_ack", || Outgoing::read_by_id("bob", SERVER_ID));
    add("read_ack_group", || Outgoing::group_read("184524748161025", SERVER_ID, Some(r#"{"x":1}"#.to_owned())));
    add("delivery_ack", || Outgoing::delivered_by_id("bob", SERVER_ID));
    add("channel_ack", || Outgoing::conversation_read("bob"));
    add("channel_ack_group", || Outgoing::conversation_read(group()));
    add("recall", || Ok(Outgoing::recall("bob", SERVER_ID)?.recall_ext("why")));
    add("recall_group", || Outgoing::recall(group(), SERVER_ID));
    add("edit", || Outgoing::edit("bob", SERVER_ID, corrected()));
    add("edit_group_ext", || Ok(Outgoing::edit(group(), SERVER_ID, corrected())?.ext(Ext::new().with("a", "b"))));
    let mut add = |name, make: fn() -> Result<RoomRequest, SendError>| {
        let make: Make = Box::new(move |client_id| make().unwrap().into_meta(client_id, &app_key(), &alice()));
        assert!(all.insert(name, make).is_none(), "{name} twice");
    };
    add("room_join", || Ok(RoomRequest::join("184524748161026")?.with_ext("hi").leaving_others()));
    add("room_leave", || RoomRequest::leave("184524748161026"));
    all
}
