//! Kicks: the policy, and the other side by name.

use std::time::Duration;

use agora_chat::{
    Account, Connection, Credentials, KickPolicy,
    account::Device,
    errors::Kick,
    fleet::{AccountState, Advice, Fleet, FleetConfig, LoginPace, StateKind},
    local_server::DevicePolicy,
};

use crate::support::{config, online, quick, server, state, within};

#[actix::test]
async fn a_second_program_parks_the_account_and_is_named_by_its_text() {
    let server = server(1).await;
    server.max_devices(Some(1), DevicePolicy::KickOldest);
    let fleet = Fleet::start(config(&server)).unwrap();
    online(&fleet, 0..1).await;
    let other = Connection::start(quick(server.config()).build().unwrap()).unwrap();
    let account = Account::new(Credentials::password("bot-0", "password").unwrap());
    other.open(account.device(Device::new("other")).login_ext("the other program")).await.unwrap();
    state(&fleet, "bot-0", StateKind::Parked).await;
    let seen = fleet.account("bot-0").unwrap().snapshot();
    let AccountState::Parked { by: Some(by), until_ms: None } = &seen.state else { panic!("{seen:?}") };
    assert_eq!(by.ext.as_deref(), Some("the other program"));
    assert_eq!((seen.action, seen.cause.and_then(|cause| cause.code)), (Some(Advice::FindOtherLogin), Some(206)));
    within("close", other.close()).await;
    fleet.resume("bot-0").await.unwrap();
    state(&fleet, "bot-0", StateKind::Online).await;
}

#[actix::test]
async fn two_programs_that_take_over_kick_each_other_a_few_times_and_then_stop() {
    let server = server(1).await;
    server.max_devices(Some(1), DevicePolicy::KickOldest);
    let times = 2;
    let fleet = |name: &'static str| {
        let own = quick(server.config()).kick_policy(KickPolicy::TakeOver { times, window: Duration::from_secs(600) });
        let config = FleetConfig::new(own.build().unwrap()).arbiters(1).name(name);
        Fleet::start(config.pace(LoginPace::per_second(1000).burst(1000))).unwrap()
    };
    let (one, two) = (fleet("one"), fleet("two"));
    online(&one, 0..1).await;
    // From another device.
    two.add(Credentials::password("bot-0", "password").unwrap()).await.unwrap();
    let (mut first, mut second) = (one.watch(), two.watch());
    within("one of them parks", async {
        while [&one, &two].iter().all(|fleet| fleet.summary().of(StateKind::Parked) == 0) {
            tokio::select! {
                _ = first.next() => {}
                _ = second.next() => {}
            }
        }
    })
    .await;
    // That nobody comes back by itself from there shows in simulated time.
    let kicks = server.session_log().iter().filter(|session| session.end.is_some()).count();
    assert!(kicks <= 2 * times as usize + 1, "{kicks} kicks");
    assert_eq!(one.summary().of(StateKind::Parked) + two.summary().of(StateKind::Parked), 1);
}

#[actix::test]
async fn each_kick_of_the_service_is_told_with_its_number_and_what_to_do() {
    let server = server(3).await;
    let fleet = Fleet::start(config(&server)).unwrap();
    online(&fleet, 0..3).await;
    let rows = [
        ("bot-0", Kick::UserRemoved, StateKind::Failed, 207, Advice::RegisterUser),
        ("bot-1", Kick::PasswordChanged, StateKind::Failed, 216, Advice::GiveCredentials),
        ("bot-2", Kick::ByOtherDevice, StateKind::Parked, 217, Advice::AskWhoKicked),
    ];
    for (user, kick, kind, code, advice) in rows {
        server.kick(user, kick);
        state(&fleet, user, kind).await;
        let seen = fleet.account(user).unwrap().snapshot();
        assert_eq!((seen.cause.and_then(|cause| cause.code), seen.action), (Some(code), Some(advice)));
    }
}
