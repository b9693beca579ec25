//! Files on their way from the service.

use std::{
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use agora_chat::{
    RestClient,
    errors::{RestError, RestErrorKind as Kind},
    messages::Attachment,
    network::Roots,
    rest::{Download, Fetch, Progress},
};

use crate::bot::{
    scripted::{Reply, Scripted},
    support::{alice, client, config, line, on_a_thread, refused, scripted, secret, token},
};

fn file(base: &str) -> Attachment {
    let mut file = Attachment::at(format!("{base}/org/app/chatfiles/u-1"));
    file.secret = secret("s3cret");
    file
}

fn body(bytes: &[u8]) -> Reply {
    Reply::Answer(200, vec![("content-type", "application/octet-stream".to_owned())], bytes.to_vec())
}

fn to(address: String) -> Reply {
    Reply::Answer(302, vec![("location", address)], Vec::new())
}

async fn get(rest: &RestClient, fetch: impl Into<Fetch>) -> Result<Download, RestError> {
    rest.download(&token(), &alice(), fetch).await
}

/// The error of a download wherever it shows.
async fn failed(rest: &RestClient, fetch: impl Into<Fetch>) -> RestError {
    match get(rest, fetch).await {
        Ok(download) => download.bytes(1 << 20).await.unwrap_err(),
        Err(error) => error,
    }
}

#[actix::test]
async fn a_download_shows_token_and_secret_and_gives_the_bytes() {
    let (server, rest) = scripted([body(b"hello")]).await;
    let download = get(&rest, &file(&server.base())).await.unwrap();
    assert_eq!(download.length(), Some(5));
    assert_eq!(download.bytes(5).await.unwrap(), "hello");
    let request = &server.requests()[0];
    assert_eq!(line(request), ("GET", "/org/app/chatfiles/u-1"));
    assert_eq!((request.header("share-secret"), request.header("thumbnail")), (Some("s3cret"), None));
}

#[actix::test]
async fn a_thumbnail_is_asked_for_by_header() {
    let (server, rest) = scripted([body(b"t")]).await;
    let mut by_address = file(&server.base());
    by_address.url.push_str("?thumbnail=true");
    // The length is that of the picture, which its thumbnail does not have.
    by_address.length = 100;
    for fetch in [Fetch::new(&file(&server.base())).thumbnail(), by_address.into()] {
        assert_eq!(get(&rest, fetch).await.unwrap().bytes(9).await.unwrap(), "t");
    }
    for request in server.requests() {
        assert_eq!((request.url.as_str(), request.header("thumbnail")), ("/org/app/chatfiles/u-1", Some("true")));
    }
}

#[actix::test]
async fn a_file_of_the_application_is_asked_of_the_own_host_whatever_host_it_names() {
    let (server, rest) = scripted([body(b"x")]).await;
    let elsewhere = Scripted::start([body(b"evil")]).await;
    assert_eq!(get(&rest, &file(&elsewhere.base())).await.unwrap().bytes(9).await.unwrap(), "x");
    assert_eq!((server.count(), elsewhere.count()), (1, 0));
}

#[actix::test]
async fn a_foreign_address_is_refused_and_nobody_is_asked() {
    let (server, rest) = scripted([body(b"x")]).await;
    let elsewhere = Scripted::start([body(b"evil")]).await;
    for path in ["/latest/meta-data", "/org/other/chatfiles/u-1", "/org/app/chatfiles/../token"] {
        let error = failed(&rest, &Attachment::at(format!("{}{path}", elsewhere.base()))).await;
        assert_eq!((error.kind(), error.code().number()), (&Kind::ForeignAddress, 200), "{path}");
    }
    assert_eq!((server.count(), elsewhere.count()), (0, 0));
}

#[actix::test]
async fn a_redirect_to_another_host_gets_neither_token_nor_secret() {
    let store = Scripted::start([body(b"stored")]).await;
    let (server, rest) = scripted([to(format!("{}/bucket/u-1?signature=x", store.base()))]).await;
    let fetch = Fetch::new(&file(&server.base())).thumbnail();
    assert_eq!(get(&rest, fetch).await.unwrap().bytes(9).await.unwrap(), "stored");
    let request = &store.requests()[0];
    assert_eq!(request.url, "/bucket/u-1?signature=x");
    let shown = format!("{request:?}");
    assert!(!shown.contains("YWMt-own") && !shown.contains("s3cret"), "{shown}");
    for name in ["authorization", "share-secret", "thumbnail"] {
        assert_eq!(request.header(name), None);
    }
}

#[actix::test]
async fn a_redirect_at_home_keeps_them_and_one_that_comes_back_does_not_get_them_again() {
    let (server, rest) = scripted([to("/moved".to_owned()), body(b"x")]).await;
    assert_eq!(get(&rest, &file(&server.base())).await.unwrap().bytes(9).await.unwrap(), "x");
    assert_eq!(line(&server.requests()[1]), ("GET", "/moved"));
    assert_eq!(server.requests()[1].header("share-secret"), Some("s3cret"));

    // Home redirects away and away redirects home; the test knows both ports only once both listen.
    let home = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", home.local_addr().unwrap());
    let away = Scripted::start([to(format!("{base}/back"))]).await;
    let away_address = away.base();
    let asked = std::thread::spawn(move || {
        let answers = [
            format!("HTTP/1.1 302 x\r\nlocation: {away_address}/x\r\ncontent-length: 0\r\n\r\n"),
            "HTTP/1.1 200 x\r\ncontent-length: 1\r\n\r\nx".to_owned(),
        ];
        answers.map(|answer| {
            let mut stream = home.accept().unwrap().0;
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).to_lowercase()
        })
    });
    let rest = client(std::slice::from_ref(&base));
    assert_eq!(get(&rest, &file(&base)).await.unwrap().bytes(9).await.unwrap(), "x");
    let [first, back] = asked.join().unwrap();
    assert!(first.contains("authorization") && first.contains("share-secret"));
    assert!(
        back.starts_with("get /back") && !back.contains("authorization") && !back.contains("share-secret"),
        "{back}"
    );
}

#[actix::test]
async fn redirects_end_after_three_and_lead_to_usable_addresses_only() {
    let (server, rest) = scripted([to("/again".to_owned())]).await;
    let error = failed(&rest, &file(&server.base())).await;
    assert!(matches!(error.kind(), Kind::UnexpectedAnswer(_)), "{error}");
    assert_eq!(server.count(), 4);
    let (server, rest) = scripted([to("../relative?x#y".to_owned()), body(b"there")]).await;
    assert_eq!(get(&rest, &file(&server.base())).await.unwrap().bytes(9).await.unwrap(), "there");
    assert_eq!(server.requests()[1].url, "/org/app/relative?x");
    for nowhere in ["ftp://127.0.0.1/x", "mailto:x", ""] {
        let (server, rest) = scripted([to(nowhere.to_owned())]).await;
        let error = failed(&rest, &file(&server.base())).await;
        assert_eq!((error.is_final(), server.count()), (false, 1), "{nowhere}: {error}");
    }
}

#[actix::test]
async fn a_body_that_is_cut_is_an_error_and_leaves_the_old_file_alone() {
    let cut = Reply::Raw(b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhell".to_vec());
    let (server, rest) = scripted([cut]).await;
    let error = failed(&rest, &file(&server.base())).await;
    assert_eq!(error.kind(), &Kind::Unreachable("cut off after 4 of 10 bytes".to_owned()));
    assert_eq!((error.user(), error.host()), (Some(&alice()), server.base().strip_prefix("http://")));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.txt");
    std::fs::write(&path, "old").unwrap();
    get(&rest, &file(&server.base())).await.unwrap().to_file(&path).await.unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["old.txt"], "no part is left behind");
}

fn chunked(pieces: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n{pieces}").into_bytes())
}

#[actix::test]
async fn a_body_of_unknown_length_is_held_to_the_length_the_message_gives() {
    let (server, rest) = scripted([chunked("4\r\nhell\r\n0\r\n\r\n"), chunked("4\r\nhell\r\n")]).await;
    let mut known = file(&server.base());
    known.length = 4;
    let whole = get(&rest, &known).await.unwrap();
    assert_eq!(whole.length(), None);
    assert_eq!(whole.bytes(9).await.unwrap(), "hell");
    let (server, rest) = scripted([chunked("4\r\nhell\r\n0\r\n\r\n"), chunked("4\r\nhell\r\n")]).await;
    (known.url, known.length) = (file(&server.base()).url, 10);
    assert_eq!(failed(&rest, &known).await.kind(), &Kind::Unreachable("cut off after 4 of 10 bytes".to_owned()));
    let cut = Kind::Unreachable("cut off after 4 bytes, within the chunks".to_owned());
    assert_eq!(failed(&rest, &known).await.kind(), &cut);
}

#[actix::test]
async fn a_body_that_does_not_say_where_it_ends_goes_on_to_the_end_of_the_connection() {
    let unsaid = |version: &str| Reply::Raw(format!("HTTP/{version} 200 x\r\n\r\nhello").into_bytes());
    let (server, rest) = scripted([unsaid("1.1"), unsaid("1.0")]).await;
    for _ in 0..2 {
        assert_eq!(get(&rest, &file(&server.base())).await.unwrap().bytes(9).await.unwrap(), "hello");
    }
}

#[cfg(unix)]
#[actix::test]
async fn a_downloaded_file_is_for_its_owner_alone_unless_the_application_says_otherwise() {
    use std::os::unix::fs::PermissionsExt as _;

    let (server, rest) = scripted([body(b"new")]).await;
    let folder = tempfile::tempdir().unwrap();
    let umask = {
        let probe = folder.path().join("probe");
        std::fs::write(&probe, "").unwrap();
        0o666 & !(std::fs::metadata(&probe).unwrap().permissions().mode() & 0o777)
    };
    let path = folder.path().join("file.txt");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    std::fs::write(&path, "old").unwrap();
    for (fetch, wanted) in [
        (Fetch::new(&file(&server.base())), 0o600),
        (Fetch::new(&file(&server.base())).file_mode(0o640), 0o640 & !umask),
        (Fetch::new(&file(&server.base())).file_mode(0o7644), 0o644 & !umask),
        (Fetch::new(&file(&server.base())), 0o600),
    ] {
        assert_eq!(get(&rest, fetch).await.unwrap().to_file(&path).await.unwrap(), 3);
        assert_eq!(mode(), wanted);
    }
}

#[actix::test]
async fn a_download_is_written_whole_in_the_place_of_an_old_file() {
    let (server, rest) = scripted([body(b"new")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.txt");
    std::fs::write(&path, "old and longer").unwrap();
    assert_eq!(get(&rest, &file(&server.base())).await.unwrap().to_file(&path).await.unwrap(), 3);
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    let nowhere = folder.path().join("missing").join("file.txt");
    let error = get(&rest, &file(&server.base())).await.unwrap().to_file(nowhere).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::File { kind: std::io::ErrorKind::NotFound, .. }), "{error}");
}

#[actix::test]
async fn a_file_over_the_limit_is_refused_when_it_is_announced_and_when_it_is_not() {
    let (server, rest) = scripted([body(b"12345")]).await;
    let small = Fetch::new(&file(&server.base())).limit(4);
    assert_eq!(get(&rest, small.clone()).await.unwrap_err().kind(), &Kind::FileTooLarge { limit: 4 });
    let within = get(&rest, &file(&server.base())).await.unwrap();
    assert_eq!(within.bytes(4).await.unwrap_err().kind(), &Kind::FileTooLarge { limit: 4 });

    let (_server, rest) = scripted([chunked("5\r\n12345\r\n0\r\n\r\n")]).await;
    let mut download = get(&rest, small).await.unwrap();
    assert_eq!(download.next_chunk().await.unwrap().unwrap_err().kind(), &Kind::FileTooLarge { limit: 4 });
    assert!(download.next_chunk().await.is_none(), "nothing follows an error");
    let download = get(&rest, &file("http://h")).await.unwrap();
    assert_eq!(download.bytes(4).await.unwrap_err().kind(), &Kind::FileTooLarge { limit: 4 });
}

#[actix::test]
async fn a_service_that_stops_within_the_file_is_given_up() {
    let stalled = Reply::Stall(b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhell".to_vec());
    let (server, rest) = scripted([stalled]).await;
    let patience = Duration::from_millis(50);
    for fetch in
        [Fetch::new(&file(&server.base())).idle_timeout(patience), Fetch::new(&file(&server.base())).timeout(patience)]
    {
        let mut download = get(&rest, fetch).await.unwrap();
        assert_eq!(download.next_chunk().await.unwrap().unwrap(), "hell");
        let error = download.next_chunk().await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), Kind::Timeout(limit) if *limit <= patience), "{error}");
    }
}

#[actix::test]
async fn another_host_is_asked_where_the_first_does_not_answer() {
    let good = Scripted::start([body(b"x")]).await;
    let rest = client(&[refused(), good.base()]);
    assert_eq!(get(&rest, &file("http://h")).await.unwrap().bytes(9).await.unwrap(), "x");
}

#[actix::test]
async fn a_dropped_download_hangs_up() {
    let (base, server) = on_a_thread(|mut stream| {
        stream.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhell").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut request = Vec::new();
        stream.read_to_end(&mut request).map(|_| ())
    });
    let rest = client(&[base]);
    let mut download = get(&rest, &file("http://h")).await.unwrap();
    download.next_chunk().await.unwrap().unwrap();
    drop(download);
    let hung_up = actix_rt::task::spawn_blocking(move || server.join().unwrap()).await.unwrap();
    // With bytes unread a socket is reset, without it ends.
    assert!(hung_up.is_ok() || hung_up.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
}

#[test]
fn five_mebibytes_come_down_in_little_memory_also_for_a_slow_reader() {
    const ALL: usize = 5 << 20;
    let (base, server) = on_a_thread(|mut stream| {
        stream.write_all(format!("HTTP/1.1 200 x\r\ncontent-length: {ALL}\r\n\r\n").as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; ALL]).unwrap();
        // Whoever reads to the end closes then.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let rest = client(&[base]);
    let told = Arc::new(Mutex::new(Vec::<Progress>::with_capacity(1 << 12)));
    let teller = Arc::clone(&told);
    let cost = allocation_counter::measure(|| {
        actix::System::new().block_on(async move {
            let download = get(&rest, &file("http://h")).await.unwrap();
            let mut download = download.on_progress(move |progress| teller.lock().unwrap().push(progress));
            let mut got = 0;
            while let Some(piece) = download.next_chunk().await {
                let piece = piece.unwrap();
                assert!(piece.len() <= 64 * 1024 && piece.iter().all(|byte| *byte == b'x'));
                got += piece.len();
                for _ in 0..3 {
                    // The pump may run ahead of the reader as far as it can.
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(got, ALL);
        });
    });
    assert!(cost.bytes_max < 1 << 20, "{} bytes at once", cost.bytes_max);
    server.join().unwrap();
    let told = told.lock().unwrap();
    assert!(told.windows(2).all(|pair| pair[0].done < pair[1].done));
    assert_eq!((told.last().unwrap().done, told.last().unwrap().total), (ALL as u64, Some(ALL as u64)));
}

#[actix::test]
async fn a_download_may_be_read_on_another_thread() {
    static_assertions::assert_impl_all!(agora_chat::rest::Upload: Send);
    let (server, rest) = scripted([body(b"hello")]).await;
    let download = get(&rest, &file(&server.base())).await.unwrap();
    let other = actix_rt::Arbiter::new();
    let (tell, told) = tokio::sync::oneshot::channel();
    other.spawn(async move { tell.send(download.bytes(9).await).unwrap() });
    assert_eq!(told.await.unwrap().unwrap(), "hello");
    other.stop();
}

/// A server of one download over TLS, whose body is one record that comes byte by byte with these pauses.
fn slow_record(mut stream: std::net::TcpStream, config: Arc<rustls::ServerConfig>, pause: Duration) {
    let mut tls = rustls::ServerConnection::new(config).unwrap();
    let mut asked = [0; 4096];
    while tls.is_handshaking() || tls.reader().read(&mut asked).is_err() {
        tls.complete_io(&mut stream).unwrap();
    }
    tls.writer().write_all(b"HTTP/1.1 200 x\r\ncontent-length: 4\r\n\r\n").unwrap();
    tls.complete_io(&mut stream).unwrap();
    tls.writer().write_all(b"slow").unwrap();
    let mut record = Vec::new();
    tls.write_tls(&mut record).unwrap();
    for byte in record {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(pause);
    }
}

/// A record is whole or nothing to whoever reads above TLS.
#[test]
fn bytes_that_are_no_whole_tls_record_yet_count_as_something_that_came() {
    const IDLE: Duration = Duration::from_millis(500);
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let chain = vec![certified.cert.der().clone()];
    let server = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (base, slow) = on_a_thread(move |stream| slow_record(stream, Arc::new(server), IDLE / 12));
    let roots = Roots::from_pem(certified.cert.pem()).unwrap();
    let config = config(&[base.replace("http://127.0.0.1", "https://localhost")]).extra_roots(roots);
    let rest = RestClient::new(&config.build().unwrap()).unwrap();
    actix::System::new().block_on(async {
        let begun = std::time::Instant::now();
        let download = get(&rest, Fetch::new(&file("http://h")).idle_timeout(IDLE)).await.unwrap();
        assert_eq!(download.bytes(9).await.unwrap(), "slow");
        assert!(begun.elapsed() > IDLE, "one record took longer than nothing may come");
    });
    slow.join().unwrap();
}
