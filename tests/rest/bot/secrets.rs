//! A share-secret stands in no log, `Debug` or error, whatever the service sends back.

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use agora_chat::{
    LogConfig, LogHandle, LogLevel, RestClient,
    connection::{DownloadFile, UploadFile},
    logger::Terminal,
    messages::Attachment,
    rest::{Fetch, Upload},
};
use serde_json::json;

use crate::bot::{
    scripted::{Reply, Scripted},
    support::{alice, config, secret, token},
};

const SECRET: &str = "CANARY-share-/+=1";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn clean(what: &str, text: &str) {
    for spelling in ["CANARY", "YWMt-own", "Q0FOQVJZ"] {
        assert!(!text.contains(spelling), "{what} tells a secret:\n{text}");
    }
}

fn debug(what: &str, thing: &impl Debug) {
    clean(what, &format!("{thing:?} {thing:#?}"));
}

#[actix::test]
async fn a_share_secret_is_told_to_the_service_only() {
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(captured.clone());
    let log = LogHandle::start(log).unwrap();
    let echo = format!("who knows {SECRET} and YWMt-own");
    let stored = json!({"entities": [{"uuid": "u", "share-secret": SECRET}]});
    let payload = json!({"from": "bob", "bodies": [{"type": "img", "url": "http://h/x", "secret": SECRET}]});
    let list = json!({"data": {"channel_infos": [
        {"session_to": "bob", "session_type": "chat", "meta": {"id": "1", "payload": payload.to_string()}}]}});
    let signed = format!("http://127.0.0.1:1/x?share-secret={SECRET}");
    let server = Scripted::start([
        Reply::json(200, &stored),
        // Of an upload the secret is not known before its answer; the token is.
        Reply::failure(400, "YWMt-own", "not YWMt-own"),
        Reply::failure(403, &echo, &echo),
        Reply::Answer(302, vec![("location", format!("ftp://{SECRET}"))], Vec::new()),
        Reply::Answer(302, vec![("location", signed)], Vec::new()),
        Reply::Raw(format!("HTTP/1.1 200 x\r\ncontent-length: 99\r\n\r\n{SECRET}").into_bytes()),
        Reply::json(200, &list),
    ])
    .await;
    let rest = RestClient::new(&config(&[server.base()]).logger(log.slog()).build().unwrap()).unwrap();
    let (token, alice) = (token(), alice());
    let upload = Upload::bytes("n", SECRET).on_progress(|_| {});
    debug("an upload", &upload);
    let file = rest.upload(&token, &alice, upload).await.unwrap();
    assert_eq!(file.secret, secret(SECRET));
    debug("an attachment", &file);
    debug("a fetch", &Fetch::new(&file).thumbnail());
    debug("a message", &DownloadFile { file: Fetch::new(&file) });
    debug("a message", &UploadFile { upload: Upload::bytes("n", SECRET) });
    let mut errors = vec![rest.upload(&token, &alice, Upload::bytes("n", "x")).await.unwrap_err()];
    for _ in 0..3 {
        errors.push(rest.download(&token, &alice, &file).await.unwrap_err());
    }
    let mut cut = rest.download(&token, &alice, &file).await.unwrap();
    debug("a download", &cut);
    while let Some(piece) = cut.next_chunk().await {
        errors.extend(piece.err());
    }
    assert_eq!(errors.len(), 5);
    let bad = foreign();
    errors.push(rest.download(&token, &alice, &bad).await.unwrap_err());
    let mut unspeakable = file.clone();
    unspeakable.secret = secret("CANARY\r\nx: y");
    errors.push(rest.download(&token, &alice, &unspeakable).await.unwrap_err());
    for error in &errors {
        debug("an error", error);
        clean("an error", &error.to_string());
    }
    let page = rest.conversations(&token, &alice, 9, None).await.unwrap();
    assert!(page.conversations[0].last_message.is_some());
    assert!(page.conversations[0].raw.as_ref().unwrap().json().to_string().contains(SECRET), "it is there to be read");
    debug("a conversation", &page);
    log.flush().await;
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("upload") && log.contains("download"), "{log}");
    clean("the log", &log);
}

fn foreign() -> Attachment {
    Attachment::at(format!("http://h/?share-secret={SECRET}"))
}
