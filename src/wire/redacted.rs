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

    /// The name of a known value, the number of any other.
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

    /// Bytes by length: encoded messages may hold any of the secrets.
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
            .plain("remote_path", &self.remote_path)
            .secret("secret_key", &self.secret_key)
            .plain("file_length", &self.file_length)
            .plain("action", &self.action)
            .list("params", &self.params)
            .plain("duration", &self.duration)
            .plain("size", &self.size)
            .plain("thumbnail_remote_path", &self.thumbnail_remote_path)
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
