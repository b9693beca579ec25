//! Files that are given up, that stand still, and whose watchers panic.

use std::{
    future::{Future as _, poll_fn},
    io::{self, Read as _, Write as _},
    panic::panic_any,
    path::Path,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use agora_chat::{
    Connection, Credentials, RequestError, RestClient,
    errors::RestErrorKind as Kind,
    local_server::LocalServer,
    messages::Attachment,
    rest::{Download, Upload},
};
use bytes::Bytes;
use futures_core::Stream;

use crate::bot::{
    scripted::Reply,
    support::{alice, client, scripted, token},
};

const LONG: Duration = Duration::from_secs(20);

async fn download(rest: &RestClient) -> Download {
    let file = Attachment::at("http://h/org/app/chatfiles/u-1".to_owned());
    rest.download(&token(), &alice(), &file).await.unwrap()
}

fn body(bytes: &[u8]) -> Reply {
    Reply::Answer(200, Vec::new(), bytes.to_vec())
}

/// What is in a folder once nothing is under way there any more.
async fn left_in(folder: &Path) -> usize {
    let begun = Instant::now();
    loop {
        let left = folder.read_dir().unwrap().count();
        if left == 0 || begun.elapsed() > LONG {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix::test]
async fn a_download_to_a_file_given_up_at_any_moment_leaves_nothing_behind() {
    // The first piece comes, the last one never does.
    let stalled = Reply::Stall(b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhell".to_vec());
    let (_server, rest) = scripted([stalled]).await;
    for polls in 1..=20 {
        let folder = tempfile::tempdir().unwrap();
        {
            let mut writing = pin!(download(&rest).await.to_file(folder.path().join("file")));
            for _ in 0..polls {
                poll_fn(|task| {
                    assert!(writing.as_mut().poll(task).is_pending());
                    Poll::Ready(())
                })
                .await;
                tokio::time::sleep(Duration::from_millis(polls % 3)).await;
            }
        }
        assert_eq!(left_in(folder.path()).await, 0, "given up after {polls} polls");
    }
}

#[cfg(unix)]
#[actix::test]
async fn a_pipe_or_a_device_is_neither_read_nor_replaced() {
    let (server, rest) = scripted([body(b"x")]).await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for path in [&pipe, &link, Path::new("/dev/zero"), Path::new("/dev/null"), folder.path()] {
        let (token, alice) = (token(), alice());
        let upload = rest.upload(&token, &alice, Upload::file(path));
        let error = tokio::time::timeout(LONG, upload).await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), Kind::File { kind: io::ErrorKind::InvalidInput, .. }), "{error}");
    }
    assert_eq!(server.count(), 0);
    for path in [&pipe, &link] {
        let error = download(&rest).await.to_file(path).await.unwrap_err();
        assert!(matches!(error.kind(), Kind::File { kind: io::ErrorKind::InvalidInput, .. }), "{error}");
    }
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&pipe.metadata().unwrap().file_type()));
    assert_eq!(folder.path().read_dir().unwrap().count(), 2);
}

/// A peer that takes what comes at its leisure.
#[cfg(target_os = "linux")]
#[actix::test]
async fn a_slow_link_is_no_dead_one_for_as_long_as_bytes_are_acknowledged() {
    const ALL: usize = 3 << 20;
    const IDLE: Duration = Duration::from_millis(800);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // What is not read is not acknowledged, but for this much.
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    listener.set_nonblocking(false).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut piece, mut got) = (vec![0; 16 * 1024], 0);
        while got < ALL {
            got += stream.read(&mut piece).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        let answer = r#"{"entities":[{"uuid":"u-1"}]}"#;
        write!(stream, "HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        let _ = stream.read(&mut piece);
    });
    let told = std::sync::Arc::new(std::sync::Mutex::new(Instant::now()));
    let last = std::sync::Arc::clone(&told);
    let upload = Upload::bytes("n", vec![b'x'; ALL]).idle_timeout(IDLE);
    let upload = upload.on_progress(move |_| *last.lock().unwrap() = Instant::now());
    client(&[base]).upload(&token(), &alice(), upload).await.unwrap();
    let lay = told.lock().unwrap().elapsed();
    assert!(lay > IDLE, "the last piece lay on this machine for longer than nothing may move: {lay:?}");
    peer.join().unwrap();
}

/// Panics when it is read, or gives one byte and panics when it is dropped.
struct Explosive {
    when_read: bool,
    given: bool,
}

fn explosive(when_read: bool) -> Explosive {
    Explosive { when_read, given: false }
}

impl Stream for Explosive {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.when_read {
            panic_any("on purpose");
        }
        let given = std::mem::replace(&mut self.given, true);
        Poll::Ready((!given).then(|| Ok(Bytes::from_static(b"x"))))
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic_any("on purpose, when dropped");
    }
}

#[actix::test]
async fn a_watcher_or_stream_that_panics_ends_its_upload_and_nothing_else() {
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", "pw").unwrap();
    let connection = Connection::start(server.config().build().unwrap()).unwrap();
    connection.open(Credentials::password("alice", "pw").unwrap()).await.unwrap();
    let panics = |upload: Upload| upload.on_progress(|_| panic_any("on purpose"));
    for (upload, lent) in [
        (panics(Upload::bytes("n", "x")), "`on_progress`"),
        (panics(Upload::stream("n", Some(1), explosive(false))), "`on_progress`"),
        (Upload::stream("n", Some(1), explosive(true)), "the upload's stream"),
        (Upload::stream("n", None, explosive(true)), "the upload's stream"),
    ] {
        let error = connection.upload(upload).await.unwrap_err();
        let RequestError::Rest(error) = &error else { panic!("{error:?}") };
        assert_eq!((error.kind(), error.code().number()), (&Kind::Panicked(lent), 101));
        assert!(error.is_final() && error.to_string().contains(lent), "{error}");
    }
    // It does its work, and panics only where it is dropped.
    connection.upload(Upload::stream("n", Some(1), explosive(false))).await.unwrap();
    // And so where it is never begun.
    drop(Upload::stream("n", Some(1), explosive(false)));
    connection.upload(Upload::stream("n", Some(2), explosive(false)).limit(1)).await.unwrap_err();

    let stored = connection.upload(Upload::bytes("n", "whole")).await.unwrap();
    let watched = connection.download(&stored).await.unwrap().on_progress(|_| panic_any("on purpose"));
    let error = watched.bytes(9).await.unwrap_err();
    assert_eq!((error.kind(), error.code().number()), (&Kind::Panicked("`on_progress`"), 200));
    assert_eq!(connection.download(&stored).await.unwrap().bytes(9).await.unwrap(), "whole");
    connection.close().await;
}

#[actix::test]
async fn an_upload_given_up_at_the_handle_hangs_up() {
    struct Never(std::sync::mpsc::Sender<()>);
    impl Stream for Never {
        type Item = io::Result<Bytes>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Pending
        }
    }
    impl Drop for Never {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", "pw").unwrap();
    let connection = Connection::start(server.config().build().unwrap()).unwrap();
    connection.open(Credentials::password("alice", "pw").unwrap()).await.unwrap();
    let (dropped, gone) = std::sync::mpsc::channel();
    let upload = connection.upload(Upload::stream("n", Some(9), Never(dropped)));
    assert!(tokio::time::timeout(Duration::from_millis(100), upload).await.is_err());
    let gone = actix_rt::task::spawn_blocking(move || gone.recv_timeout(LONG));
    gone.await.unwrap().expect("the stream is dropped with its upload");
    connection.close().await;
}
