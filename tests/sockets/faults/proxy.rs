//! The service reached through an HTTP proxy. What the environment's variables mean is tested where they are read:
//! a process cannot change its own safely while it runs.

use agora_chat::{
    ConfigBuilder, LossCause, RestClient,
    account::Password,
    errors::{ConnectStep, RestError, RestErrorKind},
    network::Proxy,
};

use crate::faults::{
    SHORT,
    connect_proxy::{Asked, ConnectProxy, Does},
    raw::ClosedPort,
    support::{LIMIT, alice, bob, online, quick, server, start, text, within},
    tls_front::{Authority, TlsFront, Valid},
    unreachable,
};

fn through(proxy: &ConnectProxy, credentials: &str) -> Proxy {
    Proxy::http(&format!("http://{credentials}{}", proxy.address)).unwrap()
}

async fn rest_fails(config: &ConfigBuilder) -> RestError {
    let (user, password) = ("alice".parse().unwrap(), Password::new("pw-a").unwrap());
    let rest = RestClient::new(&config.clone().build().unwrap()).unwrap();
    within("the call", rest.password_token(&user, &password)).await.unwrap_err()
}

#[actix::test]
async fn rest_calls_and_socket_go_through_the_proxy_with_its_credentials() {
    let server = server().await;
    // us@er:p:ss word
    let wants = Some("Basic dXNAZXI6cDpzcyB3b3Jk");
    let proxy = ConnectProxy::start(wants, Does::Tunnel(server.address())).await;
    let config = quick(server.config()).proxy(through(&proxy, "us%40er:p%3Ass%20word@"));
    let (connection, mut heard) = online(config, alice()).await;
    let asked = Asked { authority: server.address().to_string(), authorization: wants.map(str::to_owned) };
    assert_eq!(proxy.asked(), [asked.clone(), asked.clone()], "the token, then the socket");
    server.drop_links("alice", agora_chat::local_server::Cut::Rst);
    assert!(heard.connected().await);
    assert_eq!(proxy.asked().len(), 3);
    connection.close().await;
}

#[actix::test]
async fn tls_goes_through_the_tunnel_to_a_host_that_only_the_proxy_can_find() {
    let (server, authority) = (server().await, Authority::new());
    let front = TlsFront::start(server.address(), authority.certificate("chat.example", Valid::Now)).await;
    let proxy = ConnectProxy::start(None, Does::Tunnel(front.address)).await;
    let config = || {
        let config = server.config().extra_roots(authority.roots()).proxy(through(&proxy, ""));
        config.addresses("https://chat.example", "wss://chat.example/websocket")
    };
    let (from, _heard) = online(config(), alice()).await;
    let (to, mut heard) = online(config(), bob()).await;
    from.send_text("bob", "through the tunnel").await.unwrap();
    assert_eq!(text(&heard.message().await), "through the tunnel");
    let asked = Asked { authority: "chat.example:443".to_owned(), authorization: None };
    assert_eq!(proxy.asked(), vec![asked; 4]);
    from.close().await;
    to.close().await;
}

#[actix::test]
async fn a_certificate_is_refused_through_a_proxy_too() {
    let (server, authority) = (server().await, Authority::new());
    let front = TlsFront::start(server.address(), authority.certificate("other.example", Valid::Now)).await;
    let proxy = ConnectProxy::start(None, Does::Tunnel(front.address)).await;
    let config = quick(server.config()).extra_roots(authority.roots()).proxy(through(&proxy, ""));
    let config = config.addresses("https://chat.example", "wss://chat.example/websocket");
    let problem = agora_chat::errors::CertificateProblem::WrongName;
    assert_eq!(unreachable(config.clone()).await, LossCause::Certificate(problem.clone()));
    assert_eq!(rest_fails(&config).await.kind(), &RestErrorKind::Certificate(problem));
}

#[actix::test]
async fn a_proxy_that_refuses_fails_or_talks_nonsense_is_named_as_the_step_and_told_in_words() {
    let server = server().await;
    let says = |text: &str| Does::Says(text.as_bytes().to_vec());
    let endless = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 40_000]].concat();
    for (wants, does, words) in [
        (Some("Basic other"), Does::Silent, "wants other credentials (407)"),
        (None, says("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "answered with status 502"),
        (None, says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 502 Bad Gateway\r\n\r\n"), "answered with status 502"),
        (None, says(&"HTTP/1.1 102 Processing\r\n\r\n".repeat(17)), "more than 16 interim"),
        (None, says("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "answered with status 101"),
        (None, says("SSH-2.0-OpenSSH_9.9\r\n\r\n"), "is not HTTP"),
        (None, says("HTTP/1.1 200 OK\r\n"), "went away"),
        (None, says(""), "went away"),
        (None, Does::Says(endless), "is too long"),
    ] {
        let proxy = ConnectProxy::start(wants, does).await;
        let config = quick(server.config()).proxy(through(&proxy, "user:CANARY@"));
        let cause = unreachable(config.clone()).await;
        assert!(
            matches!(&cause, LossCause::Failed { step: ConnectStep::Proxy, detail } if detail.contains(words)),
            "{cause:?}"
        );
        let failed = rest_fails(&config).await;
        assert_eq!(failed.step(), Some(ConnectStep::Proxy), "{failed:?}");
        assert!(failed.to_string().contains(words), "{failed}");
        assert!(!format!("{cause}{cause:?}{failed}{failed:?}").contains("CANARY"));
    }
    assert_eq!(server.connects(), 0);
}

#[actix::test]
async fn a_proxy_that_is_down_is_told_from_a_service_that_is() {
    let (server, dead) = (server().await, ClosedPort::new());
    let proxy = Proxy::http(&format!("http://user:CANARY@{}", dead.address())).unwrap();
    let config = quick(server.config()).proxy(proxy);
    let cause = unreachable(config.clone()).await;
    let LossCause::Failed { step: ConnectStep::Proxy, detail } = &cause else { panic!("{cause:?}") };
    assert!(detail.contains(&dead.address().to_string()) && !detail.contains("CANARY"), "{detail}");
    assert_eq!(rest_fails(&config).await.step(), Some(ConnectStep::Proxy));
}

#[actix::test]
async fn a_silent_proxy_meets_the_limit_and_is_named() {
    let server = server().await;
    let proxy = ConnectProxy::start(None, Does::Silent).await;
    let config = quick(server.config()).proxy(through(&proxy, ""));
    let config = config.connect_timeouts(SHORT, LIMIT).rest_timeout(SHORT);
    crate::faults::steps::took_too_long(&unreachable(config.clone()).await, ConnectStep::Proxy);
    let failed = rest_fails(&config).await;
    assert_eq!((failed.kind(), failed.step()), (&RestErrorKind::Timeout(SHORT), Some(ConnectStep::Proxy)));
    assert!(failed.to_string().contains("the proxy's tunnel took too long"), "{failed}");
}

#[actix::test]
async fn hosts_the_proxy_is_not_for_are_reached_directly() {
    let server = server().await;
    let proxy = ConnectProxy::start(None, Does::Silent).await;
    for proxy in [through(&proxy, "").except("example, 127.0.0.1"), Proxy::none(), Proxy::environment()] {
        let (connection, _heard) = start(server.config().proxy(proxy));
        within("open", connection.open(alice())).await.unwrap();
        connection.close().await;
    }
    assert_eq!(proxy.asked(), []);
}
