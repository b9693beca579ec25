//! Addresses over which bytes would travel readable: never, but on this machine or where the application says so.

use agora_chat::{
    LossCause, OpenError,
    config::{Addresses, Endpoints},
    errors::{ConfigError, ConnectStep, RestErrorKind},
};
use serde_json::json;

use crate::faults::{
    refused_login,
    scripted::{Reply, Scripted},
    support::{alice, online, quick, server},
    token,
};

#[actix::test]
async fn a_plain_address_of_another_machine_is_refused_unless_the_application_says_so() {
    let server = server().await;
    for (rest, socket) in
        [("http://10.0.0.1", "wss://10.0.0.1/websocket"), ("https://10.0.0.1", "ws://10.0.0.1/websocket")]
    {
        let error = server.config().addresses(rest, socket).build().unwrap_err();
        assert!(matches!(&error, ConfigError::Address { .. }), "{error:?}");
        assert!(error.to_string().contains("allow_plaintext"), "{error}");
        server.config().addresses(rest, socket).allow_plaintext().build().unwrap();
    }
    assert!(server.config().endpoints(Endpoints::Discovery(vec!["http://boot.example".to_owned()])).build().is_err());
}

#[actix::test]
async fn a_redirect_leads_to_no_plain_address_of_another_machine() {
    let server = server().await;
    for host in ["10.0.0.1", "evil.example", "localhost.example"] {
        server.redirect_provisions(host, 80);
        let error = refused_login(quick(server.config()), token(&server)).await;
        let OpenError::Unreachable { cause: LossCause::Failed { step: ConnectStep::Connect, detail }, .. } = &error
        else {
            panic!("{error:?}");
        };
        assert!(detail.contains(host) && detail.contains("allow_plaintext"), "{detail}");
    }
}

#[actix::test]
async fn a_poisoned_discovery_answer_leads_to_no_plain_address_of_another_machine() {
    let server = server().await;
    let entry = |host: &str, port: u16| json!({"protocol": "http", "domain": host, "port": port});
    let evil = [entry("10.0.0.1", 80), entry("evil.example", 80)];
    let answer = |hosts: &[serde_json::Value]| {
        Reply::json(200, &json!({"rest": {"hosts": hosts}, "msync-wx": {"hosts": hosts}}))
    };
    let found_by =
        |bootstrap: &Scripted| quick(server.config()).endpoints(Endpoints::Discovery(vec![bootstrap.base()]));

    let bootstrap = Scripted::start([answer(&evil)]).await;
    let error = refused_login(found_by(&bootstrap), alice()).await;
    let OpenError::Discovery { error, .. } = &error else { panic!("{error:?}") };
    assert_eq!(error.kind(), &RestErrorKind::DiscoveryEmpty("rest"));

    let honest = entry("127.0.0.1", server.port());
    let bootstrap = Scripted::start([answer(&[evil[0].clone(), honest, evil[1].clone()])]).await;
    let (connection, _heard) = online(found_by(&bootstrap), alice()).await;
    connection.close().await;
}

#[actix::test]
async fn a_server_on_this_machine_may_be_plain() {
    let server = server().await;
    for host in ["127.0.0.1", "localhost"] {
        let at = format!("{host}:{}", server.port());
        let addresses = Addresses { rest: vec![format!("http://{at}")], socket: vec![format!("ws://{at}/websocket")] };
        let config = server.config().endpoints(Endpoints::Fixed(addresses));
        let (connection, _heard) = online(config, alice()).await;
        connection.close().await;
    }
}
