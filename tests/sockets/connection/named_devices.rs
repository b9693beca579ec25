//! Devices that the service calls otherwise than they call themselves.

use agora_chat::{Outgoing, connection::Closed, local_server::Cut};

use crate::connection::support::{LIMIT, alice, online, quick, server, text, within};

#[actix::test]
async fn a_device_goes_by_the_name_that_the_service_gave_it_in_what_it_sends_hears_and_ends() {
    let server = server().await;
    let resources = || {
        let mut names: Vec<_> = server.sessions("alice").into_iter().map(|session| session.resource).collect();
        names.sort();
        names
    };
    server.name_devices("alice", Some("desk")).unwrap();
    let (desk, mut at_desk) = online(quick(server.config()), alice()).await;
    server.name_devices("alice", Some("phone")).unwrap();
    let (phone, mut at_phone) = online(quick(server.config()), alice()).await;
    assert_eq!(resources(), ["desk", "phone"]);

    for (from, to, name) in [(&phone, &mut at_desk, "phone"), (&desk, &mut at_phone, "desk")] {
        within("send", from.send(Outgoing::text("bob", name).unwrap())).await.unwrap();
        let message = to.message().await;
        assert_eq!((text(&message), message.own), (name, true));
        assert_eq!(message.extras().from_device.as_deref(), Some(name));
    }

    // From now on each is called as it calls itself: by the name that it was given.
    server.name_devices("alice", None).unwrap();
    server.drop_links("alice", Cut::Rst);
    assert!(at_desk.connected().await && at_phone.connected().await);
    assert_eq!(resources(), ["desk", "phone"]);
    for connection in [desk, phone] {
        assert_eq!(within("close", connection.close()).await, Closed::LoggedOut);
    }
    server.wait_until(LIMIT, |server| server.sessions("alice").is_empty()).await.unwrap();
}
