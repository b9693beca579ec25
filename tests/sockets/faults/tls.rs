//! `wss` and `https` with certificates made here. There is no setting that switches their verification off: what a
//! client trusts is the system's roots and those given to `ConfigBuilder::extra_roots`.

use agora_chat::{
    LossCause, OpenError, RestClient,
    errors::{CertificateProblem, ConnectStep, RestErrorKind},
    network::Roots,
};
use tokio::io::AsyncReadExt as _;

use crate::faults::{
    raw::Port,
    support::{alice, bob, online, quick, server, start, text, within},
    tls_front::{Authority, TlsFront, Valid},
    unreachable,
};

#[actix::test]
async fn socket_and_rest_calls_work_over_tls_with_a_root_of_the_applications_own() {
    let (server, authority) = (server().await, Authority::new());
    for host in ["127.0.0.1", "localhost"] {
        let front = TlsFront::start(server.address(), authority.certificate(host, Valid::Now)).await;
        let config = quick(front.config(&server, host, authority.roots()));
        let (to, mut heard) = start(config.clone());
        to.register_user(&format!("new-{}", front.address.port()), "pw", None).await.unwrap();
        to.open(bob()).await.unwrap();
        assert!(!heard.connected().await);
        let (from, _heard) = online(front.config(&server, host, authority.roots()), alice()).await;
        from.send_text("bob", "over TLS").await.unwrap();
        assert_eq!(text(&heard.message().await), "over TLS");
        from.close().await;
        to.close().await;
    }
}

#[actix::test]
async fn a_link_under_tls_that_is_cut_comes_back() {
    let (server, authority) = (server().await, Authority::new());
    let front = TlsFront::start(server.address(), authority.certificate("127.0.0.1", Valid::Now)).await;
    let (connection, mut heard) = online(quick(front.config(&server, "127.0.0.1", authority.roots())), alice()).await;
    for cut in [agora_chat::local_server::Cut::Fin, agora_chat::local_server::Cut::Rst] {
        server.drop_links("alice", cut);
        heard.lost().await;
        assert!(heard.connected().await);
    }
    connection.close().await;
}

#[actix::test]
async fn each_fault_of_a_certificate_has_its_own_error_on_the_socket_and_on_rest_and_says_what_to_do() {
    let (server, ours, theirs) = (server().await, Authority::new(), Authority::named("another authority"));
    let made_anew = Authority::new();
    for (name, valid, roots, problem, advice) in [
        ("chat.example", Valid::Now, ours.roots(), CertificateProblem::WrongName, "check the address"),
        ("127.0.0.1", Valid::Now, theirs.roots(), CertificateProblem::UnknownRoot, "`ConfigBuilder::extra_roots`"),
        ("127.0.0.1", Valid::Now, made_anew.roots(), CertificateProblem::UnknownRoot, "`ConfigBuilder::extra_roots`"),
        ("127.0.0.1", Valid::NoMore, ours.roots(), CertificateProblem::Expired, "this machine's clock"),
        ("127.0.0.1", Valid::NotYet, ours.roots(), CertificateProblem::Expired, "this machine's clock"),
    ] {
        let front = TlsFront::start(server.address(), ours.certificate(name, valid)).await;
        let config = quick(front.config(&server, "127.0.0.1", roots));

        let cause = unreachable(config.clone()).await;
        assert_eq!(cause, LossCause::Certificate(problem.clone()), "{name} {valid:?}");
        assert!(cause.to_string().contains(advice), "{cause}");

        let rest = RestClient::new(&config.clone().build().unwrap()).unwrap();
        let (user, password) = ("alice".parse().unwrap(), agora_chat::account::Password::new("pw-a").unwrap());
        let failed = within("the call", rest.password_token(&user, &password)).await.unwrap_err();
        assert_eq!(failed.kind(), &RestErrorKind::Certificate(problem.clone()));
        assert_eq!(failed.step(), Some(ConnectStep::Tls));
        assert!(failed.to_string().contains(advice), "{failed}");

        let (connection, _heard) = start(config);
        let error = within("open", connection.open(alice())).await.unwrap_err();
        assert!(matches!(&error, OpenError::Token { error, .. } if error == &failed), "{error:?}");
    }
    assert_eq!(server.stats().upgrades + server.stats().rest_calls, 0, "nothing passes a refused certificate");
}

#[actix::test]
async fn a_handshake_that_is_cut_or_answered_with_garbage_is_a_failure_of_that_step() {
    let port = Port::open().await;
    let address = port.address();
    let config = port.config().addresses(format!("https://{address}"), format!("wss://{address}/websocket"));
    actix_rt::spawn(async move {
        for turn in 0.. {
            let mut peer = port.link().await;
            match turn % 3 {
                0 => peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
                1 => peer.send(&[0x16, 3, 3, 0, 5, 2, 0, 0]).await,
                _ => {
                    // The client has begun.
                    peer.stream.read_u8().await.unwrap();
                    peer.reset();
                }
            }
        }
    });
    for _ in 0..3 {
        let cause = unreachable(config.clone()).await;
        assert!(matches!(cause, LossCause::Failed { step: ConnectStep::Tls, .. }), "{cause:?}");
        assert!(cause.to_string().contains("the TLS handshake"), "{cause}");
    }
}

#[test]
fn a_byte_order_mark_before_a_pem_hides_no_certificate() {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = made.pem();
    let marked = format!("\u{feff}{pem}");
    assert_eq!(Roots::from_pem(&marked).unwrap(), Roots::from_pem(&pem).unwrap());
    let two = format!("{marked}\n{pem}");
    assert_eq!(format!("{:?}", Roots::from_pem(two).unwrap()), "Roots(2 certificates)");
}
