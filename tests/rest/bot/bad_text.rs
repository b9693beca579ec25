//! Answers whose texts are broken: what is needed is read, and one user's half emoji costs nobody else.

use agora_chat::{
    account::Password,
    errors::RestErrorKind as Kind,
    rest::{Attribute, HistoryQuery},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::bot::{
    scripted::Reply,
    support::{alice, scripted, token, users},
};

fn answer(body: impl AsRef<[u8]>) -> [Reply; 1] {
    [Reply::Answer(200, Vec::new(), body.as_ref().to_vec())]
}

/// What stands for a text here, and what it is read as.
const TEXTS: [(&[u8], &str); 5] = [
    (br"\ud83d", "\u{fffd}"),
    (b"\xed\xa0\xbd", "\u{fffd}"),
    (b"\xff", "\u{fffd}"),
    (br"\ud83d\ude00", "\u{1f600}"),
    (b"a\nb", "a\nb"),
];

/// The body with a text in the place of `%`.
fn with(body: &str, text: &[u8]) -> Vec<u8> {
    let mut parts = body.split('%');
    let mut whole = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        whole.extend(text);
        whole.extend(part.as_bytes());
    }
    whole
}

#[actix::test]
async fn a_login_does_not_fail_for_half_an_emoji_in_a_nickname() {
    for (text, _) in TEXTS {
        let body = with(r#"{"access_token":"t","expires_in":60,"user":{"username":"alice","nickname":"%"}}"#, text);
        let marked = [b"\xef\xbb\xbf".as_slice(), &body].concat();
        for body in [body, marked] {
            let (_server, rest) = scripted(answer(body)).await;
            let grant = rest.password_token(&alice(), &Password::new("p").unwrap()).await.unwrap();
            assert_eq!((grant.token.expose(), grant.user.as_deref()), ("t", Some("alice")));
        }
    }
}

#[actix::test]
async fn one_user_with_half_an_emoji_does_not_cost_the_list() {
    for (text, read) in TEXTS {
        let body = with(r#"{"data":{"bob":{"nickname":"%"},"carol":{"nickname":"Carol","x":"%"}}}"#, text);
        let (_server, rest) = scripted(answer(body)).await;
        let all = rest.attributes_of(&token(), &alice(), &users(&["bob", "carol"]), &[]).await.unwrap();
        assert_eq!(all["bob"].get(Attribute::Nickname), Some(read));
        assert_eq!(all["carol"].get(Attribute::Nickname), Some("Carol"));

        let body = with(r#"{"result":[{"uid":"bob","ext":"%"},{"ext":"%"},{"uid":"carol","expiry":1e999}]}"#, text);
        let (_server, rest) = scripted(answer(body)).await;
        let states = rest.presence_of(&token(), &alice(), &users(&["bob", "carol"])).await.unwrap();
        assert_eq!((states[0].ext.as_str(), states[1].user.as_str(), states.len()), (read, "carol", 2));

        let payload = with(
            r#"{\"from\":\"bob\",\"to\":\"alice\",\"bodies\":[{\"type\":\"txt\",\"msg\":\"%\"}]}"#,
            // Within a text that is JSON itself.
            if text[0] == b'\\' { br"\\ud83d" } else { text },
        );
        let entry = r#"{"session_to":"bob","session_type":"chat","unread_num":3,"meta":{"id":7,"payload":"@"}}"#;
        let body =
            format!(r#"{{"data":{{"channel_infos":[{entry},{{"session_to":"carol","session_type":"chat"}}]}}}}"#);
        let (before, after) = body.split_once('@').unwrap();
        let (_server, rest) = scripted(answer([before.as_bytes(), &payload, after.as_bytes()].concat())).await;
        let page = rest.conversations(&token(), &alice(), 10, None).await.unwrap();
        assert_eq!((page.conversations.len(), page.conversations[0].unread, page.skipped), (2, 3, 0));
        assert!(page.conversations[0].last_message.is_some(), "{page:?}");
    }
}

#[actix::test]
async fn a_message_of_the_history_with_half_an_emoji_is_read() {
    use agora_chat::{
        MessageBody,
        wire::{self, Content, Meta},
    };
    let content = Content { r#type: Some(0), text: Some("half %%%".to_owned()), ..Content::default() };
    let body = wire::MessageBody { r#type: Some(1), contents: vec![content], ..wire::MessageBody::default() };
    let meta = Meta { id: Some(7), ns: Some(1), payload: Some(wire::encode(&body)), ..Meta::default() };
    let mut meta = wire::encode(&meta).to_vec();
    let at = meta.windows(3).position(|three| three == b"%%%").unwrap();
    meta[at..at + 3].copy_from_slice(&[0xed, 0xa0, 0xbd]);
    let page = json!({"data": {"msgs": [{"msg": STANDARD.encode(meta)}], "is_last": true}});
    let (_server, rest) = scripted([Reply::json(200, &page)]).await;
    let page = rest.history(&token(), &alice(), &"bob".into(), &HistoryQuery::new()).await.unwrap();
    assert_eq!((page.messages[0].body.clone(), page.skipped), (MessageBody::Text("half \u{fffd}".to_owned()), 0));
}

#[actix::test]
async fn a_refusal_means_the_same_whatever_its_texts_hold() {
    for (text, read) in TEXTS {
        let body = with(r#"{"error":"invalid_grant","error_description":"invalid password","x":"%"}"#, text);
        let (_server, rest) = scripted([Reply::Answer(400, Vec::new(), body)]).await;
        let error = rest.password_token(&alice(), &Password::new("p").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), &Kind::InvalidPassword);
        let body = with(r#"{"error":"e","error_code":60003,"error_description":"%"}"#, text);
        let (_server, rest) = scripted([Reply::Answer(404, Vec::new(), body)]).await;
        let error = rest.history(&token(), &alice(), &"bob".into(), &HistoryQuery::new()).await.unwrap_err();
        assert_eq!((error.code().number(), error.kind()), (602, &Kind::NotAMember), "{read}");
    }
}
