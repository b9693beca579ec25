//! The same through a connection: with the session's own token, user and device, from any thread.

use std::{future::Future, time::Duration};

use agora_chat::{
    Account, Config, Connection, Credentials, RequestError,
    account::Device,
    errors::RestErrorKind as Kind,
    local_server::LocalServer,
    messages::Attachment,
    rest::{Attribute, HistoryQuery, Upload, UserAttributes},
};
use serde_json::json;

use crate::bot::scripted::{Reply, Scripted};

async fn within<T>(done: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), done).await.expect("done in time")
}

/// A session whose socket is the local server's and whose REST is scripted.
async fn session(replies: Vec<Reply>) -> (LocalServer, Scripted, Connection, String) {
    let local = LocalServer::start().await.unwrap();
    local.create_user("alice", "pw-a").unwrap();
    let token = local.issue_token("alice", None).unwrap();
    let rest = Scripted::start(replies).await;
    let config = Config::builder(local.app_key()).addresses(rest.base(), local.socket_url());
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let account = Account::new(Credentials::token("alice", token.clone()).unwrap()).device(Device::new("web_1"));
    within(connection.open(account)).await.unwrap();
    (local, rest, connection, token)
}

#[actix::test]
async fn without_a_session_nothing_is_asked() {
    let rest = Scripted::start([Reply::json(200, &json!({}))]).await;
    let config = Config::builder("org#app").addresses(rest.base(), "ws://127.0.0.1:1/websocket");
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let file = Attachment::at("http://h/org/app/chatfiles/u");
    let outcomes = [
        within(connection.upload(Upload::bytes("n", "x"))).await.err(),
        within(connection.download(&file)).await.err(),
        within(connection.history("bob", HistoryQuery::new())).await.err(),
        within(connection.delete_history("bob", [1])).await.err(),
        within(connection.publish_presence("x")).await.err(),
        within(connection.subscribe_presence(["bob"], Duration::from_secs(9))).await.err(),
        within(connection.unsubscribe_presence(["bob"])).await.err(),
        within(connection.presence_of(["bob"])).await.err(),
        within(connection.presence_subscriptions(1, 9)).await.err(),
        within(connection.set_attributes(UserAttributes::new().with(Attribute::Sign, "x"))).await.err(),
        within(connection.attributes_of(["bob"], [])).await.err(),
        within(connection.conversations(9, None)).await.err(),
    ];
    for outcome in outcomes {
        assert_eq!(outcome, Some(RequestError::NotLoggedIn));
    }
    assert_eq!(rest.count(), 0);
}

#[actix::test]
async fn every_call_goes_out_with_the_sessions_token_user_and_device() {
    let replies = [
        json!({"entities": [{"uuid": "u-1", "share-secret": "s"}]}),
        json!({"data": {"msgs": []}}),
        json!({"data": {}}),
        json!({"result": "ok"}),
        json!({"result": []}),
        json!({"result": "ok"}),
        json!({"result": []}),
        json!({"result": {"totalnum": 0, "sublist": []}}),
        json!({"data": {}}),
        json!({"data": {}}),
        json!({"data": {"channel_infos": []}}),
        json!("the file"),
    ];
    let (_local, rest, connection, token) = session(replies.iter().map(|body| Reply::json(200, body)).collect()).await;
    let file = within(connection.upload(Upload::bytes("n", "x"))).await.unwrap();
    within(connection.history("bob", HistoryQuery::new())).await.unwrap();
    within(connection.delete_history("bob", [1])).await.unwrap();
    within(connection.publish_presence("x")).await.unwrap();
    within(connection.subscribe_presence(["Bob"], Duration::from_secs(9))).await.unwrap();
    within(connection.unsubscribe_presence(["bob"])).await.unwrap();
    within(connection.presence_of(["bob"])).await.unwrap();
    within(connection.presence_subscriptions(1, 9)).await.unwrap();
    within(connection.set_attributes(UserAttributes::new().with(Attribute::Sign, "x"))).await.unwrap();
    within(connection.attributes_of(["bob"], [])).await.unwrap();
    within(connection.conversations(9, None)).await.unwrap();
    let download = within(connection.download(&file)).await.unwrap();
    assert_eq!(within(download.bytes(99)).await.unwrap(), "\"the file\"");
    let (org, app) =
        connection.config().app_key().as_str().split_once('#').map(|(o, a)| (o.to_owned(), a.to_owned())).unwrap();
    let asked: Vec<_> = rest
        .requests()
        .iter()
        .map(|request| {
            assert_eq!(request.header("authorization"), Some(format!("Bearer {token}").as_str()));
            let path = request.url.strip_prefix(&format!("/{org}/{app}/")).unwrap();
            format!("{} {}", request.method, path)
        })
        .collect();
    assert_eq!(
        asked,
        [
            "POST chatfiles",
            "POST users/alice/messageroaming",
            "DELETE sdk/message/roaming/chat/user/alice?userId=bob&msgIdList=1&resource=web_1",
            "POST users/alice/presence/web_1/1",
            "POST users/alice/presence/9",
            "DELETE users/alice/presence",
            "POST users/alice/presence",
            "GET users/alice/presence/sublist?pageNum=1&pageSize=9",
            "PUT metadata/user/alice",
            "POST metadata/user/get",
            "GET sdk/user/alice/user_channels/list?limit=9&cursor=&need_mark=true",
            "GET chatfiles/u-1",
        ]
    );
    assert_eq!(rest.requests()[11].header("share-secret"), Some("s"));
    within(connection.close()).await;
    assert_eq!(within(connection.conversations(9, None)).await, Err(RequestError::NotLoggedIn));
}

#[actix::test]
async fn what_is_no_user_id_and_what_the_service_refuses_are_told_apart() {
    let disabled = Reply::json(400, &json!({"result": "the app not open presence"}));
    let (_local, rest, connection, _) = session(vec![disabled]).await;
    let bad = within(connection.presence_of(["b b"])).await.unwrap_err();
    assert!(matches!(bad, RequestError::Credentials(_)), "{bad}");
    assert_eq!(rest.count(), 0);
    let refused = within(connection.presence_of(["bob"])).await.unwrap_err();
    assert_eq!(refused.code().number(), 505);
    assert!(matches!(refused, RequestError::Rest(error) if *error.kind() == Kind::ServiceDisabled));
}

#[actix::test]
async fn a_file_goes_up_and_comes_down_from_a_thread_without_a_runtime() {
    let up = json!({"entities": [{"uuid": "u-1", "share-secret": "s"}]});
    let down = Reply::Answer(200, Vec::new(), vec![b'x'; 300_000]);
    let (_local, _rest, connection, _) = session(vec![Reply::json(200, &up), down]).await;
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let got = block_on(async move {
            let file = connection.upload(Upload::bytes("n", "x")).await.unwrap();
            let download = connection.download(file).await.unwrap();
            let on_disk = download.bytes(300_000).await.unwrap();
            on_disk.len()
        });
        tell.send(got).unwrap();
    });
    assert_eq!(within(told).await.unwrap(), 300_000);
}

/// Waits on the thread itself.
fn block_on<T>(done: impl Future<Output = T>) -> T {
    use std::{
        sync::Arc,
        task::{Context, Poll, Wake, Waker},
        thread::Thread,
    };
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut done = std::pin::pin!(done);
    loop {
        match done.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
