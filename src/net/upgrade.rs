//! The WebSocket upgrade (RFC 6455 §4).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Stream, Target,
    head::{Head, Heads},
};
use crate::{
    model::error::{ConnectStep, LossCause},
    net::{answered_at, parse_retry_after},
};

/// Suffix of the client's key that every server hashes (RFC 6455 §1.3).
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An open WebSocket, and the bytes that the server sent right behind its answer.
pub(crate) struct Upgraded {
    pub(crate) stream: Stream,
    pub(crate) early: BytesMut,
}

/// Reason that an upgrade failed.
#[derive(Debug)]
pub(crate) enum UpgradeError {
    Refused { status: u16, retry_after: Option<Duration> },
    Failed(String),
}

impl From<UpgradeError> for LossCause {
    fn from(error: UpgradeError) -> Self {
        match error {
            UpgradeError::Refused { status, retry_after } => LossCause::UpgradeRefused { status, retry_after },
            UpgradeError::Failed(detail) => LossCause::Failed { step: ConnectStep::Upgrade, detail },
        }
    }
}

/// Requests a WebSocket. `nonce` must be fresh; it only proves that the answer belongs to this request.
pub(crate) async fn upgrade(mut stream: Stream, target: &Target, nonce: &[u8]) -> Result<Upgraded, UpgradeError> {
    let key = STANDARD.encode(nonce);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nUser-Agent: {agent}\r\n\r\n",
        path = target.path,
        host = target.authority,
        agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
    );
    let io = |error: std::io::Error| UpgradeError::Failed(error.to_string());
    stream.write_all(request.as_bytes()).await.map_err(io)?;
    stream.flush().await.map_err(io)?;
    let (mut heads, mut answer) = (Heads::default(), BytesMut::with_capacity(512));
    loop {
        if stream.read_buf(&mut answer).await.map_err(io)? == 0 {
            return Err(UpgradeError::Failed("the connection ended".to_owned()));
        }
        // 101 is the final answer here.
        if let Some(head) = heads.read(&mut answer, |status| status == 101).map_err(no_answer)? {
            judge(&head, &key)?;
            let early = answer.split_off(head.length);
            return Ok(Upgraded { stream, early });
        }
    }
}

fn no_answer(what: String) -> UpgradeError {
    UpgradeError::Failed(format!("the answer {what}"))
}

/// Checks that the answer accepts the upgrade.
fn judge(head: &Head, key: &str) -> Result<(), UpgradeError> {
    let status = head.status;
    if status != 101 {
        let retry_after =
            head.text("retry-after").and_then(|value| parse_retry_after(value, answered_at(head.text("date"))));
        return Err(UpgradeError::Refused { status, retry_after });
    }
    if !head.lists("upgrade", "websocket") || !head.lists("connection", "upgrade") {
        return Err(UpgradeError::Failed("the answer upgrades to something else".to_owned()));
    }
    let expected = STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize());
    if head.only("sec-websocket-accept") != Some(expected.as_bytes()) {
        return Err(UpgradeError::Failed("the answer belongs to another question".to_owned()));
    }
    // An empty list grants nothing.
    if ["sec-websocket-extensions", "sec-websocket-protocol"].iter().any(|name| head.list(name).next().is_some()) {
        return Err(UpgradeError::Failed("the answer grants what was not asked for".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::BytesMut;

    use super::{Heads, UpgradeError, judge};

    /// The key and its answer of RFC 6455 §1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                       Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    /// The length of the head once it is whole and says yes.
    fn parse(answer: &[u8], key: &str) -> Result<Option<usize>, UpgradeError> {
        let head = Heads::default().read(&mut BytesMut::from(answer), |status| status == 101);
        let Some(head) = head.map_err(super::no_answer)? else { return Ok(None) };
        judge(&head, key).map(|()| Some(head.length))
    }

    #[test]
    fn the_lines_of_one_header_are_one_list() {
        for lines in ["Connection: keep-alive\r\nConnection: Upgrade", "connection: upgrade\r\nConnection: keep-alive"]
        {
            let answer = YES.replace("Connection: keep-alive, Upgrade", lines);
            assert_eq!(parse(answer.as_bytes(), KEY).unwrap(), Some(answer.len()), "{answer}");
        }
        for more in ["Upgrade: h2c", "Sec-WebSocket-Extensions:", "Sec-WebSocket-Protocol: ,"] {
            let answer = YES.replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
            assert_eq!(parse(answer.as_bytes(), KEY).unwrap(), Some(answer.len()), "{answer}");
        }
    }

    #[test]
    fn the_answer_of_the_rfc_is_taken_and_what_follows_it_is_left() {
        let with_frame = [YES.as_bytes(), &[0x82, 0x00]].concat();
        assert_eq!(parse(&with_frame, KEY).unwrap(), Some(YES.len()));
    }

    #[test]
    fn every_cut_of_the_answer_asks_for_more() {
        for cut in 0..YES.len() {
            assert_eq!(parse(&YES.as_bytes()[..cut], KEY).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_status_and_the_pause_it_asks_for() {
        let refused = |text: &str| match parse(text.as_bytes(), KEY) {
            Err(UpgradeError::Refused { status, retry_after }) => (status, retry_after),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("HTTP/1.1 401 No\r\n\r\n"), (401, None));
        assert_eq!(refused("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n"), (503, Some(Duration::from_secs(7))));
        // A date is one of the server's clock, whatever ours shows.
        let dated = "HTTP/1.1 503 Busy\r\nDate: Sun, 06 Nov 1994 08:49:30 GMT\r\n\
                     Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(refused(dated), (503, Some(Duration::from_secs(7))));
    }

    #[test]
    fn an_answer_to_another_question_or_with_more_than_asked_is_refused() {
        for bad in [
            YES.replace("s3p", "xxx"),
            YES.replace("WebSocket\r\n", "h2c\r\n"),
            YES.replace("keep-alive, Upgrade", "close"),
            YES.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            YES.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
            YES.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
            YES.replace("\r\n\r\n", "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
            "garbage\r\n\r\n".to_owned(),
        ] {
            assert!(matches!(parse(bad.as_bytes(), KEY), Err(UpgradeError::Failed(_))), "{bad}");
        }
    }
}
