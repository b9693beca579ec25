//! `Debug` for the messages that carry secrets: only fields that are present, secrets as `***`, bytes as a length.

use std::fmt::{self, Debug, DebugStruct, Formatter};

use bytes::Bytes;

/// Writes the present fields of one message.
pub(super) struct Fields<'a, 'b>(DebugStruct<'a, 'b>);

impl<'a, 'b> Fields<'a, 'b> {
    pub(super) fn new(f: &'a mut Formatter<'b>, name: &str) -> Self {
        Fields(f.debug_struct(name))
    }

    pub(super) fn plain<T: Debug>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.0.field(name.trim_start_matches("r#"), value);
        }
    }

    /// Writes the name of a known value, the number of any other.
    pub(super) fn named<E: Debug + TryFrom<i32>>(&mut self, name: &str, value: &Option<i32>) {
        match value.map(|number| E::try_from(number).map_err(|_| number)) {
            Some(Ok(known)) => self.plain(name, &Some(known)),
            Some(Err(number)) => self.plain(name, &Some(number)),
            None => {}
        }
    }

    pub(super) fn list<T: Debug>(&mut self, name: &str, values: &[T]) {
        self.plain(name, &(!values.is_empty()).then_some(values));
    }

    pub(super) fn secret(&mut self, name: &str, value: &Option<String>) {
        self.plain(name, &value.as_ref().map(|_| format_args!("***")));
    }

    /// Writes bytes by length: encoded messages may hold any of the secrets.
    pub(super) fn length(&mut self, name: &str, value: &Option<Bytes>) {
        if let Some(bytes) = value {
            self.0.field(name, &format_args!("{} bytes", bytes.len()));
        }
    }

    /// Writes the address of a file without its query, which can be the secret that opens the file.
    pub(super) fn address(&mut self, name: &str, value: &Option<String>) {
        self.plain(name, &value.as_deref().map(Address));
    }

    pub(super) fn finish(mut self) -> fmt::Result {
        self.0.finish()
    }
}

struct Address<'a>(&'a str);

impl Debug for Address<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((plain, _)) => write!(f, "{plain:?}?***"),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::wire::{Body, CommSyncUl, Content, Jid, MSync, MessageBody, Meta, Provision, Upward, encode};

    const CANARY: &str = "canary-7f3a";

    fn secret() -> Option<String> {
        Some(CANARY.to_owned())
    }

    /// Forms of the secret that no `Debug` may contain: as text, and as a list of its bytes.
    fn shows_secret(debug: &str) -> bool {
        debug.contains(CANARY) || debug.contains("99, 97, 110, 97, 114, 121")
    }

    fn provision() -> Provision {
        Provision {
            app_sign: secret(),
            password: secret(),
            encrypt_key: secret(),
            auth: secret(),
            auth_token: secret(),
            resource: Some("phone".to_owned()),
            ..Provision::default()
        }
    }

    fn meta() -> Meta {
        let path = || Some(format!("https://files.test/1?em-redirect=true&share-secret={CANARY}"));
        let content = Content {
            remote_path: path(),
            secret_key: secret(),
            thumbnail_remote_path: path(),
            thumbnail_secret_key: secret(),
            ..Content::default()
        };
        let body = MessageBody { contents: vec![content], ..MessageBody::default() };
        Meta { ns: Some(1), payload: Some(encode(&body)), meta: Some(Bytes::from(CANARY)), ..Meta::default() }
    }

    #[test]
    fn a_login_frame_shows_its_addressee_but_no_secret() {
        let mut frame = MSync::client_provision(Jid::user("org#app", "alice"), CANARY, &provision());
        frame.encrypt_key = secret();
        for debug in [format!("{frame:?}"), format!("{frame:#?}"), format!("{:?}", frame.upward())] {
            assert!(!shows_secret(&debug), "{debug}");
        }
        let debug = format!("{frame:?}");
        let length = frame.payload.as_ref().map(Bytes::len).unwrap();
        assert!(debug.contains("alice") && debug.contains(r#"auth: ***"#), "{debug}");
        assert!(debug.contains(&format!("payload: {length} bytes")), "{debug}");
        let Ok(Upward::Provision(provision)) = frame.upward() else { panic!("not a login") };
        assert_eq!(provision.auth_token(), CANARY);
        assert!(format!("{provision:?}").contains("phone"));
    }

    #[test]
    fn a_message_shows_no_file_secret_at_any_layer() {
        let meta = meta();
        let body = meta.body().unwrap();
        let sync = CommSyncUl::send(meta.clone());
        let frame = MSync::client_sync(&sync);
        for debug in [format!("{meta:?}"), format!("{body:?}"), format!("{sync:?}"), format!("{frame:?}")] {
            assert!(!shows_secret(&debug), "{debug}");
        }
        let Body::Chat(body) = body else { panic!("not a chat message") };
        assert_eq!(body.contents[0].secret_key(), CANARY);
        assert!(format!("{body:?}").contains(r#"remote_path: "https://files.test/1"?***"#), "{body:?}");
    }

    #[test]
    fn what_is_wrong_with_a_frame_is_told_without_its_content() {
        // A number where `auth` should be.
        let mut bytes = vec![0x18, 0x0c];
        bytes.extend(CANARY.as_bytes());
        let refused = MSync::decode_frame(bytes.into(), 100).unwrap_err();
        let source = std::error::Error::source(&refused).map(ToString::to_string).unwrap();
        assert!(source.contains("auth"), "{source}");
        assert!(!shows_secret(&format!("{refused:?} {refused} {source}")));
    }
}
