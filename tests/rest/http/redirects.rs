//! Redirects: where they lead is said, and what is secret in it is not.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use agora_chat::{RestClient, messages::Attachment, rest::Fetch};
use slog::Drain as _;

use crate::http::{
    config, login,
    server::{Act, Server, answer},
    token, user,
};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logging(base: &str) -> (RestClient, Written) {
    let written = Written::default();
    let decorator = slog_term::PlainSyncDecorator::new(written.clone());
    let logger = slog::Logger::root(slog_term::FullFormat::new(decorator).build().fuse(), slog::o!());
    (RestClient::new(&config(base).logger(logger).build().unwrap()).unwrap(), written)
}

fn clean(row: &str, shown: &str) {
    assert!(!shown.contains("SECRET") && !shown.contains("key:"), "{row}: {shown}");
}

#[actix::test]
async fn a_redirect_of_a_call_names_the_host_it_leads_to() {
    for (to, host) in [
        ("http://key:SECRET@else.example:8080/x?y=SECRET#SECRET", Some("else.example:8080")),
        ("https://else.example", Some("else.example")),
        ("//else.example/x", Some("else.example")),
        ("https://SECRET@[2001:db8::1]:1/x", Some("[2001:db8::1]:1")),
        ("ftp://else.example/x", None),
        ("", None),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let reply = answer(status, &format!("Location: {to}\r\n"), "");
            let server = Server::start(vec![vec![Act::Request, reply]]).await;
            let (rest, log) = logging(&server.base);
            let failed = login(&rest, "alice").await.unwrap_err();
            assert_eq!((failed.status(), failed.redirect()), (Some(status), host), "{to}");
            assert!(failed.to_string().contains(host.unwrap_or("status")), "{failed}");
            clean(to, &format!("{failed} {failed:?} {}", String::from_utf8_lossy(&log.0.lock().unwrap())));
        }
    }
    let server = Server::start(vec![vec![Act::Request, answer(307, "Location: /elsewhere\r\n", "")]]).await;
    let (rest, _log) = logging(&server.base);
    let failed = login(&rest, "alice").await.unwrap_err();
    assert_eq!(failed.redirect(), server.base.strip_prefix("http://"));
}

#[actix::test]
async fn userinfo_of_an_address_is_shown_nowhere_and_sent_to_nobody() {
    // Where the redirect leads: once nothing is there, once the file.
    let there = Server::start(vec![vec![Act::Request, answer(200, "", "file")]]).await;
    let nobody = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (target, found) in [(there.base.as_str(), true), (nobody.as_str(), false)] {
        let to = target.replace("http://", "http://key:SECRET@");
        let server = Server::start(vec![vec![Act::Request, answer(302, &format!("Location: {to}/f\r\n"), "")]]).await;
        let (rest, log) = logging(&server.base);
        let file = Attachment::at(format!("{}/org/app/chatfiles/u", server.base.replace("//", "//key:SECRET@")));
        let fetch = Fetch::new(&file);
        clean("attachment", &format!("{file:?} {fetch:?}"));
        let outcome = rest.download(&token(), &user("alice"), fetch).await;
        assert_eq!(outcome.is_ok(), found);
        if let Err(failed) = &outcome {
            assert_eq!(failed.host(), nobody.strip_prefix("http://"));
            clean("error", &format!("{failed} {failed:?}"));
        }
        let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
        assert!(log.contains(target.strip_prefix("http://").unwrap()), "{log}");
        clean("log", &log);
    }
    clean("request", &there.seen()[0].head);
}
