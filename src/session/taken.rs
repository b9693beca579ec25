//! What an answer to a send says beyond "taken" (messages spec §1.9, §4.2).

use serde_json::Value;

use crate::{
    ChatType, Message, RoomInfo, Sent, SentEdit, UserId,
    message::json,
    wire::{Body, Meta, meta::NameSpace},
};

/// Reads the first meta of an answer into `sent`; one that cannot be read adds nothing, for the send was taken.
pub(super) fn read(meta: &Meta, user: &UserId, sent: &mut Sent) {
    match NameSpace::try_from(meta.ns.unwrap_or_default()) {
        Ok(NameSpace::Notify) => sent.edit = meta.payload.as_deref().and_then(edit).map(Box::new),
        Ok(NameSpace::Chat) => {
            sent.replaced = Message::from_meta(meta, Some(user)).map(Box::new);
        }
        Ok(NameSpace::Muc) => {
            if let Ok(Body::Muc(body)) = meta.body() {
                let told = body.status.and_then(|status| status.chatroom_info);
                sent.room = told.and_then(|told| room(&told, user.as_str())).map(Box::new);
            }
        }
        _ => {}
    }
}

fn edit(payload: &[u8]) -> Option<SentEdit> {
    let told: Value = json::parse(payload)?;
    let told = told.get("edit_msg")?.as_object()?;
    let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| told.get(key).and_then(whole).unwrap_or(0);
    let chat = match told.get("chat_type").and_then(Value::as_str) {
        Some("chat:user") => Some(ChatType::Single),
        Some("chat:group") => Some(ChatType::Group),
        Some("chat:room") => Some(ChatType::Room),
        _ => None,
    };
    Some(SentEdit {
        count: u32::try_from(number("count")).unwrap_or(u32::MAX),
        operator: text("operator"),
        time: number("edit_time"),
        sender: text("sender"),
        sent_at: number("send_time"),
        chat,
    })
}

fn room(told: &str, user: &str) -> Option<RoomInfo> {
    let told: Value = json::parse(told)?;
    let told = told.get(user)?.as_object()?;
    let is = |key: &str| told.get(key).and_then(Value::as_bool).unwrap_or(false);
    let number = |key: &str| told.get(key).and_then(whole);
    Some(RoomInfo {
        member_count: number("member_count"),
        created_at: number("create_timestamp"),
        all_muted: is("is_all_mute"),
        in_allow_list: is("is_in_white_list"),
        muted_for: number("mute_duration").filter(|duration| *duration > 0),
    })
}

/// A number that may be written as text.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::read;
    use crate::{
        ChatType, MessageBody, RoomInfo, Sent,
        wire::{self, Meta, MucBody, meta::NameSpace, muc_body::Status},
    };

    fn taken(ns: NameSpace, payload: impl Into<Bytes>) -> Sent {
        let mut sent = Sent::new(1, 2, 3);
        let meta = Meta { ns: Some(ns as i32), payload: Some(payload.into()), ..Meta::default() };
        read(&meta, &"alice".parse().unwrap(), &mut sent);
        sent
    }

    fn joined(told: &str) -> Option<RoomInfo> {
        let status = Status { chatroom_info: Some(told.to_owned()), ..Status::default() };
        let body = MucBody { status: Some(status), ..MucBody::default() };
        taken(NameSpace::Muc, wire::encode(&body)).room.map(|room| *room)
    }

    #[test]
    fn the_answer_to_an_edit_tells_of_it() {
        let told = r#"{"edit_msg":{"count":2,"operator":"alice","edit_time":1700000000500,"sender":"bob",
            "send_time":"1700000000100","chat_type":"chat:group"}}"#;
        let edit = taken(NameSpace::Notify, told).edit.unwrap();
        assert_eq!((edit.count, &*edit.operator, edit.time), (2, "alice", 1_700_000_000_500));
        assert_eq!((&*edit.sender, edit.sent_at, edit.chat), ("bob", 1_700_000_000_100, Some(ChatType::Group)));
        for (kind, chat) in [("chat:user", Some(ChatType::Single)), ("chat:room", Some(ChatType::Room)), ("x", None)] {
            let told = format!(r#"{{"edit_msg":{{"chat_type":"{kind}","count":99999999999}}}}"#);
            let edit = taken(NameSpace::Notify, told).edit.unwrap();
            assert_eq!((edit.chat, edit.count), (chat, u32::MAX));
        }
    }

    #[test]
    fn the_answer_to_a_join_tells_of_the_room_to_this_account() {
        let told = r#"{"alice":{"is_all_mute":true,"create_timestamp":17,"is_in_white_list":true,"member_count":3,
            "mute_duration":0},"bob":{"member_count":9}}"#;
        let info = RoomInfo {
            member_count: Some(3),
            created_at: Some(17),
            all_muted: true,
            in_allow_list: true,
            muted_for: None,
        };
        assert_eq!(joined(told), Some(info));
        assert_eq!(joined(r#"{"alice":{"mute_duration":-1}}"#), Some(RoomInfo::default()));
        assert_eq!(joined(r#"{"alice":{"mute_duration":60000}}"#).unwrap().muted_for, Some(60_000));
        assert_eq!(joined(r#"{"bob":{}}"#), None);
    }

    #[test]
    fn content_that_the_service_replaced_comes_with_the_answer() {
        let body = wire::MessageBody {
            r#type: Some(wire::message_body::Type::Chat as i32),
            contents: vec![wire::Content { text: Some("***".to_owned()), ..wire::Content::default() }],
            ..wire::MessageBody::default()
        };
        let sent = taken(NameSpace::Chat, wire::encode(&body));
        assert_eq!(sent.replaced.unwrap().body, MessageBody::Text("***".to_owned()));
    }

    #[test]
    fn what_cannot_be_read_adds_nothing_to_a_send_that_was_taken() {
        for told in ["", "{", "[]", "7", r#"{"edit_msg":7}"#] {
            assert_eq!(taken(NameSpace::Notify, told), Sent::new(1, 2, 3), "{told}");
            assert_eq!(joined(told), None, "{told}");
        }
        assert_eq!(taken(NameSpace::Muc, &b"\xff\xff"[..]), Sent::new(1, 2, 3));
        assert_eq!(taken(NameSpace::Query, "{}"), Sent::new(1, 2, 3));
    }
}
