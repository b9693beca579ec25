//! Files on their way to the service.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use agora_chat::{
    Conversation,
    errors::{RestError, RestErrorKind as Kind},
    messages::Attachment,
    rest::{Operation, Progress, Upload},
};
use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Value, json};

use crate::bot::{
    scripted::{Reply, Scripted},
    support::{alice, client, line, on_a_thread, refused, scripted, secret, swallow, token},
};

fn stored() -> Value {
    json!({"action": "post", "path": "/chatfiles", "entities":
        [{"uuid": "5e2a-11", "type": "chatfile", "share-secret": "s3cret"}], "timestamp": 1, "duration": 0})
}

async fn upload(replies: Vec<Reply>, upload: Upload) -> (Scripted, Result<Attachment, RestError>) {
    let (server, client) = scripted(replies).await;
    let outcome = client.upload(&token(), &alice(), upload).await;
    (server, outcome)
}

#[actix::test]
async fn an_upload_is_the_form_of_the_spec_and_answers_what_a_message_needs() {
    let file = Upload::bytes("a b.txt", "hello").to(Conversation::group("1827")).thumbnail(80, 60);
    let (server, outcome) = upload(vec![Reply::json(200, &stored())], file).await;
    let request = &server.requests()[0];
    assert_eq!(line(request), ("POST", "/org/app/chatfiles?chat-type=GROUP&chat-target=1827"));
    assert_eq!(request.header("restrict-access"), Some("true"));
    assert_eq!(request.header("accept"), Some("*/*"));
    let form = request.header("content-type").unwrap();
    let boundary = form.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8(request.body.clone()).unwrap();
    let parts: Vec<_> = body.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 5, "{body}");
    assert!(parts[1].contains("name=\"file\"; filename=\"a b.txt\"\r\n"));
    assert!(parts[1].ends_with("\r\n\r\nhello\r\n"));
    assert_eq!(parts[2], "\r\nContent-Disposition: form-data; name=\"thumbnail-width\"\r\n\r\n80\r\n");
    assert_eq!(parts[3], "\r\nContent-Disposition: form-data; name=\"thumbnail-height\"\r\n\r\n60\r\n");
    assert_eq!(parts[4], "--\r\n");
    let stored = outcome.unwrap();
    assert_eq!(stored.url, format!("{}/org/app/chatfiles/5e2a-11", server.base()));
    assert_eq!((stored.name.as_str(), stored.length, stored.secret), ("a b.txt", 5, secret("s3cret")));
}

#[actix::test]
async fn an_upload_says_for_which_conversation_it_is() {
    let rows = [
        (Some(Conversation::user("bob/phone")), "/org/app/chatfiles?chat-type=CHAT&chat-target=bob"),
        (Some(Conversation::thread("7")), "/org/app/chatfiles?chat-type=GROUP&chat-target=7"),
        (Some(Conversation::room("8&9")), "/org/app/chatfiles?chat-type=ROOM&chat-target=8%269"),
        (None, "/org/app/chatfiles"),
    ];
    for (target, url) in rows {
        let file = Upload::bytes("n", "x");
        let file = match target {
            Some(target) => file.to(target),
            None => file,
        };
        let (server, outcome) = upload(vec![Reply::json(200, &stored())], file).await;
        outcome.unwrap();
        assert_eq!(line(&server.requests()[0]), ("POST", url));
    }
}

#[actix::test]
async fn a_file_over_the_limit_is_refused_before_anything_is_sent() {
    let file = Upload::bytes("n", vec![0; 11]).limit(10);
    let (server, outcome) = upload(vec![Reply::json(200, &stored())], file).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.code().number()), (&Kind::FileTooLarge { limit: 10 }, 101));
    assert_eq!((error.operation(), server.count()), (Operation::Upload, 0));
    let default = Upload::bytes("n", vec![0; 10 * 1024 * 1024 + 1]);
    let (server, outcome) = upload(vec![Reply::json(200, &stored())], default).await;
    assert!(matches!(outcome.unwrap_err().kind(), Kind::FileTooLarge { .. }));
    assert_eq!(server.count(), 0);
}

#[actix::test]
async fn a_host_that_does_not_answer_is_passed_over_but_one_that_was_sent_something_is_not() {
    let good = Scripted::start([Reply::json(200, &stored())]).await;
    let rest = client(&[refused(), good.base()]);
    let file = rest.upload(&token(), &alice(), Upload::bytes("n", "x")).await.unwrap();
    assert!(file.url.starts_with(&good.base()), "the address is of the host that took it");

    let busy = Scripted::start([Reply::failure(503, "", "")]).await;
    let spare = Scripted::start([Reply::json(200, &stored())]).await;
    let rest = client(&[busy.base(), spare.base()]);
    let error = rest.upload(&token(), &alice(), Upload::bytes("n", "x")).await.unwrap_err();
    assert_eq!((error.kind(), busy.count(), spare.count()), (&Kind::ServerBusy, 1, 0));
}

#[actix::test]
async fn an_upload_is_not_repeated_after_a_limit() {
    let limited = Reply::Answer(429, vec![("retry-after", "1".to_owned())], b"{\"error\":\"reach_limit\"}".to_vec());
    let (server, outcome) = upload(vec![limited, Reply::json(200, &stored())], Upload::bytes("n", "x")).await;
    assert_eq!((outcome.unwrap_err().kind(), server.count()), (&Kind::RateLimited, 1));
}

#[actix::test]
async fn a_service_that_takes_but_never_answers_is_given_up_when_nothing_moves() {
    let file = Upload::bytes("n", "x").idle_timeout(Duration::from_millis(50));
    let (_server, outcome) = upload(vec![Reply::Stall(Vec::new())], file).await;
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.code().number()), (&Kind::Timeout(Duration::from_millis(50)), -1));
}

/// Pieces that come one by one for ever, each after a moment.
struct Trickle(Option<Pin<Box<tokio::time::Sleep>>>);

impl Stream for Trickle {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pause = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(5))));
        if pause.as_mut().poll(task).is_pending() {
            return Poll::Pending;
        }
        self.0 = None;
        Poll::Ready(Some(Ok(Bytes::from_static(b"x"))))
    }
}

#[actix::test]
async fn an_upload_that_goes_on_and_on_ends_at_its_limit_of_time() {
    let (server, rest) = scripted([Reply::Stall(Vec::new())]).await;
    let limit = Duration::from_millis(100);
    let file = Upload::stream("n", None, Trickle(None)).timeout(limit);
    let error = rest.upload(&token(), &alice(), file).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::Timeout(limit));
    drop(server);
}

#[actix::test]
async fn a_service_that_stops_reading_is_given_up() {
    let (done, finished) = std::sync::mpsc::channel::<()>();
    // The connection stays open, and what fits into the buffers below is all that moves.
    let (base, server) = on_a_thread(move |stream| {
        let _ = finished.recv();
        drop(stream);
    });
    let idle = Duration::from_millis(300);
    let pieces = Made(std::iter::repeat_n(64 * 1024, 1024).collect());
    let file = Upload::stream("n", Some(64 << 20), pieces).limit(64 << 20).idle_timeout(idle);
    let error = client(&[base]).upload(&token(), &alice(), file).await.unwrap_err();
    assert_eq!(error.kind(), &Kind::Timeout(idle));
    drop(done);
    server.join().unwrap();
}

#[actix::test]
async fn a_source_that_fails_ends_the_upload_with_its_own_error() {
    struct Broken;
    impl Stream for Broken {
        type Item = io::Result<Bytes>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::BrokenPipe))))
        }
    }
    let (_server, outcome) = upload(vec![Reply::json(200, &stored())], Upload::stream("n", Some(9), Broken)).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind(), Kind::File { kind: io::ErrorKind::BrokenPipe, .. }), "{error}");
    assert_eq!(error.code().number(), 101);
    let folder = tempfile::tempdir().unwrap();
    let missing = Upload::file(folder.path().join("missing.png"));
    let (server, outcome) = upload(vec![Reply::json(200, &stored())], missing).await;
    assert!(matches!(outcome.unwrap_err().kind(), Kind::File { kind: io::ErrorKind::NotFound, .. }));
    assert_eq!(server.count(), 0);
}

#[actix::test]
async fn an_answer_that_names_no_file_is_not_understood() {
    let odd = [
        json!({}),
        json!({"entities": []}),
        json!({"entities": [{"uuid": "../x"}]}),
        json!({"entities": [{"uuid": 7}]}),
    ];
    for answer in odd {
        let (_server, outcome) = upload(vec![Reply::json(200, &answer)], Upload::bytes("n", "x")).await;
        assert!(matches!(outcome.unwrap_err().kind(), Kind::UnexpectedAnswer(_)), "{answer}");
    }
}

const MEBIBYTE: usize = 1 << 20;

/// Five mebibytes, made piece by piece.
struct Made(VecDeque<usize>);

impl Stream for Made {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(|length| Ok(vec![b'x'; length].into())))
    }
}

#[test]
fn five_mebibytes_go_up_in_little_memory_with_progress_that_only_grows_to_the_end() {
    const ALL: usize = 5 * MEBIBYTE;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    std::fs::write(&path, vec![b'x'; ALL]).unwrap();
    let pieces = || Made(std::iter::repeat_n(64 * 1024, ALL / (64 * 1024)).collect());
    for file in [Upload::file(&path), Upload::stream("large.bin", Some(ALL as u64), pieces())] {
        let body = stored().to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (base, server) = on_a_thread(move |stream| swallow(stream, &answer));
        let told = Arc::new(Mutex::new(Vec::<Progress>::with_capacity(1000)));
        let teller = Arc::clone(&told);
        let file = file.on_progress(move |progress| teller.lock().unwrap().push(progress));
        let rest = client(&[base]);
        let cost = allocation_counter::measure(|| {
            let stored =
                actix::System::new().block_on(async move { rest.upload(&token(), &alice(), file).await.unwrap() });
            assert_eq!((stored.length, stored.name.as_str()), (ALL as u64, "large.bin"));
        });
        assert!(cost.bytes_max < MEBIBYTE as u64, "{} bytes at once", cost.bytes_max);
        let (head, length) = server.join().unwrap();
        assert!(head.starts_with("POST /org/app/chatfiles HTTP/1.1\r\n"), "{head}");
        assert!((ALL + 1..ALL + 1024).contains(&length));
        let told = told.lock().unwrap();
        assert!(told.windows(2).all(|pair| pair[0].done < pair[1].done));
        assert!(told.len() >= ALL / (64 * 1024), "{} pieces", told.len());
        assert!(told.iter().all(|progress| progress.total == Some(ALL as u64)));
        assert_eq!(told.last().unwrap().done, ALL as u64);
    }
}
