//! The most frequent message, a plain text, read without decoding the body.

use super::{Parties, chat_type, extras};
use crate::{
    model::{
        account::UserId,
        message::{ChatType, Message, MessageBody},
    },
    wire::{BodyView, Meta},
};

/// A plain text as it stands in the payload. Reading it allocates nothing.
#[derive(Debug, PartialEq)]
pub(crate) struct Plain<'a> {
    chat: ChatType,
    from: Option<&'a str>,
    to: Option<&'a str>,
    text: &'a str,
}

impl<'a> Plain<'a> {
    /// Reads the plain text in a chat meta; `None` for anything else, whose body must be decoded.
    pub(crate) fn scan(meta: &'a Meta) -> Option<Self> {
        let body = BodyView::of(meta.payload.as_deref()?)?;
        Some(Plain { chat: chat_type(body.kind)?, from: body.from.name, to: body.to.name, text: body.text })
    }

    pub(crate) fn parties(&self, meta: &'a Meta) -> Parties<'a> {
        Parties::of(meta, self.from, self.to, Some(self.chat))
    }

    pub(crate) fn message(&self, parties: &Parties<'_>, meta: &Meta, own: Option<&UserId>) -> Message {
        let body = MessageBody::Text(self.text.to_owned());
        let mut message = Message::bare(meta, parties, body, own);
        message.extras = extras::read(meta, &message, None, None, parties);
        message
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, option, prelude::*};
    use prost::Message as _;

    use super::Plain;
    use crate::{
        model::{account::UserId, message::Message},
        wire::{Body, Content, Jid, KeyValue, MessageBody, Meta, encode, message_body::MessageConfig},
    };

    fn own() -> UserId {
        "alice".parse().unwrap()
    }

    fn meta(payload: Bytes) -> Meta {
        let jid = |name: &str| Jid::user("org#app", name);
        Meta {
            id: Some(7),
            from: Some(jid("bob").with_resource("phone")),
            to: Some(jid("alice")),
            ns: Some(1),
            payload: Some(payload),
            ..Meta::default()
        }
    }

    fn slow(meta: &Meta) -> Option<Message> {
        match meta.body() {
            Ok(Body::Chat(body)) => Message::from_body(meta, *body, Some(&own())),
            _ => None,
        }
    }

    fn agree(meta: &Meta) -> bool {
        let plain = Plain::scan(meta).map(|plain| plain.message(&plain.parties(meta), meta, Some(&own())));
        let found = plain.is_some();
        if found {
            assert_eq!(plain, slow(meta));
        }
        found
    }

    fn text(text: &str) -> MessageBody {
        let named = |name: &str| Some(Jid { name: Some(name.to_owned()), ..Jid::default() });
        let contents = vec![Content { r#type: Some(0), text: Some(text.to_owned()), ..Content::default() }];
        MessageBody { r#type: Some(1), from: named("bob"), to: named("alice"), contents, ..MessageBody::default() }
    }

    #[test]
    fn a_plain_text_is_found_and_what_has_more_to_it_is_not() {
        assert!(agree(&meta(encode(&text("hi")))));
        assert!(agree(&meta(encode(&text("")))));
        let mut other = text("hi");
        other.contents[0].sub_type = Some(0);
        assert!(!agree(&meta(encode(&other))));
        assert!(!agree(&meta(encode(&MessageBody { ext: vec![KeyValue::default()], ..text("hi") }))));
        assert!(!agree(&meta(encode(&MessageBody { meta: Some("{}".into()), ..text("hi") }))));
        assert!(!agree(&meta(encode(&MessageBody { msg_config: Some(MessageConfig::default()), ..text("hi") }))));
        assert!(!agree(&meta(encode(&MessageBody { r#type: Some(4), ..text("hi") }))));
        assert!(!agree(&meta(encode(&MessageBody { contents: vec![], ..text("hi") }))));
    }

    #[test]
    fn a_plain_text_takes_three_allocations() {
        let (own, meta) = (own(), meta(encode(&text("hi"))));
        let counted = allocation_counter::measure(|| drop(Message::from_meta(&meta, Some(&own))));
        assert!(counted.count_total <= 3, "{counted:?}");
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_the_decoder_finds(
            kind in option::of(0..9), from in option::of(".{0,6}"), to in option::of(".{0,6}"),
            texts in vec(option::of(".{0,6}"), 0..3), number in option::of(-1..10),
        ) {
            let jid = |name: Option<String>| name.map(|name| Jid { name: Some(name), ..Jid::default() });
            let contents = texts.into_iter().map(|text| Content { r#type: number, text, ..Content::default() });
            let body = MessageBody {
                r#type: kind, from: jid(from), to: jid(to), contents: contents.collect(), ..MessageBody::default()
            };
            agree(&meta(encode(&body)));
        }

        #[test]
        fn spoilt_bytes_are_never_taken_for_more_than_the_decoder_does(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), tail in vec(any::<u8>(), 0..6),
        ) {
            let mut bytes = text("hello").encode_to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            agree(&meta(bytes.clone().into()));
            bytes.extend(tail);
            agree(&meta(bytes.into()));
        }
    }
}
