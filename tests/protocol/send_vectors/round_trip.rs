//! What is encoded decodes to what was said, whatever it was.

use agora_chat::{
    Conversation, MessageBody, Outgoing,
    messages::{Attachment, Combined, Custom, Ext, ExtValue, FileSecret, Image, Location, Video, Voice},
    wire::{
        self, Body, Content, Jid, KeyValue, Meta,
        content::{ContentType, SubType},
        encode,
        key_value::{Value, ValueType},
        message_body::Type,
        meta::RouteType,
    },
};
use proptest::{collection::vec, option, prelude::*};
use prost::Message;

use crate::send_vectors::{alice, app_key};

/// Over the wire and back.
fn decoded(message: Outgoing) -> (Meta, wire::MessageBody) {
    let meta = Meta::decode(encode(&message.into_meta(1, &app_key(), &alice()))).unwrap();
    match meta.body().unwrap() {
        Body::Chat(body) => (meta, *body),
        other => panic!("{other:?}"),
    }
}

fn conversation() -> impl Strategy<Value = Conversation> {
    prop_oneof![
        "[a-z0-9._-]{1,64}".prop_map(Conversation::user),
        "[a-z0-9]{1,9}/[ -~]{1,20}".prop_map(Conversation::user),
        "[0-9]{1,20}".prop_map(Conversation::group),
        "\\PC{1,60}".prop_map(Conversation::room),
        "[0-9]{1,20}".prop_map(Conversation::thread),
    ]
}

fn value() -> impl Strategy<Value = ExtValue> {
    prop_oneof![
        any::<bool>().prop_map(ExtValue::Bool),
        any::<i64>().prop_map(ExtValue::Int),
        any::<f64>().prop_map(ExtValue::Double),
        any::<String>().prop_map(ExtValue::Text),
        any::<String>().prop_map(|text| ExtValue::Json(serde_json::json!({ "text": text, "list": [1, null] }).into())),
    ]
}

fn ext() -> impl Strategy<Value = Ext> {
    vec((any::<String>(), value()), 0..6).prop_map(|pairs| pairs.into_iter().collect())
}

/// What the specification says of a value's type (messages spec §1.5).
fn as_specified((key, value): (&str, &ExtValue)) -> KeyValue {
    let (kind, value) = match value {
        ExtValue::Bool(value) => (ValueType::Bool, Value::Varint(i64::from(*value))),
        ExtValue::Int(value) => (ValueType::Int, Value::Varint(*value)),
        ExtValue::Double(value) => (ValueType::Double, Value::Double(*value)),
        ExtValue::Text(value) => (ValueType::String, Value::String(value.clone())),
        ExtValue::Json(value) => (ValueType::JsonString, Value::String(value.to_string())),
        other => panic!("{other:?}"),
    };
    KeyValue { key: Some(key.to_owned()), r#type: Some(kind as i32), value: Some(value) }
}

prop_compose! {
    fn stored()(
        (url, name) in ("https://[a-z]{1,9}/[a-z0-9/]{1,20}", any::<String>()),
        secret in option::of("[A-Za-z0-9_-]{1,20}"),
        length in 0..=u64::from(i32::MAX.unsigned_abs()),
    ) -> Attachment {
        let mut file = Attachment::at(url);
        file.name = name;
        file.secret = secret.map(FileSecret::new);
        file.length = length;
        file
    }
}

fn body() -> impl Strategy<Value = MessageBody> {
    let seconds = 0..=i32::MAX.unsigned_abs();
    let text = any::<String>;
    let size = || (0..10_000_u16, 0..10_000_u16).prop_map(|(width, height)| (f64::from(width), f64::from(height)));
    prop_oneof![
        text().prop_map(MessageBody::Text),
        text().prop_map(|action| MessageBody::Command { action }),
        (text(), ext()).prop_map(|(event, values)| MessageBody::Custom(Box::new(Custom::new(event, values)))),
        (-90.0..90.0, -180.0..180.0, text(), text()).prop_map(|(latitude, longitude, address, building)| {
            MessageBody::Location(Box::new(Location::new(latitude, longitude, address).building(building)))
        }),
        (stored(), size(), any::<bool>()).prop_map(|(file, (width, height), gif)| {
            let picture = Image::new(file, width, height);
            MessageBody::Image(Box::new(if gif { picture.gif() } else { picture }))
        }),
        (stored(), seconds.clone()).prop_map(|(file, seconds)| MessageBody::Voice(Box::new(Voice::new(file, seconds)))),
        (stored(), seconds, size(), option::of(stored())).prop_map(|(file, seconds, (width, height), thumbnail)| {
            let mut film = Video::new(file, seconds);
            (film.width, film.height, film.thumbnail) = (width, height, thumbnail);
            MessageBody::Video(Box::new(film))
        }),
        stored().prop_map(|file| MessageBody::File(Box::new(file))),
        (stored(), text(), text(), text(), 0..=10_u32).prop_map(|(file, title, summary, words, level)| {
            let mut combined = Combined::default();
            (combined.file, combined.level) = (file, level);
            (combined.title, combined.summary, combined.compatible_text) = (title, summary, words);
            MessageBody::Combined(Box::new(combined))
        }),
    ]
}

fn same_file(content: &Content, file: &Attachment, path: &str) {
    assert_eq!(content.remote_path(), path);
    assert_eq!(content.secret_key.as_deref(), file.secret.as_ref().map(FileSecret::expose));
    assert_eq!(content.display_name(), file.name);
    assert_eq!(u64::try_from(content.file_length()).unwrap(), file.length);
}

/// Field by field, absent where the specification's table has none.
fn same(content: &Content, body: &MessageBody) {
    let kind = content.r#type();
    match body {
        MessageBody::Text(text) => {
            assert_eq!(*content, Content { r#type: Some(0), text: Some(text.clone()), ..Content::default() });
        }
        MessageBody::Command { action } => {
            assert_eq!(*content, Content { r#type: Some(6), action: Some(action.clone()), ..Content::default() });
        }
        MessageBody::Custom(custom) => {
            assert_eq!((kind, content.custom_event()), (ContentType::Custom, &*custom.event));
            let values: Vec<_> = custom.values.iter().map(as_specified).collect();
            assert_eq!(content.custom_exts, values);
        }
        MessageBody::Location(place) => {
            assert_eq!((content.latitude(), content.longitude()), (place.latitude, place.longitude));
            assert_eq!((content.address(), content.building_name()), (&*place.address, &*place.building));
            assert_eq!(kind, ContentType::Location);
        }
        MessageBody::Image(picture) => {
            same_file(content, &picture.file, &picture.file.url);
            let size = content.size.as_ref().unwrap();
            assert_eq!((kind, size.width(), size.height()), (ContentType::Image, picture.width, picture.height));
            assert_eq!(content.sub_type, picture.gif.then_some(SubType::Gif as i32));
        }
        MessageBody::Voice(voice) => {
            same_file(content, &voice.file, &voice.file.url);
            assert_eq!((kind, content.duration().unsigned_abs()), (ContentType::Voice, voice.seconds));
        }
        MessageBody::Video(film) => {
            same_file(content, &film.file, &film.file.url);
            assert_eq!((kind, content.duration().unsigned_abs()), (ContentType::Video, film.seconds));
            let size = content.size.clone().unwrap_or_default();
            assert_eq!((size.width(), size.height()), (film.width, film.height));
            let (path, secret) = match (&film.thumbnail, &film.file.secret) {
                (Some(picture), _) => (Some(picture.url.clone()), picture.secret.clone()),
                (None, Some(secret)) => (Some(format!("{}?vframe=true", film.file.url)), Some(secret.clone())),
                (None, None) => (None, None),
            };
            assert_eq!(content.thumbnail_remote_path, path);
            assert_eq!(content.thumbnail_secret_key.as_deref(), secret.as_ref().map(FileSecret::expose));
        }
        MessageBody::File(file) => {
            same_file(content, file, &file.url);
            assert_eq!(kind, ContentType::File);
        }
        MessageBody::Combined(combined) => {
            let path = match &combined.file.secret {
                Some(secret) => {
                    format!("{}?em-redirect=true&share-secret={}", combined.file.url, secret.expose())
                }
                None => combined.file.url.clone(),
            };
            same_file(content, &combined.file, &path);
            assert_eq!((content.r#type, content.sub_type), (Some(0), Some(0)));
            assert_eq!(content.text.as_deref(), Some(&*combined.compatible_text));
            assert_eq!((content.title(), content.summary()), (&*combined.title, &*combined.summary));
            assert_eq!(content.combine_level().unsigned_abs(), combined.level);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn any_content_comes_out_as_it_went_in(to in conversation(), body in body(), ext in ext()) {
        let (meta, read) = decoded(Outgoing::body(to.clone(), body.clone()).unwrap().ext(ext.clone()));
        prop_assert_eq!(read.contents.len(), 1);
        same(&read.contents[0], &body);
        let not_a_number = |value: &ExtValue| matches!(value, ExtValue::Double(number) if number.is_nan());
        if !ext.iter().any(|(_, value)| not_a_number(value)) {
            let expected: Vec<_> = ext.iter().map(as_specified).collect();
            prop_assert_eq!(read.ext, expected);
        }
        let (id, resource) = match &to {
            Conversation::User(id) => id.split_once('/').map_or((&**id, None), |(user, device)| (user, Some(device))),
            other => (other.id(), None),
        };
        let address = meta.to.as_ref().unwrap();
        prop_assert_eq!(address.name(), id);
        prop_assert_eq!(address.client_resource.as_deref(), resource);
        prop_assert_eq!(read.to.unwrap(), Jid { name: Some(id.to_owned()), ..Jid::default() });
        prop_assert_eq!(read.from.as_ref().unwrap().name(), "alice");
        prop_assert_eq!((meta.routetype(), meta.from, meta.timestamp), (RouteType::RouteAll, None, None));
        let kind = match to {
            Conversation::User(_) => Type::Chat,
            Conversation::Group(_) | Conversation::Thread(_) => Type::Groupchat,
            _ => Type::Chatroom,
        };
        prop_assert_eq!(Type::try_from(read.r#type.unwrap()), Ok(kind));
        prop_assert_eq!(read.meta.is_some(), matches!(to, Conversation::Thread(_)));
    }
}
