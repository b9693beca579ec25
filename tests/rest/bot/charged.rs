//! Who is charged with an answer: the one who gave it, for what was asked.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use agora_chat::{
    Conversation, RestClient,
    account::Password,
    errors::{RestError, RestErrorKind as Kind},
    messages::Attachment,
    rest::{HistoryQuery, Upload},
};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::json;

use crate::bot::{
    scripted::{Reply, Scripted},
    support::{alice, client, refused, scripted, token},
};

fn redirect(to: &str) -> Reply {
    Reply::Answer(302, vec![("location", format!("{to}/bucket/u-1"))], Vec::new())
}

fn limited(seconds: u64) -> Reply {
    Reply::Answer(429, vec![("retry-after", seconds.to_string())], b"{\"error\":\"reach_limit\"}".to_vec())
}

fn expiry() -> Reply {
    Reply::json(200, &json!({"expire_timestamp": 7}))
}

async fn download(rest: &RestClient) -> RestError {
    let file = Attachment::at("http://h/org/app/chatfiles/u-1".to_owned());
    rest.download(&token(), &alice(), &file).await.unwrap_err()
}

#[actix::test]
async fn a_storage_hosts_429_holds_back_no_call_at_the_service() {
    let store = Scripted::start([limited(600)]).await;
    let (server, rest) = scripted([redirect(&store.base()), expiry(), redirect(&store.base())]).await;
    let error = download(&rest).await;
    assert_eq!((error.kind(), error.retry_after()), (&Kind::RateLimited, Some(Duration::from_secs(600))));
    assert_eq!(error.host(), store.base().strip_prefix("http://"), "whose limit it is");
    assert_eq!(rest.token_expiry(&alice(), &token()).await.unwrap(), 7);
    assert_eq!(download(&rest).await.kind(), &Kind::RateLimited, "not even another download waits");
    assert_eq!((server.count(), store.count()), (3, 2));
}

#[actix::test]
async fn whatever_goes_wrong_at_a_storage_host_leaves_the_order_of_the_services_hosts_alone() {
    let stalls = Reply::Stall(Vec::new());
    for fails in [Some(Reply::failure(503, "", "")), Some(Reply::failure(500, "", "")), Some(stalls), None] {
        let (store, _kept) = match &fails {
            Some(reply) => {
                let store = Scripted::start([reply.clone()]).await;
                (store.base(), Some(store))
            }
            None => (refused(), None),
        };
        let first = Scripted::start([redirect(&store), expiry()]).await;
        // The second one keeps its files itself.
        let second = Scripted::start([Reply::Answer(200, Vec::new(), b"x".to_vec()), expiry()]).await;
        let config = crate::bot::support::config(&[first.base(), second.base()]);
        let rest = RestClient::new(&config.rest_timeout(Duration::from_millis(500)).build().unwrap()).unwrap();
        let file = Attachment::at("http://h/org/app/chatfiles/u-1".to_owned());
        rest.download(&token(), &alice(), &file).await.unwrap();
        rest.token_expiry(&alice(), &token()).await.unwrap();
        assert_eq!((first.count(), second.count()), (2, 1), "{fails:?}: the first host is still the first one");
    }
}

#[actix::test]
async fn the_services_own_failure_moves_the_order_of_its_hosts() {
    let first = Scripted::start([Reply::failure(503, "", "")]).await;
    let second = Scripted::start([expiry()]).await;
    let rest = client(&[first.base(), second.base()]);
    for _ in 0..2 {
        rest.token_expiry(&alice(), &token()).await.unwrap();
    }
    assert_eq!((first.count(), second.count()), (1, 2));
}

#[actix::test]
async fn a_storage_hosts_401_does_not_ask_for_a_new_token() {
    let store = Scripted::start([Reply::failure(401, "unauthorized", "expired signature")]).await;
    let (_server, rest) = scripted([redirect(&store.base())]).await;
    assert_eq!(download(&rest).await.kind(), &Kind::Forbidden);
}

#[actix::test]
async fn a_limit_of_one_call_holds_back_neither_tokens_nor_other_calls() {
    let (server, rest) = scripted([
        limited(600),
        expiry(),
        Reply::json(200, &json!({"access_token": "t", "expires_in": 60, "user": {"username": "alice"}})),
        limited(600),
        Reply::json(200, &json!({"data": {}})),
    ])
    .await;
    let history = async |rest: &RestClient| {
        rest.history(&token(), &alice(), &Conversation::user("bob"), &HistoryQuery::new()).await.unwrap_err()
    };
    assert_eq!(history(&rest).await.kind(), &Kind::RateLimited);
    assert!(matches!(history(&rest).await.kind(), Kind::Throttled { .. }), "the call itself waits");
    assert_eq!(rest.token_expiry(&alice(), &token()).await.unwrap(), 7);
    rest.password_token(&alice(), &Password::new("pw").unwrap()).await.unwrap();
    let error = rest.upload(&token(), &alice(), Upload::bytes("n", "x")).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::RateLimited);
    // Refused or not, it was asked.
    let _ = rest.presence_of(&token(), &alice(), &[alice()]).await;
    assert_eq!(server.count(), 5);
}

#[actix::test]
async fn a_source_that_gives_nothing_says_nothing_about_the_host() {
    struct Never;
    impl Stream for Never {
        type Item = io::Result<Bytes>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Pending
        }
    }
    let first = Scripted::start([expiry()]).await;
    let second = Scripted::start([expiry()]).await;
    let rest = client(&[first.base(), second.base()]);
    let idle = Duration::from_millis(200);
    let upload = Upload::stream("n", Some(9), Never).idle_timeout(idle);
    assert_eq!(rest.upload(&token(), &alice(), upload).await.unwrap_err().kind(), &Kind::Timeout(idle));
    rest.token_expiry(&alice(), &token()).await.unwrap();
    assert_eq!((first.count(), second.count()), (1, 0));
}

#[actix::test]
async fn a_pause_by_a_date_is_counted_by_the_answers_own_clock() {
    let dated = Reply::Answer(
        429,
        vec![
            ("date", "Sun, 06 Nov 1994 08:49:30 GMT".to_owned()),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        ],
        b"{\"error\":\"reach_limit\"}".to_vec(),
    );
    let (_server, rest) = scripted([dated]).await;
    let error = rest.password_token(&alice(), &Password::new("pw").unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (&Kind::RateLimited, Some(Duration::from_secs(7))));
}
