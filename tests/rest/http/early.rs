//! Uploads that are answered before they are sent.

use std::{io, time::Duration};

use agora_chat::{
    errors::{RestError, RestErrorKind as Kind},
    rest::Upload,
};
use bytes::Bytes;
use futures_core::Stream;

use crate::http::{
    server::{Act, Server, answer},
    token, user,
};

const LARGE: usize = 20 << 20;

/// Gives some bytes, and then none for ever.
struct Stuck(usize);

impl Stream for Stuck {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if self.0 == 0 {
            return std::task::Poll::Pending;
        }
        self.0 -= 1;
        std::task::Poll::Ready(Some(Ok(vec![b'x'; 64 * 1024].into())))
    }
}

async fn refused(script: Vec<Act>, upload: Upload) -> RestError {
    let (_server, rest) = Server::with_client(vec![script]).await;
    let upload = upload.limit(u64::MAX).idle_timeout(Duration::from_secs(60));
    let outcome = tokio::time::timeout(Duration::from_secs(30), rest.upload(&token(), &user("alice"), upload)).await;
    outcome.expect("the answer ends the upload").unwrap_err()
}

fn sources() -> Vec<(&'static str, Upload)> {
    let large = LARGE as u64;
    vec![
        ("bytes", Upload::bytes("a", vec![b'x'; LARGE])),
        ("a stream of known length", Upload::stream("a", Some(large), Stuck(LARGE / 65_536))),
        ("a stream of unknown length", Upload::stream("a", None, Stuck(LARGE / 65_536))),
        ("a slow stream of known length", Upload::stream("a", Some(large), Stuck(3))),
        ("a slow stream of unknown length", Upload::stream("a", None, Stuck(3))),
    ]
}

#[actix::test]
async fn an_upload_that_is_refused_while_it_is_sent_fails_with_the_answer() {
    let said = r#"{"error":"unauthorized","error_description":"why it is so"}"#;
    for status in [401, 413, 429, 503] {
        let reply = || answer(status, "Retry-After: 1\r\n", said);
        for (how, end) in [
            ("closes", vec![]),
            ("resets", vec![Act::Reset]),
            ("resets a moment later", vec![Act::Turn, Act::Reset]),
            ("stays silent", vec![Act::Hold]),
        ] {
            for (source, upload) in sources() {
                let mut script = vec![Act::Part(100), reply()];
                script.extend(end.clone());
                let failed = refused(script, upload).await;
                assert_eq!(failed.status(), Some(status), "{source}, the server {how}: {failed:?}");
                assert_eq!(failed.description(), Some("why it is so"), "{source}, the server {how}");
            }
        }
    }
}

#[actix::test]
async fn an_upload_that_ends_without_an_answer_is_cut_off() {
    for (source, upload) in sources() {
        if source.contains("slow") {
            continue;
        }
        for script in [vec![Act::Part(100)], vec![Act::Part(100), Act::Reset]] {
            let failed = refused(script, upload_again(source, &upload)).await;
            assert!(matches!(failed.kind(), Kind::Unreachable(_)), "{source}: {failed:?}");
        }
    }
}

fn upload_again(source: &str, _: &Upload) -> Upload {
    sources().into_iter().find(|(name, _)| *name == source).unwrap().1
}

#[actix::test]
async fn a_success_that_comes_early_does_not_end_the_upload() {
    let stored = r#"{"entities":[{"uuid":"u-1"}]}"#;
    let script = vec![Act::Part(100), answer(200, "", stored), Act::Turn, Act::Hold];
    let (_server, rest) = Server::with_client(vec![script]).await;
    // The server takes no more than what the system keeps for it, which is enough for this one.
    let upload = Upload::bytes("a", vec![b'x'; 100_000]);
    let stored = rest.upload(&token(), &user("alice"), upload).await.unwrap();
    assert_eq!(stored.length, 100_000);
}
