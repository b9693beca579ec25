//! Tokens from an address of the application's own: what is asked, and what becomes of each answer.

use std::time::Duration;

use agora_chat::{
    Config, Connection, Credentials, TokenProvider as _,
    account::{Expiry, Token, TokenGrant, TokenReason, TokenRequest},
    errors::ProviderError,
    local_server::LocalServer,
    rest::TokenUrl,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::scripted::{Reply, Scripted};

fn config() -> Config {
    Config::builder("org#app").rest_timeout(Duration::from_millis(500)).build().unwrap()
}

/// Has a connection make a request for a token, which nobody else can; returns it.
async fn request() -> TokenRequest {
    let server = LocalServer::start().await.unwrap();
    let (tell, mut asked) = unbounded_channel();
    let credentials = Credentials::provider("alice", move |request: TokenRequest| {
        tell.send(request).unwrap();
        std::future::ready(Err(ProviderError::permanent("none")))
    });
    let connection = Connection::start(server.config().build().unwrap()).unwrap();
    connection.open(credentials.unwrap()).await.unwrap_err();
    asked.recv().await.unwrap()
}

async fn ask(reply: Reply) -> Result<TokenGrant, ProviderError> {
    let server = Scripted::start([reply]).await;
    let provider = TokenUrl::new(&config(), format!("{}/token?key=CANARY", server.base())).unwrap();
    provider.bearer(Token::new("CANARY").unwrap()).token(request().await).await
}

#[actix::test]
async fn it_asks_for_the_user_with_the_reason_and_its_key() {
    let server = Scripted::start([Reply::json(200, &json!({"token": "YWMt-1", "expires_in": 60}))]).await;
    let provider = TokenUrl::new(&config(), format!("{}/token?for=fleet", server.base())).unwrap();
    let (mut request, provider) = (request().await, provider.bearer(Token::new("key").unwrap()));
    for (reason, name) in [
        (TokenReason::Login, "login"),
        (TokenReason::Expiring, "expiring"),
        (TokenReason::Expired, "expired"),
        (TokenReason::Refused, "refused"),
    ] {
        request.reason = reason;
        let grant = provider.token(request.clone()).await.unwrap();
        assert_eq!((grant.token.expose(), grant.expires_at), ("YWMt-1", Some(Expiry::In(Duration::from_secs(60)))));
        let asked = server.requests().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.url.as_str()), ("POST", "/token?for=fleet"));
        assert_eq!(asked.header("authorization"), Some("Bearer key"));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        assert_eq!(asked.json(), json!({"user": "alice", "reason": name}));
    }
}

#[actix::test]
async fn the_end_of_a_token_is_a_life_or_a_moment_or_unknown() {
    for (answer, end) in [
        (json!({"token": "t", "expires_in": 3600, "more": 1}), Some(Expiry::In(Duration::from_secs(3600)))),
        (json!({"token": "t", "expires_at": 1_700_000_000_000_u64}), Some(Expiry::At(1_700_000_000_000))),
        (json!({"token": "t"}), None),
    ] {
        assert_eq!(ask(Reply::json(200, &answer)).await.unwrap().expires_at, end);
    }
}

#[actix::test]
async fn whatever_else_comes_is_an_error_that_shows_no_secret() {
    let answer = |status: u16, body: Value| Reply::json(status, &body);
    let secret = json!({"token": "CANARY"});
    for (reply, words, is_final) in [
        (answer(404, secret.clone()), "knows no user alice", true),
        (answer(410, secret.clone()), "knows no user alice", true),
        (answer(401, secret.clone()), "status 401", false),
        (answer(500, secret.clone()), "status 500", false),
        (Reply::Answer(302, vec![("location", "http://127.0.0.1:1/CANARY".to_owned())], vec![]), "status 302", false),
        (answer(200, json!({"token": "CANARY", "expires_in": "CANARY"})), "no JSON object", false),
        (answer(200, json!({"token": ["CANARY"]})), "no JSON object", false),
        (answer(200, json!("CANARY")), "no JSON object", false),
        (answer(200, json!({"token": "CAN ARY"})), "token", false),
        (answer(200, json!({"token": "x".repeat(TokenUrl::MAX_ANSWER)})), "over 65536 bytes", false),
        (Reply::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()), "within 500ms", false),
        (Reply::Raw(b"CANARY\r\n\r\n".to_vec()), "gives no token", false),
    ] {
        let error = ask(reply.clone()).await.unwrap_err();
        assert_eq!(error.is_final(), is_final, "{reply:?}: {error}");
        let told = format!("{error} {error:?}");
        assert!(told.contains(words) && told.contains("127.0.0.1:"), "{reply:?}: {told}");
        assert!(!told.contains("CANARY") && !told.contains("key="), "{told}");
    }
    let nobody = TokenUrl::new(&config(), "http://127.0.0.1:1/CANARY").unwrap();
    let error = nobody.token(request().await).await.unwrap_err();
    assert!(!error.is_final() && !error.to_string().contains("CANARY"), "{error}");
}

#[test]
fn an_address_must_be_encrypted_or_on_this_machine_and_holds_no_credentials() {
    for right in ["https://example.com/token", "http://127.0.0.1:8080", "http://localhost/t?x=1"] {
        let provider = TokenUrl::new(&config(), right).unwrap();
        let shown = format!("{:?}", provider.bearer(Token::new("CANARY").unwrap()));
        assert!(!shown.contains("CANARY"), "{shown}");
    }
    for wrong in ["http://example.com/?k=CANARY", "https://a:CANARY@example.com", "ftp://example.com", "token", ""] {
        let error = TokenUrl::new(&config(), wrong).unwrap_err().to_string();
        assert!(!error.contains("CANARY"), "{error}");
    }
}

#[test]
fn outside_an_actix_system_it_says_so() {
    let provider = TokenUrl::new(&config(), "https://example.com/token").unwrap();
    let request = actix_rt::System::new().block_on(request());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(provider.token(request)).unwrap_err();
    assert!(error.to_string().contains("outside an actix system"), "{error}");
}
