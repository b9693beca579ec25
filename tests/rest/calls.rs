//! REST calls against a scripted server: what is sent, what each answer means, where the next attempt goes.

use crate::support::scripted;

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use agora_chat::{
    Code, Config, ConfigBuilder, OpenError, RestClient, UserId,
    account::{Nickname, Password, Token},
    config::{Addresses, Endpoints},
    errors::{ConfigError, RestError, RestErrorKind as Kind},
    rest::{NewUser, Operation, discover},
};
use scripted::{Reply, Scripted};
use serde_json::{Value, json};
use slog::Drain;

/// Plain hosts other than loopback may stand in it; they are made up and never reached.
fn config() -> ConfigBuilder {
    Config::builder("testorg#testapp").allow_plaintext()
}

fn fixed(bases: &[String]) -> ConfigBuilder {
    let socket = vec!["ws://127.0.0.1:1/websocket".to_owned()];
    config().endpoints(Endpoints::Fixed(Addresses { rest: bases.to_vec(), socket }))
}

fn client(server: &Scripted) -> RestClient {
    RestClient::new(&fixed(&[server.base()]).build().unwrap()).unwrap()
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn granted() -> Reply {
    Reply::json(200, &json!({"access_token": "YWMt-good", "expires_in": 86400, "user": {"username": "alice"}}))
}

async fn login(client: &RestClient) -> Result<agora_chat::account::TokenGrant, RestError> {
    client.password_token(&user("alice"), &password("pw-a")).await
}

/// One failing login against a server that gives this one reply.
async fn login_error(reply: Reply) -> RestError {
    login(&client(&Scripted::start([reply]).await)).await.unwrap_err()
}

/// An address where nobody listens.
fn refused() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port())
}

// What the answers mean

#[actix::test]
async fn every_registration_error_of_the_spec_has_its_own_kind() {
    let closed = "Open registration doesn't allow, so register user need token,";
    let app = "Could not find application for testorg/testapp from URI: testorg/testapp/users";
    let taken = "Application null Entity user requires that property named username be unique, value of erin exists";
    let no_user = "Entity user requires a property named username";
    let plan = "You have exceeded the limit of the community edition. Please upgrade to higher edition";
    // connection spec §3.1: status, error, description, kind, code, final
    #[rustfmt::skip]
    let rows = [
        (400, "duplicate_unique_property_exists", taken, Kind::UsernameTaken, 17, true),
        (400, "illegal_argument", "username [no spaces] is not legal", Kind::IllegalUsername, 17, true),
        (400, "illegal_argument", "username no spaces is not legal", Kind::IllegalUsername, 17, true),
        (400, "illegal_argument", "USERNAME_TOO_LONG", Kind::UsernameTooLong, 17, true),
        (400, "illegal_argument", "NICKNAME_TOO_LONG", Kind::NicknameTooLong, 17, true),
        (400, "illegal_argument", "password or pin must provided", Kind::PasswordMissing, 17, true),
        (400, "illegal_argument", no_user, Kind::UsernameMissing, 17, true),
        (400, "json_parse", "Unexpected character ('x' (code 120))", Kind::MalformedJson, 17, true),
        (400, "illegal_argument", "something new", Kind::BadRequest, 17, true),
        (401, "unauthorized", closed, Kind::RegistrationClosed, 17, true),
        (401, "unauthorized", "registration is not open, please contact the app admin", Kind::RegistrationClosed, 17, true),
        (401, "unauthorized", "Unable to authenticate (OAuth)", Kind::Unauthorized, 52, true),
        (404, "organization_application_not_found", app, Kind::AppNotFound, 17, true),
        (429, "reach_limit", "This request has reached api limit", Kind::RateLimited, 500, false),
        (429, "resource_limited", plan, Kind::PlanLimit, 500, false),
        (503, "", "", Kind::ServerBusy, 500, false),
        (502, "", "", Kind::ServerError, 17, false),
    ];
    for (status, error, description, kind, code, is_final) in rows {
        let server = Scripted::start([Reply::failure(status, error, description)]).await;
        let failed = client(&server).register_user(&user("erin"), &password("pw"), None).await.unwrap_err();
        assert_eq!((failed.kind(), failed.code().number()), (&kind, code), "{status} {description}");
        assert_eq!((failed.status(), failed.is_final()), (Some(status), is_final), "{status} {description}");
        assert_eq!((failed.error(), failed.description()), (Some(error), Some(description)));
        assert_eq!((failed.operation(), failed.user()), (Operation::RegisterUser, Some(&user("erin"))));
        assert!(failed.to_string().contains("erin"), "{failed}");
        assert_eq!(server.count(), 1, "one call, one request");
    }
}

#[actix::test]
async fn every_login_error_of_the_spec_has_its_own_kind() {
    let app = "Could not find application for testorg/testapp from URI: testorg/testapp/token";
    // connection spec §3.2: status, error, description, kind, code, final
    #[rustfmt::skip]
    let rows = [
        (400, "invalid_grant", "invalid password", Kind::InvalidPassword, 17, true),
        (400, "invalid_grant", "invalid username or password", Kind::InvalidPassword, 17, true),
        (400, "invalid_grant", "user not found", Kind::UserNotFound, 17, true),
        (404, "service_resource_not_found", "user not found", Kind::UserNotFound, 204, true),
        (401, "unauthorized", "Unable to authenticate (OAuth)", Kind::Unauthorized, 52, true),
        (404, "organization_application_not_found", app, Kind::AppNotFound, 17, true),
        (429, "reach_limit", "This request has reached api limit", Kind::RateLimited, 500, false),
        (503, "", "", Kind::ServerBusy, 500, false),
    ];
    for (status, error, description, kind, code, is_final) in rows {
        let failed = login_error(Reply::failure(status, error, description)).await;
        assert_eq!((failed.kind(), failed.code().number()), (&kind, code), "{status} {description}");
        assert_eq!((failed.operation(), failed.is_final()), (Operation::PasswordToken, is_final), "{description}");
    }
}

#[actix::test]
async fn every_answer_becomes_the_number_of_the_spec() {
    let gone =
        json!({"error": "x", "exception": "UserNotFoundException", "error_description": "Service resource not found"});
    let gone_long = json!({"error": "x", "exception": "com.easemob.UserNotFoundException", "error_description": "Service resource not found"});
    let other_gone =
        json!({"error": "x", "exception": "GroupException", "error_description": "Service resource not found"});
    let maximum = "The request has reached the maximum limit of users";
    let number = |code: Value| Reply::json(401, &json!({"error_code": code, "error": "e", "error_description": "d"}));
    // connection spec §3.5, row by row
    #[rustfmt::skip]
    let rows = [
        ("400", Reply::failure(400, "e", "d"), 17, Kind::BadRequest),
        ("401 by OAuth", Reply::failure(401, "unauthorized", "Unable to authenticate (OAuth)"), 52, Kind::Unauthorized),
        ("401 by 40001", number(json!(40001)), 52, Kind::Unauthorized),
        ("401 by 60001", number(json!("60001")), 52, Kind::Unauthorized),
        ("401 by another number", number(json!(40002)), 17, Kind::Unauthorized),
        ("401 otherwise", Reply::failure(401, "unauthorized", "no"), 17, Kind::Unauthorized),
        ("403", Reply::failure(403, "forbidden", "permission denied"), 603, Kind::Forbidden),
        ("404 user", Reply::failure(404, "e", "user not found"), 204, Kind::UserNotFound),
        ("404 exception", Reply::json(404, &gone), 204, Kind::UserNotFound),
        ("404 whole class name", Reply::json(404, &gone_long), 204, Kind::UserNotFound),
        ("404 other exception", Reply::json(404, &other_gone), 17, Kind::NotFound),
        ("404 otherwise", Reply::failure(404, "e", "d"), 17, Kind::NotFound),
        ("429 at maximum", Reply::failure(429, "e", maximum), 50, Kind::RateLimited),
        ("503 at maximum", Reply::failure(503, "e", maximum), 50, Kind::RateLimited),
        ("429 otherwise", Reply::failure(429, "e", "d"), 500, Kind::RateLimited),
        ("503 otherwise", Reply::failure(503, "e", "d"), 500, Kind::ServerBusy),
        ("500", Reply::failure(500, "", ""), 17, Kind::ServerError),
        ("500 without a body", Reply::Answer(500, vec![], vec![]), 17, Kind::ServerError),
        ("418", Reply::failure(418, "e", "d"), 17, Kind::Other),
        ("a redirect, not followed", Reply::Answer(302, vec![("location", "/".into())], vec![]), 17, Kind::Other),
        ("a page of another server", Reply::Answer(404, vec![], b"<html>".to_vec()), 17, Kind::Other),
    ];
    for (row, reply, code, kind) in rows {
        let failed = login_error(reply).await;
        assert_eq!((failed.code().number(), failed.kind()), (code, &kind), "{row}");
    }
}

#[actix::test]
async fn no_answer_is_minus_2_and_is_said_in_words() {
    let nobody = RestClient::new(&fixed(&[refused()]).build().unwrap()).unwrap();
    let cut = client(&Scripted::start([Reply::Raw(Vec::new())]).await);
    let torn = Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec());
    let torn = client(&Scripted::start([torn]).await);
    let unknown = RestClient::new(&fixed(&["http://does-not-exist.invalid".to_owned()]).build().unwrap()).unwrap();
    for (row, client) in [("refused", nobody), ("cut before", cut), ("cut within", torn), ("no such name", unknown)] {
        let failed = login(&client).await.unwrap_err();
        assert!(matches!(failed.kind(), Kind::Unreachable(_)), "{row}: {failed:?}");
        assert_eq!((failed.code(), failed.status(), failed.is_final()), (Code::REQUEST_UNKNOWN, None, false), "{row}");
    }
}

#[actix::test]
async fn silence_before_or_within_an_answer_is_minus_1_after_the_limit() {
    let limit = Duration::from_millis(50);
    for start in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let server = Scripted::start([Reply::Stall(start.to_vec())]).await;
        let client = RestClient::new(&fixed(&[server.base()]).rest_timeout(limit).build().unwrap()).unwrap();
        let failed = login(&client).await.unwrap_err();
        assert_eq!((failed.kind(), failed.code()), (&Kind::Timeout(limit), Code::REQUEST_TIMEOUT));
        assert!(!failed.is_final());
    }
}

#[actix::test]
async fn success_that_cannot_be_understood_or_is_too_large_is_an_unexpected_answer() {
    let large = [b"{\"access_token\":\"".as_slice(), &vec![b'x'; 1 << 20], b"\"}"].concat();
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![b'x'; 2 << 20]].concat();
    for (row, reply) in [
        ("not JSON", Reply::Answer(200, vec![], b"<html>captive</html>".to_vec())),
        ("empty", Reply::Answer(204, vec![], vec![])),
        ("another object", Reply::json(200, &json!({"hello": 1}))),
        ("deeply nested", Reply::Answer(200, vec![], vec![b'['; 100_000])),
        ("announced too large", Reply::Answer(200, vec![], large)),
        ("too large without announcement", Reply::Raw(endless)),
    ] {
        let failed = login_error(reply).await;
        assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(_)), "{row}: {failed:?}");
        assert_eq!((failed.code().number(), failed.is_final()), (17, false), "{row}");
    }
    let failed = login_error(Reply::Answer(500, vec![], vec![b'x'; 2 << 20])).await;
    assert_eq!((failed.kind(), failed.status()), (&Kind::ServerError, Some(500)), "the status is enough");
}

#[actix::test]
async fn a_server_without_tls_at_an_https_address_is_a_tls_error() {
    let plain = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("https://127.0.0.1:{}", plain.local_addr().unwrap().port());
    actix_rt::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 no TLS here\r\n\r\n").await;
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
        }
    });
    let failed = login(&RestClient::new(&fixed(&[address]).build().unwrap()).unwrap()).await.unwrap_err();
    assert!(matches!(failed.kind(), Kind::Tls(_)), "{failed:?}");
    assert_eq!((failed.code(), failed.is_final()), (Code::REQUEST_UNKNOWN, false));
}

#[actix::test]
async fn retry_after_is_kept_for_429_and_503_in_seconds_or_as_a_date() {
    let with = |status, value: String| Reply::Answer(status, vec![("retry-after", value)], b"{}".to_vec());
    assert_eq!(login_error(with(429, "7".into())).await.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(login_error(with(503, "0".into())).await.retry_after(), Some(Duration::ZERO));
    assert_eq!(login_error(with(500, "7".into())).await.retry_after(), None);
    assert_eq!(login_error(with(503, "soon".into())).await.retry_after(), None);
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let pause = login_error(with(503, date)).await.retry_after().unwrap();
    assert!((3500..=3600).contains(&pause.as_secs()), "{pause:?}");
}

// What is sent

#[actix::test]
async fn every_recorded_exchange_is_sent_and_understood_as_the_official_client_did() {
    let recorded: Vec<Value> = serde_json::from_str(include_str!("../vectors/rest.json")).unwrap();
    let mut replayed = 0;
    for entry in &recorded {
        let name = entry["name"].as_str().unwrap();
        let (request, response) = (&entry["request"], &entry["response"]);
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let body = response["body"].to_string().replace("PORT", "4242");
        let server = Scripted::start([Reply::Answer(status, vec![], body.into_bytes())]).await;
        let rest = client(&server);
        let sent = request["body"].as_object();
        let text = |member: &str| sent.and_then(|body| body.get(member)?.as_str()).unwrap_or_default();
        // Ids that the service refuses are refused here before they are sent; the exchange is replayed with another.
        let replaced = matches!(name, "register-illegal-username" | "register-username-too-long");
        assert!(!replaced || text("username").parse::<UserId>().is_err(), "{name}");
        let account = user(match text("username") {
            "" => "alice",
            _ if replaced => "replaced",
            id => id,
        });

        let outcome = match name.split('-').next().unwrap() {
            "register" => {
                let nickname = Nickname::new(text("nickname")).unwrap();
                let nickname = (!nickname.as_str().is_empty()).then_some(&nickname);
                rest.register_user(&account, &password(text("password")), nickname).await.map(|registered| {
                    assert_eq!(registered.user, account);
                    assert_eq!(registered.nickname.as_deref(), Some(text("nickname")));
                    assert_eq!(registered.created, Some(1_795_381_872_493));
                })
            }
            "login" => rest.password_token(&account, &password(text("password"))).await.map(|grant| {
                assert_eq!(grant.token, token(response["body"]["access_token"].as_str().unwrap()));
                assert_eq!(grant.expires_at, Some(agora_chat::account::Expiry::In(Duration::from_secs(86_400))));
                assert_eq!(grant.user.as_deref(), Some("alice"));
            }),
            "token" => {
                let bearer = request["headers"]["authorization"].as_str().unwrap().strip_prefix("Bearer ").unwrap();
                rest.token_expiry(&account, &token(bearer)).await.map(|at| assert_eq!(at, 1_795_385_472_521))
            }
            "dns" => {
                let found = config().endpoints(Endpoints::Discovery(vec![server.base()]));
                discover(&found.build().unwrap()).await.map(|found| {
                    assert_eq!(found.rest, ["http://127.0.0.1:4242"]);
                    assert_eq!(found.socket, ["ws://127.0.0.1:4242/websocket"]);
                })
            }
            other => panic!("a recording of a kind this test does not know: {other}"),
        };

        let came = server.requests().pop().unwrap();
        assert_eq!(came.method, request["method"], "{name}");
        let until_time = |url: &str| url.split("&_v=").next().unwrap().to_owned();
        assert_eq!(until_time(&came.url), until_time(request["url"].as_str().unwrap()), "{name}");
        for header in ["content-type", "authorization"] {
            assert_eq!(came.header(header), request["headers"][header].as_str(), "{name}");
        }
        let mut expected = request["body"].clone();
        let body = came.json();
        if replaced {
            expected["username"] = json!("replaced");
        }
        if expected["timestamp"].is_u64() {
            assert!(body["timestamp"].is_u64(), "{name}");
            expected["timestamp"] = body["timestamp"].clone();
        }
        assert_eq!(body, expected, "{name}");

        let recorded_outcome = &entry["outcome"][0];
        match (recorded_outcome["event"].as_str().unwrap(), outcome) {
            ("register-ok" | "open-ok" | "renew-ok", outcome) => outcome.unwrap(),
            ("register-fail", outcome) => {
                let failed = outcome.unwrap_err();
                assert_eq!(json!(failed.code().number()), recorded_outcome["code"], "{name}");
                assert_eq!(json!(failed.description().unwrap()), response["body"]["error_description"], "{name}");
            }
            ("open-fail", outcome) => {
                let failed = outcome.unwrap_err();
                assert_eq!(json!(failed.description().unwrap()), recorded_outcome["message"], "{name}");
                let wrapped = OpenError::Token { user: account, error: failed };
                assert_eq!(json!(wrapped.code().number()), recorded_outcome["code"], "{name}");
            }
            (other, _) => panic!("an outcome this test does not know: {other}"),
        }
        replayed += 1;
    }
    assert_eq!(replayed, 11);
}

#[actix::test]
async fn each_call_is_sent_where_and_as_the_spec_has_it() {
    let made = json!({"entities": [{"username": "bob"}]});
    let server = Scripted::start([
        Reply::json(200, &made),
        Reply::json(200, &json!({"entities": [{"username": "bob"}, {"username": "carol"}]})),
        Reply::json(
            200,
            &json!({"access_token": "u", "expires_in": 60, "expire_timestamp": 5, "user": {"username": "bob"}}),
        ),
        Reply::json(200, &json!({"access_token": "a", "expires_in": 5_184_000, "application": "x"})),
    ])
    .await;
    let rest = client(&server);
    let (app, pw) = (token("app-token"), password("pw"));

    rest.register_user_as_app(&app, &user("bob"), &pw, None).await.unwrap();
    let batch = [
        NewUser::new(user("bob"), pw.clone()),
        NewUser::new(user("carol"), pw.clone()).nickname(Nickname::new("C").unwrap()),
    ];
    let users = rest.register_users(&app, &batch).await.unwrap();
    assert_eq!(users.iter().map(|made| made.user.as_str()).collect::<Vec<_>>(), ["bob", "carol"]);
    let exchanged = rest.exchange_agora_token(&token("007agora")).await.unwrap();
    assert_eq!((exchanged.token, exchanged.expires_at), (token("u"), Some(agora_chat::account::Expiry::At(5))));
    let granted = rest.app_token("YXA6id", &password("secret")).await.unwrap();
    assert_eq!(
        (granted.expires_at, granted.user),
        (Some(agora_chat::account::Expiry::In(Duration::from_secs(5_184_000))), None)
    );

    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|came| {
            let bearer = came.header("authorization").map(str::to_owned);
            (format!("{} {}", came.method, came.url), bearer, came.json())
        })
        .collect();
    let bob = json!({"username": "bob", "password": "pw", "nickname": ""});
    let carol = json!({"username": "carol", "password": "pw", "nickname": "C"});
    let credentials = json!({"grant_type": "client_credentials", "client_id": "YXA6id", "client_secret": "secret"});
    let (users, tokens) = ("POST /testorg/testapp/users".to_owned(), "POST /testorg/testapp/token".to_owned());
    let by_app = Some("Bearer app-token".to_owned());
    assert_eq!(
        sent,
        [
            (users.clone(), by_app.clone(), bob.clone()),
            (users, by_app, json!([bob, carol])),
            (tokens.clone(), Some("Bearer 007agora".to_owned()), json!({"grant_type": "agora"})),
            (tokens, None, credentials),
        ]
    );
}

#[actix::test]
async fn a_failed_exchange_of_an_agora_token_is_number_12() {
    let server = Scripted::start([Reply::failure(401, "unauthorized", "Unable to authenticate (OAuth)")]).await;
    let failed = client(&server).exchange_agora_token(&token("007")).await.unwrap_err();
    assert_eq!((failed.code(), failed.kind()), (Code::TOKEN_EXCHANGE_FAILED, &Kind::Unauthorized));
}

#[actix::test]
async fn a_bad_token_asked_for_its_end_is_number_52() {
    let server = Scripted::start([Reply::failure(401, "unauthorized", "Unable to authenticate (OAuth)")]).await;
    let failed = client(&server).token_expiry(&user("alice"), &token("old")).await.unwrap_err();
    assert_eq!((failed.code(), failed.kind()), (Code::NO_PERMISSION, &Kind::Unauthorized));
}

#[actix::test]
async fn a_batch_of_none_or_of_61_is_refused_before_a_byte_is_sent() {
    let server = Scripted::start([Reply::json(200, &json!({"entities": []}))]).await;
    let rest = client(&server);
    let users: Vec<_> = (0..61).map(|n| NewUser::new(user(&format!("u{n}")), password("pw"))).collect();
    for refused in [&users[..], &[]] {
        let failed = rest.register_users(&token("app"), refused).await.unwrap_err();
        assert_eq!(failed.kind(), &Kind::BatchSize(refused.len()));
        assert_eq!((failed.code(), failed.is_final()), (Code::REQUEST_PARAMETER_ERROR, true));
    }
    assert_eq!(server.count(), 0);
    rest.register_users(&token("app"), &users[..60]).await.unwrap();
    assert_eq!(server.requests()[0].json().as_array().unwrap().len(), 60);
}

#[actix::test]
async fn app_key_and_user_cannot_leave_their_place_in_the_path() {
    let server = Scripted::start([Reply::json(200, &json!({"expire_timestamp": 1}))]).await;
    let config = Config::builder("o&rg#\u{e4}pp:1").addresses(format!("{}/", server.base()), "ws://127.0.0.1:1");
    RestClient::new(&config.build().unwrap()).unwrap().token_expiry(&user("a.b-c_d"), &token("t")).await.unwrap();
    assert_eq!(server.requests()[0].url, "/o%26rg/%C3%A4pp%3A1/sdk/users/a.b-c_d/token/expires");
}

#[test]
fn a_call_outside_a_runtime_is_an_error_and_no_panic() {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    let rest = RestClient::new(&fixed(&["http://127.0.0.1:1".to_owned()]).build().unwrap()).unwrap();
    let polled = pin!(login(&rest)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(failed)) = polled else { panic!("{polled:?}") };
    assert_eq!((failed.kind(), failed.is_final()), (&Kind::NoRuntime, true));
}

// Where the next attempt goes

#[actix::test]
async fn a_failing_host_is_left_for_the_next_one_within_the_call_and_after_it() {
    let failing = Scripted::start([Reply::failure(500, "", "")]).await;
    let good = Scripted::start([granted()]).await;
    let rest = RestClient::new(&fixed(&[failing.base(), good.base()]).build().unwrap()).unwrap();
    login(&rest).await.unwrap();
    login(&rest.clone()).await.unwrap();
    assert_eq!((failing.count(), good.count()), (1, 2), "the good host stays the first, for clones too");
}

#[actix::test]
async fn a_host_that_refuses_is_left_for_the_next_one() {
    let good = Scripted::start([granted()]).await;
    login(&RestClient::new(&fixed(&[refused(), good.base()]).build().unwrap()).unwrap()).await.unwrap();
}

#[actix::test]
async fn each_host_is_tried_once_per_call_and_the_last_error_is_given() {
    let first = Scripted::start([Reply::failure(500, "", "")]).await;
    let second = Scripted::start([Reply::failure(503, "", "")]).await;
    let rest = RestClient::new(&fixed(&[first.base(), second.base()]).build().unwrap()).unwrap();
    let failed = login(&rest).await.unwrap_err();
    assert_eq!((failed.status(), failed.host()), (Some(503), Some(second.base().trim_start_matches("http://"))));
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[actix::test]
async fn a_final_failure_is_not_asked_again_elsewhere() {
    let first = Scripted::start([Reply::failure(400, "invalid_grant", "invalid password")]).await;
    let second = Scripted::start([granted()]).await;
    let rest = RestClient::new(&fixed(&[first.base(), second.base()]).build().unwrap()).unwrap();
    for calls in 1..=2 {
        assert_eq!(login(&rest).await.unwrap_err().kind(), &Kind::InvalidPassword);
        assert_eq!((first.count(), second.count()), (calls, 0));
    }
}

#[actix::test]
async fn a_rate_limit_is_reported_at_once_and_the_next_call_goes_to_the_next_host() {
    let first = Scripted::start([Reply::failure(429, "reach_limit", "This request has reached api limit")]).await;
    let second = Scripted::start([granted()]).await;
    let rest = RestClient::new(&fixed(&[first.base(), second.base()]).build().unwrap()).unwrap();
    assert_eq!(login(&rest).await.unwrap_err().kind(), &Kind::RateLimited);
    assert_eq!((first.count(), second.count()), (1, 0));
    login(&rest).await.unwrap();
    assert_eq!((first.count(), second.count()), (1, 1));
}

// Discovery

fn hosts(rest: Value, socket: Value) -> Reply {
    Reply::json(200, &json!({"rest": {"hosts": rest}, "msync-wx": {"hosts": socket}, "new": true}))
}

fn found_by(bootstrap: &[String]) -> ConfigBuilder {
    config().endpoints(Endpoints::Discovery(bootstrap.to_vec()))
}

#[actix::test]
async fn discovery_reads_the_lists_in_their_order() {
    let server = Scripted::start([hosts(
        json!([
            {"protocol": "http", "domain": "r1", "port": "8080", "priority": "2"},
            {"protocol": "https", "domain": "r2"},
            {"protocol": "http", "ip": "10.0.0.1", "port": 80, "priority": 1},
        ]),
        json!([
            {"protocol": "ws", "domain": "s1", "ip": "10.0.0.2", "port": 8081},
            {"protocol": "wss", "domain": "s2"},
            {"protocol": "http", "ip": "10.0.0.3"},
            "odd",
        ]),
    )])
    .await;
    let found = discover(&found_by(&[server.base()]).build().unwrap()).await.unwrap();
    assert_eq!(found.rest, ["http://r1:8080", "http://10.0.0.1"]);
    assert_eq!(found.socket, ["ws://s1:8081/websocket", "ws://10.0.0.3/websocket"]);
    let came = server.requests().pop().unwrap();
    let time = came.url.strip_prefix("/easemob/server.json?app_key=testorg%23testapp&_v=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 1_700_000_000_000, "{time}");
}

#[actix::test]
async fn discovery_without_usable_addresses_is_304() {
    let one = json!([{"protocol": "http", "domain": "a"}]);
    let wrong_scheme = json!([{"protocol": "https", "domain": "a"}]);
    let unexpected = Kind::UnexpectedAnswer;
    let garbage = "it is not JSON: expected value at line 1 column 1".to_owned();
    for (row, reply, kind) in [
        ("no rest", Reply::json(200, &json!({"msync-wx": {"hosts": one}})), Kind::DiscoveryEmpty("rest")),
        ("no msync-wx", Reply::json(200, &json!({"rest": {"hosts": one}})), Kind::DiscoveryEmpty("msync-wx")),
        ("empty list", hosts(one.clone(), json!([])), Kind::DiscoveryEmpty("msync-wx")),
        ("nothing after filtering", hosts(wrong_scheme, one.clone()), Kind::DiscoveryEmpty("rest")),
        ("garbage", Reply::Answer(200, vec![], b"<html>".to_vec()), unexpected(garbage)),
        ("oversized", Reply::Answer(200, vec![], vec![b' '; 2 << 20]), unexpected("payload reached size limit".into())),
        ("not found", Reply::failure(404, "organization_application_not_found", ""), Kind::AppNotFound),
        ("overloaded", Reply::failure(503, "", ""), Kind::ServerBusy),
    ] {
        let server = Scripted::start([reply]).await;
        let failed = discover(&found_by(&[server.base()]).build().unwrap()).await.unwrap_err();
        assert_eq!((failed.kind(), failed.code()), (&kind, Code::DISCOVERY_FAILED), "{row}");
        assert_eq!(failed.operation(), Operation::Discovery, "{row}");
    }
    let failed = discover(&found_by(&[refused()]).build().unwrap()).await.unwrap_err();
    assert!(matches!(failed.kind(), Kind::Unreachable(_)), "{failed:?}");
    assert_eq!(failed.code(), Code::DISCOVERY_FAILED);
}

#[actix::test]
async fn each_bootstrap_host_is_asked_once_until_one_answers_well() {
    let good = hosts(json!([{"protocol": "http", "domain": "a"}]), json!([{"protocol": "http", "domain": "b"}]));
    let empty = Scripted::start([Reply::json(200, &json!({}))]).await;
    let unknown = Scripted::start([Reply::failure(404, "organization_application_not_found", "")]).await;
    let (second, third) = (Scripted::start([good]).await, Scripted::start([granted()]).await);
    let all = [refused(), empty.base(), unknown.base(), second.base(), third.base()];
    let found = discover(&found_by(&all).build().unwrap()).await.unwrap();
    assert_eq!((found.rest, found.socket), (vec!["http://a".to_owned()], vec!["ws://b/websocket".to_owned()]));
    assert_eq!((empty.count(), unknown.count(), second.count(), third.count()), (1, 1, 1, 0));
}

#[actix::test]
async fn a_client_takes_given_addresses_or_finds_them() {
    let rest = Scripted::start([granted()]).await;
    let entry = json!([{"protocol": "http", "domain": "127.0.0.1", "port": rest.port}]);
    let bootstrap = Scripted::start([hosts(entry.clone(), entry)]).await;
    let config = found_by(&[bootstrap.base()]).build().unwrap();
    assert_eq!(RestClient::new(&config).unwrap_err(), ConfigError::NoAddress("REST"));
    login(&RestClient::discovered(&config).await.unwrap()).await.unwrap();
    login(&RestClient::discovered(&fixed(&[rest.base()]).build().unwrap()).await.unwrap()).await.unwrap();
    assert_eq!((bootstrap.count(), rest.count()), (1, 2));
}

// Secrets

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix::test]
async fn no_secret_stands_in_a_log_an_error_or_a_grant_even_if_the_server_repeats_it() {
    let log = Log::default();
    let drain = slog_term::FullFormat::new(slog_term::PlainSyncDecorator::new(log.clone())).build().fuse();
    let logger = slog::Logger::root(drain, slog::o!());
    let echo = "CANARY-password and CANARY-token and CANARY-secret";
    let server = Scripted::start([Reply::failure(400, echo, echo)]).await;
    let rest = RestClient::new(&fixed(&[server.base()]).logger(logger.clone()).build().unwrap()).unwrap();
    let (alice, pw, app, secret) =
        (user("alice"), password("CANARY-password"), token("CANARY-token"), password("CANARY-secret"));

    let errors = [
        rest.register_user(&alice, &pw, None).await.unwrap_err(),
        rest.register_user_as_app(&app, &alice, &pw, None).await.unwrap_err(),
        rest.register_users(&app, &[NewUser::new(alice.clone(), pw.clone())]).await.unwrap_err(),
        rest.password_token(&alice, &pw).await.unwrap_err(),
        rest.exchange_agora_token(&app).await.unwrap_err(),
        rest.token_expiry(&alice, &app).await.unwrap_err(),
        rest.app_token("id", &secret).await.unwrap_err(),
        rest.delete_user(&app, &alice).await.unwrap_err(),
        rest.change_password(&app, &alice, &pw).await.unwrap_err(),
        rest.change_password(&app, &alice, &secret).await.unwrap_err(),
        rest.activate_user(&app, &alice).await.unwrap_err(),
        rest.deactivate_user(&app, &alice).await.unwrap_err(),
        rest.devices(&app, &alice).await.unwrap_err(),
        rest.kick_device(&app, &alice, &"d1".parse().unwrap()).await.unwrap_err(),
        rest.kick_all(&app, &alice).await.unwrap_err(),
    ];
    let registering = ["password", "token", "token", "password", "token", "token", "secret"];
    let managing = ["token", "password", "secret", "token", "token", "token", "token", "token"];
    // Each call hides the secrets it was given: what it never had, it cannot know.
    for (error, own) in errors.iter().zip([&registering[..], &managing].concat()) {
        let shown = format!("{error} {error:?} {error:#?} {:?} {:?}", error.error(), error.description());
        assert!(!shown.contains(&format!("CANARY-{own}")), "{shown}");
        assert!(shown.contains("<redacted>"), "{shown}");
    }
    let good = Scripted::start([Reply::json(200, &json!({"access_token": "CANARY-granted", "expires_in": 1}))]).await;
    let grant = RestClient::new(&fixed(&[good.base()]).logger(logger).build().unwrap())
        .unwrap()
        .password_token(&alice, &pw)
        .await;
    assert!(!format!("{grant:?} {rest:?} {:?}", NewUser::new(alice, pw)).contains("CANARY"));

    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written.matches("DEBG REST call failed").count(), 15, "{written}");
    assert_eq!(written.matches("DEBG REST call answered").count(), 1, "{written}");
    assert!(written.contains("token request") && written.contains("alice"), "{written}");
    assert!(!written.contains("CANARY"), "{written}");
}
