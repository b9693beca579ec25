//! Two connections of one account that take the place from each other.

use std::time::Duration;

use agora_chat::{
    Account, ConfigBuilder, ConnectionState, DisconnectReason, EventKind, KickPolicy, Reconnect,
    account::Device,
    config::Flapping,
    errors::Kick,
    local_server::{DevicePolicy, LocalServer},
};

use crate::connection::support::{Heard, LIMIT, alice, online, pauses_of, server};

const HOUR: Duration = Duration::from_secs(3600);

/// A server that lets one device of a user be online and kicks it for the next.
async fn place_for_one() -> LocalServer {
    let server = server().await;
    server.max_devices(Some(1), DevicePolicy::KickOldest);
    server
}

fn with(server: &LocalServer, policy: KickPolicy) -> ConfigBuilder {
    let config = server.config().reconnect(pauses_of(Duration::from_millis(20)));
    config.kick_policy(policy)
}

/// What one client hears until its end: how often it came back.
async fn parked(mut heard: Heard) -> usize {
    let mut back = 0;
    loop {
        match heard.next().await {
            EventKind::Connected { resumed: true } => back += 1,
            EventKind::Disconnected { reason } => {
                assert!(matches!(reason, DisconnectReason::Kicked(Kick::LoggedInElsewhere { .. })), "{reason:?}");
                return back;
            }
            EventKind::Reconnecting { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[actix::test]
async fn under_park_the_first_client_leaves_the_place_to_the_second_at_once() {
    let server = place_for_one().await;
    let (first, heard) = online(with(&server, KickPolicy::Park), alice()).await;
    let (second, _second_hears) = online(with(&server, KickPolicy::Park), alice()).await;
    assert_eq!(parked(heard).await, 0);
    assert_eq!((first.state(), second.state()), (ConnectionState::LoggedOut, ConnectionState::Online));
    assert_eq!(server.provision_count(), 2);
}

#[actix::test]
async fn under_take_over_on_both_sides_the_fight_ends_after_its_bound_and_one_is_online() {
    let server = place_for_one().await;
    let policy = || with(&server, KickPolicy::TakeOver { times: 3, window: HOUR });
    let (first, heard) = online(policy(), alice()).await;
    let (second, _second_hears) = online(policy(), alice()).await;
    assert_eq!(parked(heard).await, 3, "it is kicked first, and so gives up first");
    assert_eq!(first.state(), ConnectionState::LoggedOut);
    server.wait_until(LIMIT, |server| server.online() == 1).await.unwrap();
    assert_eq!(second.state(), ConnectionState::Online);
    assert_eq!(server.provision_count(), 2 + 3 + 3, "seven kicks, and each but the last was answered by a login");
    second.close().await;
}

#[actix::test]
async fn under_retry_the_client_comes_back_after_its_pause() {
    let server = place_for_one().await;
    let (_first, mut heard) = online(with(&server, KickPolicy::RetryAfter(Duration::from_secs(1))), alice()).await;
    let (second, second_hears) = online(with(&server, KickPolicy::Park), alice()).await;
    let EventKind::Reconnecting { delay, cause, .. } = heard.next().await else { panic!() };
    assert!(delay >= Duration::from_secs(1));
    assert_eq!(cause.code().number(), 206);
    assert_eq!(heard.next().await, EventKind::Connected { resumed: true });
    assert_eq!(parked(second_hears).await, 0);
    assert_eq!(second.state(), ConnectionState::LoggedOut);
}

/// A login with the resource of another one merely ends that one's link (connection spec §6.5): no kick is ever heard,
/// and only flapping tells.
#[actix::test]
async fn two_clients_with_one_resource_hear_that_they_flap_and_are_slowed_down() {
    let server = server().await;
    let mut policy = Reconnect::default();
    (policy.base, policy.cap) = (Duration::from_millis(20), Duration::from_millis(20));
    let mut rule = Flapping::default();
    rule.floor = HOUR;
    policy.flapping = Some(rule);
    let config = server.config().reconnect(policy);
    let phone = || Account::new(alice()).device(Device::new("phone"));
    let (first, mut heard) = online(config.clone(), phone()).await;
    let (second, _second_hears) = online(config, phone()).await;
    let told = heard
        .until(|event| match event {
            EventKind::Flapping { sessions, floor, .. } => Some((sessions, floor)),
            _ => None,
        })
        .await;
    assert_eq!(told, (5, HOUR));
    let EventKind::Reconnecting { delay, .. } = heard.next().await else { panic!() };
    assert!(delay >= HOUR);
    assert!(matches!(first.state(), ConnectionState::Reconnecting { .. }));
    server.wait_until(LIMIT, |server| server.online() == 1).await.unwrap();
    assert_eq!(second.state(), ConnectionState::Online, "the other one keeps the place");
    assert!(server.provision_count() <= 10, "{} logins", server.provision_count());
}
