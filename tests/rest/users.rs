//! What an operator's server does with users and devices by REST, against the local server with a bot online.

use std::{
    num::NonZeroU16,
    time::{Duration, Instant},
};

use agora_chat::{
    Account, Config, ConfigBuilder, Connection, Credentials, DisconnectReason, EventHandler, OpenError, RestClient,
    UserId,
    account::{Device, Password, Token},
    errors::{CredentialError, Kick, RefusalKind, RestErrorKind as Kind},
    local_server::{LocalServer, RestFault},
    rest::{Operation, RateLimits, Resource},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

/// Long enough for a busy machine, short enough to fail.
const LIMIT: Duration = Duration::from_secs(10);

struct Scene {
    server: LocalServer,
    rest: RestClient,
    app: Token,
}

/// A server with the user alice, and an operator with an app token.
async fn scene() -> Scene {
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", "pw-alice").unwrap();
    let rest = RestClient::new(&server.config().build().unwrap()).unwrap();
    let app = Token::new(server.app_token()).unwrap();
    Scene { server, rest, app }
}

fn alice() -> UserId {
    "alice".parse().unwrap()
}

fn credentials(password: &str) -> Credentials {
    Credentials::password("alice", password).unwrap()
}

fn device(resource: &str) -> Resource {
    resource.parse().unwrap()
}

/// Alice online on a device of this name, and how she will be disconnected.
async fn online(config: ConfigBuilder, resource: &str) -> (Connection, UnboundedReceiver<DisconnectReason>) {
    let mut named = Device::new(resource);
    named.name = format!("name-of-{resource}");
    let connection = Connection::start(config.build().unwrap()).unwrap();
    let (tell, ended) = unbounded_channel();
    // The test may have heard enough.
    let handler = EventHandler::new().on_disconnected(move |_, reason| drop(tell.send(reason.clone())));
    connection.add_event_handler("test", handler).unwrap();
    timeout(LIMIT, connection.open(Account::new(credentials("pw-alice")).device(named))).await.unwrap().unwrap();
    (connection, ended)
}

async fn kick(ended: &mut UnboundedReceiver<DisconnectReason>) -> Kick {
    match timeout(LIMIT, ended.recv()).await.unwrap() {
        Some(DisconnectReason::Kicked(kick)) => kick,
        other => panic!("instead of a kick: {other:?}"),
    }
}

fn statuses(server: &LocalServer, path_part: &str) -> Vec<u16> {
    server.rest_calls().iter().filter(|call| call.path.contains(path_part)).map(|call| call.status).collect()
}

// What each call does

#[actix::test]
async fn a_deleted_user_is_kicked_and_gone() {
    let Scene { server, rest, app } = scene().await;
    let (_bot, mut ended) = online(server.config(), "d1").await;
    rest.delete_user(&app, &alice()).await.unwrap();
    assert_eq!(kick(&mut ended).await, Kick::UserRemoved);
    let failed = rest.delete_user(&app, &alice()).await.unwrap_err();
    assert_eq!((failed.kind(), failed.code().number(), failed.status()), (&Kind::UserNotFound, 204, Some(404)));
    rest.register_user(&alice(), &Password::new("again").unwrap(), None).await.unwrap();
}

#[actix::test]
async fn a_changed_password_kicks_and_is_the_one_to_log_in_with() {
    let Scene { server, rest, app } = scene().await;
    let token = Token::new(server.issue_token("alice", None).unwrap()).unwrap();
    let (_bot, mut ended) = online(server.config(), "d1").await;
    rest.change_password(&app, &alice(), &Password::new("pw-new").unwrap()).await.unwrap();
    assert_eq!(kick(&mut ended).await, Kick::PasswordChanged);
    let old = rest.password_token(&alice(), &Password::new("pw-alice").unwrap()).await.unwrap_err();
    assert_eq!(old.kind(), &Kind::InvalidPassword);
    rest.password_token(&alice(), &Password::new("pw-new").unwrap()).await.unwrap();
    assert_eq!(rest.token_expiry(&alice(), &token).await.unwrap_err().kind(), &Kind::Unauthorized);
}

#[actix::test]
async fn a_deactivated_user_is_out_until_it_is_activated() {
    let Scene { server, rest, app } = scene().await;
    let token = server.issue_token("alice", None).unwrap();
    let (bot, mut ended) = online(server.config(), "d1").await;
    rest.deactivate_user(&app, &alice()).await.unwrap();
    assert_eq!(kick(&mut ended).await, Kick::ByOtherDevice);

    let by_token = || Credentials::token("alice", token.clone()).unwrap();
    let refused = timeout(LIMIT, bot.open(by_token())).await.unwrap().unwrap_err();
    let OpenError::Refused { refusal, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((refusal.kind(), refusal.code().number()), (RefusalKind::ServingDisabled, 57));
    let no_token = rest.password_token(&alice(), &Password::new("pw-alice").unwrap()).await.unwrap_err();
    assert!(no_token.is_final(), "{no_token}");

    rest.activate_user(&app, &alice()).await.unwrap();
    timeout(LIMIT, bot.open(by_token())).await.unwrap().unwrap();
}

#[actix::test]
async fn devices_are_listed_and_kicked_one_or_all() {
    let Scene { server, rest, app } = scene().await;
    assert_eq!(rest.devices(&app, &alice()).await.unwrap(), []);
    let (_first, mut first_ended) = online(server.config(), "d1").await;
    let (_second, mut second_ended) = online(server.config(), "d2").await;
    let (_third, mut third_ended) = online(server.config(), "d").await;
    let mut listed = rest.devices(&app, &alice()).await.unwrap();
    listed.sort_by(|a, b| a.resource.cmp(&b.resource));
    let shown: Vec<_> = listed.iter().map(|d| (d.resource.as_str(), d.uuid.as_deref(), d.name.as_deref())).collect();
    let expected = [("d", "name-of-d"), ("d1", "name-of-d1"), ("d2", "name-of-d2")];
    assert_eq!(shown, expected.map(|(resource, name)| (resource, Some(resource), Some(name))));

    assert!(rest.kick_device(&app, &alice(), &listed[1].resource).await.unwrap());
    assert_eq!(kick(&mut first_ended).await, Kick::ByOtherDevice);
    assert!(!rest.kick_device(&app, &alice(), &device("d1")).await.unwrap(), "it is not there any more");
    assert_eq!(rest.devices(&app, &alice()).await.unwrap().len(), 2);

    assert!(rest.kick_all(&app, &alice()).await.unwrap());
    assert_eq!(kick(&mut second_ended).await, Kick::ByOtherDevice);
    assert_eq!(kick(&mut third_ended).await, Kick::ByOtherDevice);
    assert_eq!(rest.devices(&app, &alice()).await.unwrap(), []);
}

#[actix::test]
async fn each_call_is_sent_where_the_vendor_documents_it() {
    let Scene { server, rest, app } = scene().await;
    let user = alice();
    rest.devices(&app, &user).await.unwrap();
    rest.kick_device(&app, &user, &device("a/b?c d")).await.unwrap();
    rest.kick_all(&app, &user).await.unwrap();
    rest.deactivate_user(&app, &user).await.unwrap();
    rest.activate_user(&app, &user).await.unwrap();
    rest.change_password(&app, &user, &Password::new("pw-new").unwrap()).await.unwrap();
    rest.delete_user(&app, &user).await.unwrap();
    let calls: Vec<_> = server.rest_calls().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
    assert_eq!(
        calls,
        [
            "GET /local/test/users/alice/resources",
            "DELETE /local/test/users/alice/disconnect/a%2Fb%3Fc%20d",
            "GET /local/test/users/alice/disconnect",
            "POST /local/test/users/alice/deactivate",
            "POST /local/test/users/alice/activate",
            "PUT /local/test/users/alice/password",
            "DELETE /local/test/users/alice",
        ]
    );
}

#[actix::test]
async fn every_call_says_when_there_is_no_such_user_or_the_token_is_bad() {
    let Scene { server, rest, app } = scene().await;
    let (nobody, password, resource) = ("nobody".parse().unwrap(), Password::new("pw").unwrap(), device("d1"));
    let (bad, user) = (Token::new(server.issue_token("alice", None).unwrap()).unwrap(), alice());
    for (token, user, kind, code) in [(&app, &nobody, Kind::UserNotFound, 204), (&bad, &user, Kind::Unauthorized, 52)] {
        let failures = [
            (Operation::DeleteUser, rest.delete_user(token, user).await.unwrap_err()),
            (Operation::ChangePassword, rest.change_password(token, user, &password).await.unwrap_err()),
            (Operation::ActivateUser, rest.activate_user(token, user).await.unwrap_err()),
            (Operation::DeactivateUser, rest.deactivate_user(token, user).await.unwrap_err()),
            (Operation::Devices, rest.devices(token, user).await.unwrap_err()),
            (Operation::KickDevice, rest.kick_device(token, user, &resource).await.unwrap_err()),
            (Operation::KickAll, rest.kick_all(token, user).await.unwrap_err()),
        ];
        for (operation, failed) in failures {
            assert_eq!((failed.operation(), failed.kind(), failed.code().number()), (operation, &kind, code));
            assert_eq!((failed.user(), failed.is_final()), (Some(user), true), "{failed}");
        }
    }
    rest.devices(&app, &user).await.unwrap();
}

#[actix::test]
async fn nothing_that_is_a_step_in_a_path_is_the_name_of_anything() {
    for step in [".", ".."] {
        assert_eq!(step.parse::<UserId>(), Err(CredentialError::UserIdStep));
        assert!(step.parse::<Resource>().is_err());
        assert!(Config::builder(format!("{step}#{step}")).build().is_err());
        assert!(Config::builder(format!("org#{step}")).build().is_err());
    }
    assert!("...".parse::<UserId>().is_ok());
}

// The limits

fn users(per_second: u16) -> RateLimits {
    RateLimits { users: NonZeroU16::new(per_second).unwrap(), ..RateLimits::default() }
}

#[actix::test]
async fn two_clients_of_one_app_key_share_the_budget() {
    let Scene { server, rest, app } = scene().await;
    let other = RestClient::new(&server.config().build().unwrap()).unwrap();
    other.set_rate_limits(users(2));
    let started = Instant::now();
    for client in [&rest, &other, &rest, &other, &rest] {
        client.devices(&app, &alice()).await.unwrap();
    }
    // Two at once, two a second later, one more after another second.
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
}

/// A 429 that asks for a pause of so many seconds, once.
fn limited(path_part: &str, seconds: u64) -> RestFault {
    let fault = RestFault::new(path_part, 429).error("reach_limit", "This request has reached api limit");
    fault.header("retry-after", &seconds.to_string()).unwrap().times(1)
}

#[actix::test]
async fn a_429_is_waited_out_and_the_call_made_once_more() {
    let Scene { server, rest, app } = scene().await;
    server.fail_rest(limited("/deactivate", 1)).unwrap();
    let started = Instant::now();
    rest.deactivate_user(&app, &alice()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(statuses(&server, "/deactivate"), [429, 200]);

    for _ in 0..2 {
        server.fail_rest(limited("/activate", 0)).unwrap();
    }
    let failed = rest.activate_user(&app, &alice()).await.unwrap_err();
    assert_eq!((failed.kind(), failed.retry_after()), (&Kind::RateLimited, Some(Duration::ZERO)));
    assert_eq!(statuses(&server, "/activate"), [429, 429], "once more, not for ever");
}

#[actix::test]
async fn a_429_holds_back_every_client_of_the_app_key_and_no_other_kind_of_call() {
    let Scene { server, rest, app } = scene().await;
    server.fail_rest(limited("/resources", 3600)).unwrap();
    let failed = rest.devices(&app, &alice()).await.unwrap_err();
    assert_eq!((failed.kind(), failed.retry_after()), (&Kind::RateLimited, Some(Duration::from_secs(3600))));
    let other = RestClient::new(&server.config().build().unwrap()).unwrap();
    let held = other.kick_all(&app, &alice()).await.unwrap_err();
    let Kind::Throttled { wait } = held.kind() else { panic!("{held}") };
    assert!((590..=600).contains(&wait.as_secs()), "capped at 10 minutes: {wait:?}");
    assert_eq!((held.code().number(), held.retry_after(), held.is_final()), (500, Some(*wait), false));
    assert_eq!(statuses(&server, "/users/alice"), [429], "the held back call was not sent");
    other.password_token(&alice(), &Password::new("pw-alice").unwrap()).await.unwrap();

    let elsewhere = scene().await;
    elsewhere.rest.devices(&elsewhere.app, &alice()).await.unwrap();
}

#[actix::test]
async fn a_limit_on_tokens_is_reported_at_once_for_a_session_to_pace_itself() {
    let Scene { server, rest, .. } = scene().await;
    server.fail_rest(limited("/token", 3600)).unwrap();
    let password = Password::new("pw-alice").unwrap();
    assert_eq!(rest.password_token(&alice(), &password).await.unwrap_err().kind(), &Kind::RateLimited);
    let held = rest.password_token(&alice(), &password).await.unwrap_err();
    assert!(matches!(held.kind(), Kind::Throttled { .. }), "{held}");
    assert_eq!(statuses(&server, "/token"), [429]);
}

#[actix::test]
async fn a_used_up_plan_is_no_rate_and_holds_nothing_back() {
    let Scene { server, rest, app } = scene().await;
    let plan = RestFault::new("/resources", 429).error("resource_limited", "You have exceeded the limit").times(1);
    server.fail_rest(plan.header("retry-after", "3600").unwrap()).unwrap();
    assert_eq!(rest.devices(&app, &alice()).await.unwrap_err().kind(), &Kind::PlanLimit);
    rest.devices(&app, &alice()).await.unwrap();
}
