//! Messages as the REST calls write them, which is not as the socket does (messages spec §5.4).

use std::sync::Arc;

use serde_json::Value;

use super::answer::{text, whole};
use crate::model::{
    account::UserId,
    message::{
        Attachment, ChatType, Combined, Custom, Ext, Image, Location, Message, MessageBody, Video, Voice, bare_name,
        extras_of_json, is_same, stored,
    },
};

/// The most attributes read; a message within the service's size holds far fewer.
const MAX_EXT: usize = 1024;

/// Reads `meta`: {id, from, to, timestamp, payload}, with the payload as JSON text or object. `None` for unknown kinds.
pub(super) fn message(meta: &Value, chat: ChatType, me: &UserId) -> Option<Message> {
    let parsed;
    let payload = match meta.get("payload")? {
        Value::String(text) => {
            parsed = super::answer::read(text.as_bytes()).ok()?;
            &parsed
        }
        payload => payload,
    };
    // What stands beside the payload is the service's, and the payload the sender's.
    let named = |name| {
        let named = |within| text(within, name).filter(|id| !id.is_empty());
        match (named(meta).map(|name| bare_name(name, None)).filter(|id| !id.is_empty()), named(payload)) {
            (Some(served), Some(said)) if is_same(served, said, None) => (served, None),
            (Some(served), said) => (served, said),
            (None, said) => (said.unwrap_or_default(), None),
        }
    };
    let ((from, claims_from), (to, claims_to)) = (named("from"), named("to"));
    let ext = match payload.get("ext").and_then(Value::as_object) {
        Some(members) if members.len() > MAX_EXT => return None,
        Some(members) => members.iter().map(|(key, value)| (key.as_str(), value.clone())).collect(),
        None => Ext::new(),
    };
    let mut message = Message {
        id: whole(meta, "id").unwrap_or(0),
        from: Arc::from(from),
        to: Arc::from(to),
        chat,
        own: from.eq_ignore_ascii_case(me.as_str()),
        timestamp: whole(meta, "timestamp").unwrap_or(0),
        body: body(payload.get("bodies")?.get(0)?)?,
        ext,
        extras: payload.get("meta").and_then(|meta| extras_of_json(meta, chat)),
    };
    message.claim(claims_from, claims_to);
    Some(message)
}

fn body(body: &Value) -> Option<MessageBody> {
    let owned = |name| text(body, name).unwrap_or_default().to_owned();
    let kind = text(body, "type")?;
    let sub = text(body, "subType").unwrap_or_default();
    Some(match kind {
        "txt" if sub == "sub_combine" => combined(body),
        "txt" if sub.is_empty() => MessageBody::Text(owned("msg")),
        "combine" => combined(body),
        "img" => {
            let (width, height) = size(body);
            let image = Image::new(file(body), width, height);
            MessageBody::Image(Box::new(if sub == "sub_gif" { image.gif() } else { image }))
        }
        "video" => {
            let (width, height) = size(body);
            let thumbnail = text(body, "thumb")
                .filter(|url| !url.is_empty())
                .map(|url| stored(url.to_owned(), text(body, "thumb_secret").map(str::to_owned)));
            let video = Video { width, height, thumbnail, ..Video::new(file(body), seconds(body)) };
            MessageBody::Video(Box::new(video))
        }
        "audio" => MessageBody::Voice(Box::new(Voice::new(file(body), seconds(body)))),
        "file" => MessageBody::File(Box::new(file(body))),
        "loc" => {
            let degrees = |name: &str| body.get(name).and_then(Value::as_f64).unwrap_or_default();
            let place = Location::new(degrees("lat"), degrees("lng"), owned("addr")).building(owned("buildingName"));
            MessageBody::Location(Box::new(place))
        }
        "cmd" => MessageBody::Command { action: owned("action") },
        "custom" => MessageBody::Custom(Box::new(Custom::new(owned("customEvent"), values(body.get("customExts"))?))),
        _ => return None,
    })
}

fn combined(body: &Value) -> MessageBody {
    let owned = |name| text(body, name).unwrap_or_default().to_owned();
    MessageBody::Combined(Box::new(Combined {
        compatible_text: owned("msg"),
        title: owned("title"),
        summary: owned("summary"),
        level: whole(body, "combineLevel").and_then(|level| u32::try_from(level).ok()).unwrap_or(1),
        file: file(body),
    }))
}

fn file(body: &Value) -> Attachment {
    Attachment {
        name: text(body, "filename").unwrap_or_default().to_owned(),
        length: whole(body, "file_length").unwrap_or(0),
        ..stored(text(body, "url").unwrap_or_default().to_owned(), text(body, "secret").map(str::to_owned))
    }
}

fn seconds(body: &Value) -> u32 {
    whole(body, "length").and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(0)
}

fn size(body: &Value) -> (f64, f64) {
    let pixels = |side: &str| body.get("size").and_then(|size| size.get(side)?.as_f64()).unwrap_or_default();
    (pixels("width"), pixels("height"))
}

/// Returns a custom message's values: a list of objects here, or one object.
fn values(members: Option<&Value>) -> Option<Ext> {
    let objects = match members {
        Some(Value::Array(list)) => list.as_slice(),
        Some(object) => std::slice::from_ref(object),
        None => &[],
    };
    let members: Vec<_> = objects.iter().filter_map(Value::as_object).flatten().take(MAX_EXT + 1).collect();
    (members.len() <= MAX_EXT).then(|| members.into_iter().map(|(key, value)| (key.as_str(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_EXT, message};
    use crate::model::message::{ChatType, Conversation, Message, MessageBody};

    fn read(body: Value) -> Option<Message> {
        let payload = json!({"type": "chat", "from": "bob", "to": "alice", "ext": {"n": 1}, "bodies": [body]});
        let meta = json!({"id": "9223372036854775809", "from": "bob", "to": "alice@easemob.com",
            "timestamp": 7, "payload": payload.to_string()});
        message(&meta, ChatType::Single, &"alice".parse().unwrap())
    }

    fn body(body: Value) -> MessageBody {
        read(body).unwrap().body
    }

    #[test]
    fn a_text_is_read_with_its_envelope() {
        let text = read(json!({"type": "txt", "msg": "hi"})).unwrap();
        assert_eq!((text.id, &*text.from, &*text.to, text.timestamp), (9_223_372_036_854_775_809, "bob", "alice", 7));
        assert_eq!((text.text(), text.own, text.ext.get("n")), (Some("hi"), false, Some(&1_i64.into())));
    }

    #[test]
    fn a_text_is_of_whom_the_service_says_and_in_the_conversation_it_is_listed_in() {
        let payload = json!({"from": "admin", "to": "carol", "bodies": [{"type": "txt", "msg": "hi"}]});
        let meta = json!({"id": "7", "from": "org#app_mallory@easemob.com/pc", "to": "alice", "payload": payload});
        let text = message(&meta, ChatType::Single, &"admin".parse().unwrap()).unwrap();
        assert_eq!((&*text.from, &*text.to, text.own), ("mallory", "alice", false));
        let claims = text.extras().claims.as_deref().unwrap();
        assert_eq!((claims.from.as_deref(), claims.to.as_deref()), (Some("admin"), Some("carol")));
    }

    #[test]
    fn every_kind_of_body_is_taken_apart() {
        let file = json!({"type": "img", "url": "http://h/o/a/chatfiles/u?em-redirect=true&share-secret=s", "secret": "s",
            "filename": "a.png", "file_length": 5, "size": {"width": 3, "height": 4}, "subType": "sub_gif"});
        let MessageBody::Image(image) = body(file.clone()) else { panic!() };
        assert_eq!(
            (image.file.url.as_str(), image.file.length, image.width, image.gif),
            ("http://h/o/a/chatfiles/u", 5, 3.0, true)
        );
        assert_eq!(image.file.secret.as_ref().unwrap().expose(), "s");
        let of = |kind: &str, more: Value| {
            let mut all = file.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all["type"] = kind.into();
            all["subType"] = "".into();
            body(all)
        };
        let MessageBody::Voice(voice) = of("audio", json!({"length": 9})) else { panic!() };
        assert_eq!(voice.seconds, 9);
        let MessageBody::Video(video) = of("video", json!({"length": 9, "thumb": "http://t", "thumb_secret": "t"}))
        else {
            panic!()
        };
        assert_eq!((video.thumbnail.unwrap().url.as_str(), video.height), ("http://t", 4.0));
        let MessageBody::File(file) = of("file", json!({})) else { panic!() };
        assert_eq!(file.name, "a.png");
        let MessageBody::Combined(all) = of("combine", json!({"title": "T", "combineLevel": 2})) else { panic!() };
        assert_eq!((all.title.as_str(), all.level), ("T", 2));
        let place = body(json!({"type": "loc", "lat": 1.5, "lng": -2, "addr": "A", "buildingName": "B"}));
        let MessageBody::Location(place) = place else { panic!() };
        assert_eq!((place.latitude, place.longitude, place.building.as_str()), (1.5, -2.0, "B"));
        assert_eq!(body(json!({"type": "cmd", "action": "go"})), MessageBody::Command { action: "go".to_owned() });
        let custom = body(json!({"type": "custom", "customEvent": "e", "customExts": [{"a": "1"}, {"b": "2"}]}));
        let MessageBody::Custom(custom) = custom else { panic!() };
        assert_eq!((custom.event.as_str(), custom.values.len()), ("e", 2));
    }

    #[test]
    fn a_secret_that_only_the_address_has_is_taken_from_it() {
        let url = "http://h/chatfiles/u?em-redirect=true&share-secret=s&a=b";
        for beside in [json!(null), json!(""), json!("t")] {
            let MessageBody::File(file) = body(json!({"type": "file", "url": url, "secret": beside})) else { panic!() };
            let expected = if beside == "t" { "t" } else { "s" };
            assert_eq!(file.url, "http://h/chatfiles/u?a=b");
            assert_eq!(file.secret.map(|secret| secret.expose().to_owned()).as_deref(), Some(expected));
        }
        let MessageBody::Video(video) = body(json!({"type": "video", "url": "", "thumb": url})) else { panic!() };
        assert_eq!(video.thumbnail.unwrap().secret.unwrap().expose(), "s");
    }

    #[test]
    fn what_comes_with_a_message_is_read_and_what_is_of_no_known_shape_costs_nothing_else() {
        let read = |meta: Value| {
            let payload = json!({"from": "bob", "to": "9002", "meta": meta, "bodies": [{"type": "txt", "msg": "hi"}]});
            message(&json!({"payload": payload}), ChatType::Group, &"alice".parse().unwrap()).unwrap()
        };
        let said = read(json!({
            "thread": {"msg_parent_id": "7", "muc_parent_id": "9001", "thread_name": "T"},
            "edit_msg": {"count": 2, "operator": "bob", "edit_time": 5},
        }));
        let (thread, edit) = (said.extras().thread.as_ref().unwrap(), said.extras().edit.as_ref().unwrap());
        assert_eq!((thread.message_id, &*thread.group, &*thread.name), (7, "9001", "T"));
        assert_eq!((edit.count, &*edit.operator, edit.time), (2, "bob", 5));
        assert_eq!(said.conversation(), Conversation::thread("9002"));
        for odd in [json!({}), json!(null), json!(7), json!("{}"), json!({"thread": 7, "edit_msg": []})] {
            assert_eq!(read(odd.clone()).extras, None, "{odd}");
        }
    }

    #[test]
    fn what_is_not_known_or_too_much_is_no_message() {
        for odd in [json!({}), json!({"type": "new"}), json!({"type": "txt", "subType": "sub_stream"}), json!(7)] {
            assert_eq!(read(odd.clone()), None, "{odd}");
        }
        let many: Vec<_> = (0..=MAX_EXT).map(|n| json!({ n.to_string(): "x" })).collect();
        assert_eq!(read(json!({"type": "custom", "customExts": many})), None);
    }
}
