//! Calls outside an actix system: an error, never a panic.

use std::future::Future;

use agora_chat::{
    Config, Conversation, RestClient,
    account::Password,
    config::Endpoints,
    errors::{RestError, RestErrorKind as Kind},
    messages::Attachment,
    rest::{HistoryQuery, Upload, discover},
};

use crate::http::{client, grant, login, token, user};

/// What each public call says under a runtime that is no actix system.
async fn kinds() -> Vec<(&'static str, Result<(), RestError>)> {
    let rest = client("http://127.0.0.1:1");
    let (alice, token, password) = (user("alice"), token(), Password::new("pw").unwrap());
    let found = Config::builder("org#app");
    let found = found.endpoints(Endpoints::Discovery(vec!["http://127.0.0.1:1".to_owned()])).build().unwrap();
    let file = Attachment::at("http://127.0.0.1:1/org/app/chatfiles/u");
    vec![
        ("password_token", login(&rest, "alice").await.map(drop)),
        ("register_user", rest.register_user(&alice, &password, None).await.map(drop)),
        ("token_expiry", rest.token_expiry(&alice, &token).await.map(drop)),
        ("discover", discover(&found).await.map(drop)),
        ("discovered", RestClient::discovered(&found).await.map(drop)),
        ("upload", rest.upload(&token, &alice, Upload::bytes("a", "b")).await.map(drop)),
        ("download", rest.download(&token, &alice, file).await.map(drop)),
        ("history", rest.history(&token, &alice, &Conversation::user("bob"), &HistoryQuery::default()).await.map(drop)),
        ("app_token", rest.app_token("id", &password).await.map(drop)),
        ("exchange_agora_token", rest.exchange_agora_token(&token).await.map(drop)),
    ]
}

fn all_say_so<F: Future<Output = Vec<(&'static str, Result<(), RestError>)>>>(
    run: impl FnOnce(F) -> F::Output,
    calls: F,
) {
    for (call, outcome) in run(calls) {
        assert_eq!(outcome.unwrap_err().kind(), &Kind::NoRuntime, "{call}");
    }
}

#[test]
fn every_call_under_a_runtime_of_many_threads_says_that_there_is_no_system() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    all_say_so(|calls| runtime.block_on(calls), kinds());
}

#[test]
fn every_call_under_a_runtime_of_one_thread_says_that_there_is_no_system() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    all_say_so(|calls| runtime.block_on(calls), kinds());
}

#[test]
fn every_call_after_its_system_has_ended_says_that_there_is_none() {
    actix_rt::System::new().block_on(async {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    all_say_so(|calls| runtime.block_on(calls), kinds());
}

#[test]
fn a_task_that_is_bound_to_its_thread_needs_no_system() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        tokio::task::spawn_local(async {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let rest = client(&format!("http://{}", listener.local_addr().unwrap()));
            tokio::task::spawn_local(async move {
                let seen = std::cell::RefCell::new(Vec::new());
                for connection in 0..2 {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let script =
                        vec![crate::http::server::Act::Request, crate::http::server::answer(200, "", grant("alice"))];
                    crate::http::server::play(&mut stream, connection, script, &seen).await;
                }
            });
            for _ in 0..2 {
                assert!(login(&rest, "alice").await.is_ok());
            }
        })
        .await
        .unwrap();
    }));
}
