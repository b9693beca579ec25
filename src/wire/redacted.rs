//! `Debug` for the messages that carry secrets: only fields that are present, secrets as `***`, bytes as a length.

use std::fmt::{self, Debug, DebugStruct, Formatter};

use bytes::Bytes;

use super::{Content, MSync, Meta, Provision, content, meta, msync, provision};

/// Writes the present fields of one message.
struct Fields<'a, 'b>(DebugStruct<'a, 'b>);

impl<'a, 'b> Fields<'a, 'b> {
    fn new(f: &'a mut Formatter<'b>, name: &str) -> Self {
        Fields(f.debug_struct(name))
    }

    fn plain<T: Debug>(mut self, name: &str, value: &Option<T>) -> Self {
        if let Some(value) = value {
            self.0.field(name, value);
        }
        self
    }

    /// Writes the name of a known value, the number of any other.
    fn named<E: Debug + TryFrom<i32>>(mut self, name: &str, value: Option<i32>) -> Self {
        if let Some(number) = value {
            match E::try_from(number) {
                Ok(known) => self.0.field(name, &known),
                Err(_) => self.0.field(name, &number),
            };
        }
        self
    }

    fn list<T: Debug>(mut self, name: &str, values: &[T]) -> Self {
        if !values.is_empty() {
            self.0.field(name, &values);
        }
        self
    }

    fn secret(mut self, name: &str, value: &Option<String>) -> Self {
        if value.is_some() {
            self.0.field(name, &format_args!("***"));
        }
        self
    }

    /// Writes bytes by length: encoded messages may hold any of the secrets.
    fn length(mut self, name: &str, value: &Option<Bytes>) -> Self {
        if let Some(bytes) = value {
            self.0.field(name, &format_args!("{} bytes", bytes.len()));
        }
        self
    }

    fn finish(mut self) -> fmt::Result {
        self.0.finish()
    }
}

/// Address of a file, shown without its query, which can be the secret that opens the file.
struct Address<'a>(&'a str);

impl Debug for Address<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((plain, _)) => write!(f, "{plain:?}?***"),
            None => self.0.fmt(f),
        }
    }
}

impl Debug for MSync {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Fields::new(f, "MSync")
            .named::<msync::Version>("version", self.version)
            .plain("guid", &self.guid)
            .secret("auth", &self.auth)
            .plain("compress_algorimth", &self.compress_algorimth)
            .plain("crypto", &self.crypto)
            .plain("user_agent", &self.user_agent)
            .plain("pov", &self.pov)
            .named::<msync::Command>("command", self.command)
            .length("payload", &self.payload)
            .plain("device_id", &self.device_id)
            .list("encrypt_type", &self.encrypt_type)
            .secret("encrypt_key", &self.encrypt_key)
            .plain("trace_id", &self.trace_id)
            .finish()
    }
}

impl Debug for Provision {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Fields::new(f, "Provision")
            .named::<provision::OsType>("os_type", self.os_type)
            .plain("version", &self.version)
            .named::<provision::NetworkType>("network_type", self.network_type)
            .secret("app_sign", &self.app_sign)
            .list("compress_type", &self.compress_type)
            .list("encrypt_type", &self.encrypt_type)
            .secret("encrypt_key", &self.encrypt_key)
            .plain("status", &self.status)
            .plain("device_uuid", &self.device_uuid)
            .plain("is_manual_login", &self.is_manual_login)
            .secret("password", &self.password)
            .plain("device_name", &self.device_name)
            .plain("resource", &self.resource)
            .secret("auth", &self.auth)
            .plain("service_id", &self.service_id)
            .plain("action_version", &self.action_version)
            .secret("auth_token", &self.auth_token)
            .plain("os_custom_value", &self.os_custom_value)
            .plain("session_id", &self.session_id)
            .plain("reason", &self.reason)
            .list("protocol_compress_type", &self.protocol_compress_type)
            .named::<provision::CompressDirection>("protocol_compress_direction", self.protocol_compress_direction)
            .finish()
    }
}

impl Debug for Meta {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Fields::new(f, "Meta")
            .plain("id", &self.id)
            .plain("from", &self.from)
            .plain("to", &self.to)
            .plain("timestamp", &self.timestamp)
            .named::<meta::NameSpace>("ns", self.ns)
            .length("payload", &self.payload)
            .named::<meta::RouteType>("routetype", self.routetype)
            .list("ext", &self.ext)
            .length("meta", &self.meta)
            .list("directed_users", &self.directed_users)
            .finish()
    }
}

impl Debug for Content {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Fields::new(f, "Content")
            .named::<content::ContentType>("type", self.r#type)
            .plain("text", &self.text)
            .plain("latitude", &self.latitude)
            .plain("longitude", &self.longitude)
            .plain("address", &self.address)
            .plain("display_name", &self.display_name)
            .plain("remote_path", &self.remote_path.as_deref().map(Address))
            .secret("secret_key", &self.secret_key)
            .plain("file_length", &self.file_length)
            .plain("action", &self.action)
            .list("params", &self.params)
            .plain("duration", &self.duration)
            .plain("size", &self.size)
            .plain("thumbnail_remote_path", &self.thumbnail_remote_path.as_deref().map(Address))
            .secret("thumbnail_secret_key", &self.thumbnail_secret_key)
            .plain("thumbnail_display_name", &self.thumbnail_display_name)
            .plain("thumbnail_file_length", &self.thumbnail_file_length)
            .plain("thumbnail_size", &self.thumbnail_size)
            .plain("custom_event", &self.custom_event)
            .list("custom_exts", &self.custom_exts)
            .plain("building_name", &self.building_name)
            .named::<content::SubType>("sub_type", self.sub_type)
            .plain("title", &self.title)
            .plain("summary", &self.summary)
            .plain("combine_level", &self.combine_level)
            .finish()
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
