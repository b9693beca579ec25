//! Answers that are compressed although that was not asked for.

use agora_chat::errors::RestErrorKind as Kind;
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

use crate::http::{
    grant, login,
    server::{Act, Server, answer},
};

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut sum = !0_u32;
    for byte in body {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
        }
    }
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [&head, &compress_to_vec(body, 6)[..], &(!sum).to_le_bytes(), &length].concat()
}

#[actix::test]
async fn gzip_and_deflate_are_unpacked_also_where_they_refuse_the_call() {
    let body = grant("alice");
    for (lines, packed) in [
        ("Content-Encoding: gzip\r\n", gzip(body.as_bytes())),
        ("Content-Encoding: identity\r\ncontent-encoding: X-GZIP\r\n", gzip(body.as_bytes())),
        ("Content-Encoding: deflate\r\n", compress_to_vec_zlib(body.as_bytes(), 6)),
        ("Content-Encoding: deflate\r\n", compress_to_vec(body.as_bytes(), 6)),
        ("Content-Encoding: deflate\r\nContent-Encoding: gzip\r\n", gzip(&compress_to_vec_zlib(body.as_bytes(), 6))),
    ] {
        let (_server, rest) = Server::with_client(vec![vec![Act::Request, answer(200, lines, packed)]]).await;
        assert_eq!(login(&rest, "alice").await.unwrap().token.expose(), "token-of-alice", "{lines}");
    }
    let refused = gzip(br#"{"error":"invalid_grant","error_description":"invalid password"}"#);
    let refused = answer(400, "Content-Encoding: gzip\r\n", refused);
    let (_server, rest) = Server::with_client(vec![vec![Act::Request, refused]]).await;
    assert_eq!(login(&rest, "alice").await.unwrap_err().kind(), &Kind::InvalidPassword);
}

#[actix::test]
async fn a_compression_that_is_unknown_or_broken_or_too_good_is_named() {
    let bomb = gzip(&vec![b' '; 16 << 20]);
    let mut torn = gzip(grant("alice").as_bytes());
    torn.truncate(torn.len() - 1);
    for (coding, body, why) in [
        ("br", b"x".to_vec(), "compressed by `br`"),
        ("zstd", b"x".to_vec(), "compressed by `zstd`"),
        ("gzip", torn, "compressed by `gzip`, and that is broken"),
        ("gzip", bomb, "larger than 1048576 bytes"),
    ] {
        let reply = answer(200, &format!("Content-Encoding: {coding}\r\n"), body);
        let (_server, rest) = Server::with_client(vec![vec![Act::Request, reply]]).await;
        let failed = login(&rest, "alice").await.unwrap_err();
        assert!(matches!(failed.kind(), Kind::UnexpectedAnswer(said) if said.contains(why)), "{coding}: {failed}");
        assert_eq!(failed.status(), Some(200));
    }
}
