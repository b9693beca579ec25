//! The same under TLS, whose end is no end where it does not say so itself.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use agora_chat::{RestClient, errors::RestErrorKind as Kind, messages::Attachment, rest::Fetch};
use rustls::ServerConfig;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use crate::http::{
    config, grant, login,
    server::{Act, Request, answer, play, send},
    tls_front::{Authority, Valid},
    token, user,
};

struct Secure {
    base: String,
    authority: Authority,
    seen: Rc<RefCell<Vec<Request>>>,
}

impl Secure {
    /// `None` where this machine has no such address.
    async fn start(host: &str, close_notify: bool, scripts: Vec<Vec<Act>>) -> Option<Self> {
        let authority = Authority::new();
        let certified = authority.certificate(host, Valid::Now);
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certified.chain, certified.key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((host, 0)).await.ok()?;
        let base = format!("https://{}", listener.local_addr().unwrap());
        let seen = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&seen);
        actix_rt::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = acceptor.accept(stream).await.unwrap();
                let (script, seen) = (scripts[connection.min(scripts.len() - 1)].clone(), Rc::clone(&told));
                actix_rt::spawn(async move {
                    play(&mut stream, connection, script, &seen).await;
                    if close_notify {
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Some(Secure { base, authority, seen })
    }

    fn client(&self) -> RestClient {
        RestClient::new(&config(&self.base).extra_roots(self.authority.roots()).build().unwrap()).unwrap()
    }
}

#[actix::test]
async fn an_ipv6_literal_is_a_rest_address_under_tls() {
    let script = vec![Act::Request, answer(200, "", grant("alice"))];
    let Some(server) = Secure::start("::1", true, vec![script]).await else { return };
    assert_eq!(login(&server.client(), "alice").await.unwrap().token.expose(), "token-of-alice");
    let host = server.base.strip_prefix("https://").unwrap();
    assert!(server.seen.borrow()[0].head.to_ascii_lowercase().contains(&format!("host: {host}\r\n")));
}

#[actix::test]
async fn a_connection_under_tls_is_used_again_and_left_with_a_word() {
    let script = vec![
        Act::Request,
        send("HTTP/1.1 102 x\r\n\r\n"),
        Act::Turn,
        answer(200, "", grant("alice")),
        Act::Request,
        answer(200, "Connection: close\r\n", grant("bob")),
    ];
    let server = Secure::start("127.0.0.1", true, vec![script]).await.unwrap();
    let rest = server.client();
    assert_eq!(login(&rest, "alice").await.unwrap().token.expose(), "token-of-alice");
    assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob");
    assert_eq!(server.seen.borrow().iter().map(|request| request.connection).collect::<Vec<_>>(), [0, 0]);
}

#[actix::test]
async fn a_tls_stream_that_ends_without_a_word_is_cut_where_the_length_is_unknown() {
    for close_notify in [true, false] {
        let text = format!("HTTP/1.1 200 x\r\n\r\n{}", grant("alice"));
        let server = Secure::start("127.0.0.1", close_notify, vec![vec![Act::Request, send(text)]]).await.unwrap();
        let outcome = login(&server.client(), "alice").await;
        assert_eq!(outcome.is_ok(), close_notify, "{outcome:?}");

        let script = vec![Act::Request, send("HTTP/1.1 200 x\r\n\r\nhello")];
        let server = Secure::start("127.0.0.1", close_notify, vec![script]).await.unwrap();
        let file = Attachment::at(format!("{}/org/app/chatfiles/u", server.base));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        std::fs::write(&path, "old").unwrap();
        let download = server.client().download(&token(), &user("alice"), Fetch::new(&file)).await.unwrap();
        let outcome = download.to_file(&path).await;
        assert_eq!(std::fs::read(&path).unwrap(), if close_notify { &b"hello"[..] } else { b"old" });
        if let Err(failed) = outcome {
            assert!(matches!(failed.kind(), Kind::Unreachable(said) if said.contains("cut off")), "{failed}");
        }
        // A length says enough by itself.
        let script = vec![Act::Request, answer(200, "", grant("alice"))];
        let server = Secure::start("127.0.0.1", close_notify, vec![script]).await.unwrap();
        assert!(login(&server.client(), "alice").await.is_ok());
    }
}

#[actix::test]
async fn what_a_server_sends_unasked_under_tls_goes_to_nobody() {
    let mallory = answer(200, "", grant("mallory"));
    let Act::Send(unasked) = mallory else { unreachable!() };
    let Act::Send(alice) = answer(200, "", grant("alice")) else { unreachable!() };
    for first in [
        // In one record of TLS with the answer, and in one of its own.
        vec![Act::Request, send([alice.clone(), unasked.clone()].concat())],
        vec![Act::Request, send(&alice), Act::Turn, send(&unasked)],
    ] {
        let other = vec![Act::Request, answer(200, "", grant("bob"))];
        let first = [first, vec![Act::Hold]].concat();
        let server = Secure::start("127.0.0.1", true, vec![first, other]).await.unwrap();
        let rest = server.client();
        assert!(login(&rest, "alice").await.is_ok());
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        assert_eq!(login(&rest, "bob").await.unwrap().token.expose(), "token-of-bob");
    }
}
