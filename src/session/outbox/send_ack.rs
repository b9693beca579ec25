//! Payload of a successful send ack (messages spec §1.9, §4.2).

use crate::session::decode::named_chat;
use crate::{
    model::{
        account::UserId,
        message::{
            Message,
            json::{self, View},
        },
        outgoing::{RoomInfo, Sent, SentEdit},
    },
    wire::{Body, Meta, meta::NameSpace},
};

/// Reads the first meta of an ack into `sent`; an unreadable one adds nothing, for the send succeeded.
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
    let told = json::open(payload)?;
    let told = Some(told.view().get("edit_msg")).filter(|told| told.is_object())?;
    let [count, operator, time, sender, sent_at, chat] =
        told.fields(["count", "operator", "edit_time", "sender", "send_time", "chat_type"]);
    let text = |view: View<'_>| view.str().unwrap_or_default().into_owned();
    Some(SentEdit {
        count: u32::try_from(count.number().unwrap_or(0)).unwrap_or(u32::MAX),
        operator: text(operator),
        time: time.number().unwrap_or(0),
        sender: text(sender),
        sent_at: sent_at.number().unwrap_or(0),
        chat: named_chat(chat),
    })
}

fn room(told: &str, user: &str) -> Option<RoomInfo> {
    let told = json::open(told)?;
    let told = Some(told.view().get(user)).filter(|told| told.is_object())?;
    let [members, created_at, all_muted, allowed, muted_for] =
        told.fields(["member_count", "create_timestamp", "is_all_mute", "is_in_white_list", "mute_duration"]);
    Some(RoomInfo {
        member_count: members.number(),
        created_at: created_at.number(),
        all_muted: all_muted.raw() == "true",
        in_allow_list: allowed.raw() == "true",
        muted_for: muted_for.number().filter(|duration| *duration > 0),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::read;
    use crate::{
        model::{
            message::{ChatType, MessageBody},
            outgoing::{RoomInfo, Sent},
        },
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
