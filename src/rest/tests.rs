use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use prost::Message as _;

use super::{
    ConversationPage, DeviceInfo, HistoryPage, PresenceState, PresenceSubscriptions, RegisteredUser, UserAttributes,
    answer::{self, parse_expiry},
    classify::classify,
    device::parse_result,
    discovery,
};
use crate::{
    model::account::UserId,
    net::Network,
    wire::{Jid, KeyValue, MessageBody, Meta},
};
use crate::{model::error::Operation, rest::session_call};

const LENGTH: usize = 1 << 20;

const MOST: u64 = 24 << 20;

/// As many of `one` as make an answer of the largest size within `head` and `tail`.
fn filled(head: &str, one: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    for n in 0.. {
        let next = one(n);
        if text.len() + next.len() + tail.len() + 1 > LENGTH {
            break;
        }
        if n > 0 {
            text.push(',');
        }
        text.push_str(&next);
    }
    text + tail
}

/// Returns the same with no more than so many, which is as much as an answer of many small parts may hold.
fn some(head: &str, count: usize, one: impl Fn(usize) -> String, tail: &str) -> String {
    format!("{head}{}{tail}", (0..count).map(one).collect::<Vec<_>>().join(","))
}

/// Returns one part over and over, and fewer of it, so that some are the most that is still taken.
fn scaled(head: &str, one: impl Fn(usize) -> String, tail: &str) -> Vec<String> {
    let mut all = vec![filled(head, &one, tail)];
    all.extend([10_000].map(|count| some(head, count, &one, tail)));
    all.retain(|text| text.len() <= LENGTH);
    all
}

/// Lists and objects that are costly for their length, where a call looks and where it does not.
fn costly(head: &str, tail: &str) -> Vec<String> {
    let parts = [
        r#"{"":0}"#,
        r#"{"a":{"b":{"":0}}}"#,
        "[[[0]]]",
        r#""""#,
        r#"{"uid":"","status":{"":0}}"#,
        r#"{"username":"a"}"#,
        r#"{"res":"a"}"#,
        r#"{"session_to":"a","session_type":"chat","meta":{"":0}}"#,
        r#"{"protocol":"http","domain":"a"}"#,
        r#"{"msg":""}"#,
    ];
    parts.into_iter().flat_map(|part| scaled(head, |_| part.to_owned(), tail)).collect()
}

/// Messages of the history, base64 of encoded metas.
fn history() -> Vec<String> {
    let meta = |payload: Vec<u8>| {
        let meta = Meta {
            id: Some(7),
            from: Some(Jid { name: Some("bob".into()), ..Jid::default() }),
            to: Some(Jid { name: Some("alice".into()), ..Jid::default() }),
            ns: Some(1),
            payload: Some(Bytes::from(payload)),
            ..Meta::default()
        };
        format!("{{\"msg\":\"{}\"}}", BASE64_STANDARD.encode(meta.encode_to_vec()))
    };
    let text = MessageBody { r#type: Some(1), ..MessageBody::default() };
    let attribute = KeyValue { key: Some("a".into()), ..KeyValue::default() };
    let mut all = Vec::new();
    for (count, entry) in [(60_000, Vec::new()), (15_000, attribute.encode_to_vec())] {
        for tag in [4_u8, 5, 9, 13] {
            let field = [&[tag << 3 | 2, u8::try_from(entry.len()).unwrap()][..], &entry[..]].concat();
            let payload = [text.encode_to_vec(), field.repeat(count)].concat();
            let entry = meta(payload);
            all.push(filled("{\"data\":{\"msgs\":[", |_| entry.clone(), "]}}"));
        }
    }
    all.extend(scaled("{\"data\":{\"msgs\":[", |_| meta(text.encode_to_vec()), "]}}"));
    all
}

/// Messages as the conversations have them, with a payload that is a JSON text of its own.
fn conversations() -> Vec<String> {
    let entry = |ext: &str| {
        let payload = format!("{{\"ext\":{{\"a\":{ext}}},\"bodies\":[{{\"type\":\"txt\",\"msg\":\"\"}}]}}");
        let meta = serde_json::json!({"id": 1, "from": "b", "payload": payload});
        serde_json::json!({"session_to": "a", "session_type": "chat", "meta": meta}).to_string()
    };
    let mut all = Vec::new();
    for length in [200, 5_000, 80_000, 1_000_000] {
        for one in [r#"{"":0}"#, "0", "[]", "[[[0]]]"] {
            let ext = format!("[{}]", vec![one; length / (one.len() + 1)].join(","));
            let entry = entry(&ext);
            all.push(filled("{\"data\":{\"channel_infos\":[", |_| entry.clone(), "]}}"));
        }
    }
    all
}

type Reads = Box<dyn Fn(&[u8])>;

fn reads<T: 'static>(parse: impl Fn(&serde_json::Value) -> T + 'static) -> Reads {
    Box::new(move |text| drop(answer::read(text).map(|answer| parse(&answer))))
}

#[test]
fn an_answer_of_the_largest_size_takes_no_more_than_it_may_whatever_it_holds_and_whoever_asked() {
    let me: UserId = "alice".parse().unwrap();
    let also_me = me.clone();
    let wrapped = |list: &str| costly(&format!("{{\"data\":{{\"{list}\":["), "]}}");
    let discovery = |body: &serde_json::Value| discovery::read("http://b", body, &Network::default().with_plaintext());
    let calls: Vec<(&str, Reads, Vec<String>)> = vec![
        ("tokens", reads(answer::parse_grant), costly("{\"access_token\":\"a\",\"user\":[", "]}")),
        ("expiry", reads(parse_expiry), costly("{\"expire_timestamp\":[", "]}")),
        ("registration", reads(RegisteredUser::parse_all), costly("{\"entities\":[", "]}")),
        ("users", reads(session_call::done), costly("{\"a\":[", "]}")),
        ("devices", reads(DeviceInfo::parse_all), costly("{\"data\":[", "]}")),
        ("kicks", reads(parse_result), costly("{\"data\":[", "]}")),
        ("discovery", reads(discovery), costly("{\"msync-wx\":{},\"rest\":{\"hosts\":[", "]}}")),
        ("presence", reads(PresenceState::parse_all), costly("{\"result\":[", "]}")),
        ("subscriptions", reads(PresenceSubscriptions::parse), costly("{\"result\":{\"sublist\":[", "]}}")),
        (
            "attributes",
            reads(UserAttributes::parse_all),
            scaled("{\"data\":{", |n| format!("\"{n:x}\":{{\"nickname\":\"\"}}"), "}}"),
        ),
        ("history", reads(move |body| HistoryPage::parse(body, &me)), [wrapped("msgs"), history()].concat()),
        (
            "conversations",
            reads(move |body| ConversationPage::parse(body, &also_me)),
            [wrapped("channel_infos"), conversations()].concat(),
        ),
        (
            "refusals",
            Box::new(|text| {
                drop(classify(Operation::PasswordToken, 400, text, None, &crate::model::redactor::Redactor::default()))
            }),
            costly("{\"error\":\"a\",\"error_description\":[", "]}"),
        ),
    ];
    for (call, read, answers) in calls {
        let mut worst = (0, String::new());
        for answer in answers {
            let cost = allocation_counter::measure(|| read(answer.as_bytes())).bytes_max;
            worst = worst.max((cost, answer));
        }
        let (cost, answer) = worst;
        println!("{call}: {cost} bytes for {} of {:.60}", answer.len(), answer);
        assert!(cost + LENGTH as u64 <= MOST, "{call}: {cost} bytes for {} of {:.90}", answer.len(), answer);
    }
}
