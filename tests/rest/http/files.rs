//! Files: whole, or not at all.

use agora_chat::{
    RestClient,
    errors::{RestError, RestErrorKind as Kind},
    messages::Attachment,
    rest::{Download, Fetch},
};

use crate::http::{
    server::{Act, Server, answer, send},
    token, user,
};

async fn get(rest: &RestClient, base: &str) -> Result<Download, RestError> {
    let file = Attachment::at(format!("{base}/org/app/chatfiles/u-1"));
    rest.download(&token(), &user("alice"), Fetch::new(&file)).await
}

#[actix::test]
async fn a_cut_download_of_unknown_length_is_an_error_and_the_old_file_stays() {
    for (text, end) in [
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhello", vec![]),
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", vec![]),
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0", vec![]),
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", vec![Act::Turn, Act::Reset]),
        ("HTTP/1.1 200 x\r\n\r\nhello", vec![Act::Turn, Act::Reset]),
        ("HTTP/1.0 200 x\r\n\r\nhello", vec![Act::Turn, Act::Reset]),
        ("HTTP/1.1 200 x\r\nContent-Length: 6\r\n\r\nhello", vec![]),
    ] {
        let script: Vec<_> = [Act::Request, send(text)].into_iter().chain(end).collect();
        let (server, rest) = Server::with_client(vec![script]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        std::fs::write(&path, "old").unwrap();
        let failed = get(&rest, &server.base).await.unwrap().to_file(&path).await.unwrap_err();
        assert!(matches!(failed.kind(), Kind::Unreachable(said) if said.contains("cut off")), "{text:?}: {failed}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old", "{text:?}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing else is left");
    }
}

#[actix::test]
async fn a_file_comes_down_whole_in_every_form() {
    let big = "x".repeat(300_000);
    for text in [
        format!("HTTP/1.1 200 x\r\n\r\n{big}"),
        format!("HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 300000\r\n\r\n{big}"),
        format!("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n493E0;a=b\r\n{big}\r\n00\r\nX: y\r\n\r\n"),
        format!("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", "1\r\nx\r\n".repeat(300_000)),
    ] {
        let (server, rest) = Server::with_client(vec![vec![Act::Request, send(text)]]).await;
        let got = get(&rest, &server.base).await.unwrap().bytes(300_000).await.unwrap();
        assert!(got == big.as_bytes());
    }
}

#[actix::test]
async fn what_is_no_whole_file_is_not_taken_for_one() {
    for (reply, why) in [
        (answer(206, "Content-Range: bytes 0-4/9\r\n", "hello"), "206"),
        (answer(204, "", ""), "204"),
        (answer(200, "Content-Encoding: gzip\r\n", "hello"), "compressed by `gzip`"),
        (answer(200, "Content-Encoding: identity\r\nContent-Encoding: br\r\n", "hello"), "compressed by `br`"),
    ] {
        let (server, rest) = Server::with_client(vec![vec![Act::Request, reply]]).await;
        let failed = get(&rest, &server.base).await.unwrap_err();
        assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(said) if said.contains(why)), "{failed}");
    }
}
