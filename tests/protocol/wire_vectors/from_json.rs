//! The JSON of the vectors as wire types.
//!
//! Strict on purpose: an object with a member that no field took fails the test, so two equal values mean that the JSON
//! and the bytes say the same, and nothing else.

use agora_chat::wire::{
    CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, Content, EncryptType, Jid, KeyValue, Logout, MSync,
    MessageBody, Meta, MetaQueue, MucBody, Provision, RedirectInfo, RosterBody, StatisticsBody, Status, content,
    key_value, message_body, meta, msync, muc_body, provision, roster_body, statistics_body, status,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};

pub(crate) trait FromJson: Sized {
    fn from_json(json: &Value) -> Self;
}

impl FromJson for String {
    fn from_json(json: &Value) -> Self {
        json.as_str().unwrap().to_owned()
    }
}

impl FromJson for bool {
    fn from_json(json: &Value) -> Self {
        json.as_bool().unwrap()
    }
}

impl FromJson for u32 {
    fn from_json(json: &Value) -> Self {
        json.as_u64().unwrap().try_into().unwrap()
    }
}

impl FromJson for i32 {
    fn from_json(json: &Value) -> Self {
        json.as_i64().unwrap().try_into().unwrap()
    }
}

impl FromJson for u64 {
    fn from_json(json: &Value) -> Self {
        json.as_str().unwrap().parse().unwrap()
    }
}

impl FromJson for i64 {
    fn from_json(json: &Value) -> Self {
        json.as_str().unwrap().parse().unwrap()
    }
}

impl FromJson for f64 {
    /// JSON has no infinity; the recorder wrote `null` for it.
    fn from_json(json: &Value) -> Self {
        if json.is_null() { f64::INFINITY } else { json.as_f64().unwrap() }
    }
}

impl FromJson for f32 {
    fn from_json(json: &Value) -> Self {
        json.as_f64().unwrap() as f32
    }
}

impl FromJson for Bytes {
    fn from_json(json: &Value) -> Self {
        STANDARD.decode(json.as_str().unwrap()).unwrap().into()
    }
}

/// A field: present or absent, or a list.
trait Field {
    type Item;
    fn from_member(member: Option<Value>, parse: impl Fn(&Value) -> Self::Item) -> Self;
}

impl<T> Field for Option<T> {
    type Item = T;
    fn from_member(member: Option<Value>, parse: impl Fn(&Value) -> T) -> Self {
        member.as_ref().map(parse)
    }
}

impl<T> Field for Vec<T> {
    type Item = T;
    fn from_member(member: Option<Value>, parse: impl Fn(&Value) -> T) -> Self {
        member.iter().flat_map(|list| list.as_array().unwrap()).map(parse).collect()
    }
}

/// The number of an enum given by name, or by number where the recording client knew no name.
fn number<E: Into<i32>>(json: &Value, from_str_name: impl Fn(&str) -> Option<E>) -> i32 {
    match json {
        Value::String(name) => from_str_name(name).unwrap_or_else(|| panic!("unknown name {name}")).into(),
        _ => i32::from_json(json),
    }
}

/// The members of an object, each to be taken once.
struct Members(Map<String, Value>);

impl Members {
    fn of(json: &Value) -> Self {
        Members(json.as_object().unwrap_or_else(|| panic!("not an object: {json}")).clone())
    }

    /// By field name: `client_resource` takes `clientResource`.
    fn take(&mut self, field: &str) -> Option<Value> {
        let mut words = field.trim_start_matches("r#").split('_');
        let mut name = words.next().unwrap().to_owned();
        for word in words {
            name.push_str(&word[..1].to_uppercase());
            name.push_str(&word[1..]);
        }
        self.0.remove(&name)
    }

    fn all_taken(self) {
        assert!(self.0.is_empty(), "members that no field took: {:?}", self.0);
    }
}

/// Lists the fields of a message, those of an enum type with it. The struct literal makes the list complete.
macro_rules! message {
    ($type:ty { $($field:ident $(: $enum:ty)?),* $(,)? }) => {
        impl FromJson for $type {
            fn from_json(json: &Value) -> Self {
                #[allow(unused_mut, reason = "one message has no fields")]
                let mut members = Members::of(json);
                let message = Self {
                    $($field: Field::from_member(members.take(stringify!($field)), message!(@parse $($enum)?)),)*
                };
                members.all_taken();
                message
            }
        }
    };
    (@parse) => { FromJson::from_json };
    (@parse $enum:ty) => { |json| number(json, <$enum>::from_str_name) };
}

message!(MSync {
    version: msync::Version,
    guid,
    auth,
    compress_algorimth,
    crypto,
    user_agent,
    pov,
    command: msync::Command,
    payload,
    device_id,
    encrypt_type: EncryptType,
    encrypt_key,
    trace_id,
});
message!(Jid { app_key, name, domain, client_resource });
message!(Provision {
    os_type: provision::OsType,
    version,
    network_type: provision::NetworkType,
    app_sign,
    compress_type: provision::CompressType,
    encrypt_type: EncryptType,
    encrypt_key,
    status,
    device_uuid,
    is_manual_login,
    password,
    device_name,
    resource,
    auth,
    service_id,
    action_version,
    auth_token,
    os_custom_value,
    session_id,
    reason,
    protocol_compress_type: provision::CompressType,
    protocol_compress_direction: provision::CompressDirection,
});
message!(Logout { session_id, reason, status });
message!(Status { error_code: status::ErrorCode, reason, redirect_info });
message!(RedirectInfo { host, port });
message!(CommUnreadUl {});
message!(CommUnreadDl { status, unread, timestamp });
message!(MetaQueue { queue, n });
message!(CommNotice { queue });
message!(CommSyncUl { meta, key, queue, is_roam, last_full_roam_key });
message!(CommSyncDl { status, meta_id, server_id, metas, next_key, queue, is_last, timestamp, is_roam });
message!(Meta {
    id,
    from,
    to,
    timestamp,
    ns: meta::NameSpace,
    payload,
    routetype: meta::RouteType,
    ext,
    meta,
    directed_users,
});
message!(StatisticsBody {
    operation: statistics_body::Operation,
    os: statistics_body::OsType,
    version,
    network: statistics_body::NetworkType,
    im_time,
    chat_time,
    location,
    reason,
});
message!(MessageBody {
    r#type: message_body::Type,
    from,
    to,
    contents,
    ext,
    ack_message_id,
    msg_config,
    ack_content,
    meta,
    edit_message_id,
    edit_scope: message_body::EditScope,
    stream,
    ack_message_ids,
});
message!(message_body::MessageConfig { allow_group_ack });
message!(message_body::Stream {
    stream_type,
    stream_seq,
    stream_status: message_body::StreamStatus,
    stream_error,
    stream_finish_reason,
});
message!(Content {
    r#type: content::ContentType,
    text,
    latitude,
    longitude,
    address,
    display_name,
    remote_path,
    secret_key,
    file_length,
    action,
    params,
    duration,
    size,
    thumbnail_remote_path,
    thumbnail_secret_key,
    thumbnail_display_name,
    thumbnail_file_length,
    thumbnail_size,
    custom_event,
    custom_exts,
    building_name,
    sub_type: content::SubType,
    title,
    summary,
    combine_level,
});
message!(content::Size { width, height });
message!(MucBody {
    muc_id,
    operation: muc_body::Operation,
    from,
    to,
    setting,
    reason,
    is_chatroom,
    status,
    is_thread,
    muc_parent_id,
    muc_name,
    event_info,
    muc_member_count,
    ext,
    leave_other_rooms,
    members,
});
message!(muc_body::Setting { name, desc, r#type: muc_body::SettingType, max_users, owner });
message!(muc_body::Status { error_code: muc_body::ErrorCode, description, chatroom_info });
message!(muc_body::EventInfo { event_type: muc_body::EventType, ext });
message!(RosterBody { operation: roster_body::Operation, status, from, to, reason, roster_ver, bi_direction });
message!(roster_body::Status { error_code: roster_body::ErrorCode, description });

impl FromJson for KeyValue {
    fn from_json(json: &Value) -> Self {
        use key_value::{Value as Member, ValueType};
        let mut members = Members::of(json);
        let values = [
            members.take("varint_value").map(|json| Member::Varint(FromJson::from_json(&json))),
            members.take("float_value").map(|json| Member::Float(FromJson::from_json(&json))),
            members.take("double_value").map(|json| Member::Double(FromJson::from_json(&json))),
            members.take("string_value").map(|json| Member::String(FromJson::from_json(&json))),
        ];
        let mut values = values.into_iter().flatten();
        let message = KeyValue {
            key: members.take("key").map(|json| FromJson::from_json(&json)),
            r#type: members.take("type").map(|json| number(&json, ValueType::from_str_name)),
            value: values.next(),
        };
        assert_eq!(values.next(), None, "two values in {json}");
        members.all_taken();
        message
    }
}
