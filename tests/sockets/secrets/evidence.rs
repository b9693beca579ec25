//! What is searched for secrets, and how.

use std::{
    fmt::{Debug, Display},
    io,
    sync::{Arc, Mutex},
};

use agora_chat::{EventKind, LogHandle};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use crate::secrets::LIMIT;

/// How a secret may look in a text.
fn spellings(secret: &str) -> Vec<String> {
    let percent = |upper: bool| -> String {
        let encode = |byte: u8| match byte {
            plain if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => char::from(plain).to_string(),
            odd if upper => format!("%{odd:02X}"),
            odd => format!("%{odd:02x}"),
        };
        secret.bytes().map(encode).collect()
    };
    let quoted = |text: String| text[1..text.len() - 1].to_owned();
    let mut all = vec![
        secret.to_owned(),
        quoted(format!("{secret:?}")),
        quoted(serde_json::to_string(secret).unwrap()),
        secret.escape_default().to_string(),
        secret.as_bytes().escape_ascii().to_string(),
        percent(true),
        percent(false),
        hex::encode(secret),
        hex::encode_upper(secret),
        secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "),
    ];
    // Base64 of a longer text that holds the secret, at each of the three places it can begin.
    for before in 0..3 {
        let text = [&vec![b'x'; before][..], secret.as_bytes()].concat();
        for encoded in [BASE64_STANDARD_NO_PAD.encode(&text), BASE64_URL_SAFE_NO_PAD.encode(&text)] {
            all.push(encoded[4..encoded.len() - 4].to_owned());
        }
    }
    all
}

/// What was shown, none of which may tell a secret.
#[derive(Default)]
pub(crate) struct Evidence {
    pub(crate) secrets: Vec<String>,
    pub(crate) pieces: usize,
}

impl Evidence {
    pub(crate) fn of(secrets: &[&str]) -> Self {
        Evidence { secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(), pieces: 0 }
    }

    pub(crate) fn text(&mut self, what: &str, text: &str) {
        self.pieces += 1;
        for secret in &self.secrets {
            for spelling in spellings(secret) {
                assert!(!text.contains(&spelling), "{what} tells a secret as `{spelling}`:\n{text}");
            }
        }
    }

    pub(crate) fn debug(&mut self, what: &str, thing: &impl Debug) {
        self.text(what, &format!("{thing:?}"));
        self.text(what, &format!("{thing:#?}"));
    }

    pub(crate) fn shown(&mut self, what: &str, thing: &(impl Debug + Display)) {
        self.debug(what, thing);
        self.text(what, &thing.to_string());
    }
}

/// What a log was told.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Everything so far.
    pub(crate) fn text(&self, log: &LogHandle) -> String {
        log.flush_blocking(LIMIT).unwrap();
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) type Heard = UnboundedReceiver<EventKind>;

/// The next event of a kind; every event heard is evidence.
pub(crate) async fn hear(evidence: &mut Evidence, heard: &mut Heard, wanted: fn(&EventKind) -> bool) {
    loop {
        let event = timeout(LIMIT, heard.recv()).await.expect("an event").unwrap();
        evidence.debug("an event", &event);
        match &event {
            EventKind::Reconnecting { cause, .. } => evidence.shown("a cause", cause),
            EventKind::Disconnected { reason } => evidence.shown("a reason", reason),
            _ => {}
        }
        if wanted(&event) {
            return;
        }
    }
}
