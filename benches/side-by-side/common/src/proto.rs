//! The part of the MSYNC schema the harness needs, written by hand from the
//! protobuf schema embedded in the official web SDK (agora-chat 1.4.0).

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Jid {
    #[prost(string, optional, tag = "1")]
    pub app_key: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub domain: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub client_resource: Option<String>,
}

pub const CMD_SYNC: i32 = 0;
pub const CMD_UNREAD: i32 = 1;
pub const CMD_NOTICE: i32 = 2;
pub const CMD_PROVISION: i32 = 3;

pub const NS_CHAT: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub struct MSync {
    #[prost(int32, optional, tag = "1")]
    pub version: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub guid: Option<Jid>,
    #[prost(string, optional, tag = "3")]
    pub auth: Option<String>,
    #[prost(uint32, optional, tag = "4")]
    pub compress_algorimth: Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub crypto: Option<u32>,
    #[prost(string, optional, tag = "6")]
    pub user_agent: Option<String>,
    #[prost(uint64, optional, tag = "7")]
    pub pov: Option<u64>,
    #[prost(int32, optional, tag = "8")]
    pub command: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub payload: Option<Bytes>,
    #[prost(uint32, optional, tag = "10")]
    pub device_id: Option<u32>,
    #[prost(int32, repeated, packed = "false", tag = "11")]
    pub encrypt_type: Vec<i32>,
    #[prost(string, optional, tag = "12")]
    pub encrypt_key: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, optional, tag = "1")]
    pub error_code: Option<i32>,
    #[prost(string, optional, tag = "2")]
    pub reason: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Provision {
    #[prost(int32, optional, tag = "1")]
    pub os_type: Option<i32>,
    #[prost(string, optional, tag = "2")]
    pub version: Option<String>,
    #[prost(int32, repeated, packed = "false", tag = "5")]
    pub compress_type: Vec<i32>,
    #[prost(int32, repeated, packed = "false", tag = "6")]
    pub encrypt_type: Vec<i32>,
    #[prost(message, optional, tag = "8")]
    pub status: Option<Status>,
    #[prost(string, optional, tag = "9")]
    pub device_uuid: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub device_name: Option<String>,
    #[prost(string, optional, tag = "13")]
    pub resource: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub auth: Option<String>,
    #[prost(string, optional, tag = "17")]
    pub action_version: Option<String>,
    #[prost(string, optional, tag = "18")]
    pub auth_token: Option<String>,
    #[prost(string, optional, tag = "20")]
    pub session_id: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CommSyncUl {
    #[prost(message, optional, tag = "1")]
    pub meta: Option<Meta>,
    #[prost(uint64, optional, tag = "2")]
    pub key: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub queue: Option<Jid>,
    #[prost(bool, optional, tag = "4")]
    pub is_roam: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CommSyncDl {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(uint64, optional, tag = "2")]
    pub meta_id: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub server_id: Option<u64>,
    #[prost(message, repeated, tag = "4")]
    pub metas: Vec<Meta>,
    #[prost(uint64, optional, tag = "5")]
    pub next_key: Option<u64>,
    #[prost(message, optional, tag = "6")]
    pub queue: Option<Jid>,
    #[prost(bool, optional, tag = "7")]
    pub is_last: Option<bool>,
    #[prost(uint64, optional, tag = "8")]
    pub timestamp: Option<u64>,
    #[prost(bool, optional, tag = "9")]
    pub is_roam: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CommNotice {
    #[prost(message, optional, tag = "1")]
    pub queue: Option<Jid>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetaQueue {
    #[prost(message, optional, tag = "1")]
    pub queue: Option<Jid>,
    #[prost(uint32, optional, tag = "2")]
    pub n: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CommUnreadDl {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(message, repeated, tag = "2")]
    pub unread: Vec<MetaQueue>,
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub r#type: Option<i32>,
    #[prost(int64, optional, tag = "3")]
    pub varint_value: Option<i64>,
    #[prost(float, optional, tag = "4")]
    pub float_value: Option<f32>,
    #[prost(double, optional, tag = "5")]
    pub double_value: Option<f64>,
    #[prost(string, optional, tag = "6")]
    pub string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Meta {
    #[prost(uint64, optional, tag = "1")]
    pub id: Option<u64>,
    #[prost(message, optional, tag = "2")]
    pub from: Option<Jid>,
    #[prost(message, optional, tag = "3")]
    pub to: Option<Jid>,
    #[prost(uint64, optional, tag = "4")]
    pub timestamp: Option<u64>,
    #[prost(int32, optional, tag = "5")]
    pub ns: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub payload: Option<Bytes>,
    #[prost(int32, optional, tag = "7")]
    pub routetype: Option<i32>,
    #[prost(message, repeated, tag = "8")]
    pub ext: Vec<KeyValue>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub meta: Option<Bytes>,
    #[prost(string, repeated, tag = "10")]
    pub directed_users: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Content {
    #[prost(int32, optional, tag = "1")]
    pub r#type: Option<i32>,
    #[prost(string, optional, tag = "2")]
    pub text: Option<String>,
    #[prost(double, optional, tag = "3")]
    pub latitude: Option<f64>,
    #[prost(double, optional, tag = "4")]
    pub longitude: Option<f64>,
    #[prost(string, optional, tag = "5")]
    pub address: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub display_name: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub remote_path: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub secret_key: Option<String>,
    #[prost(int32, optional, tag = "9")]
    pub file_length: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub action: Option<String>,
    #[prost(message, repeated, tag = "11")]
    pub params: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct MessageBody {
    #[prost(int32, optional, tag = "1")]
    pub r#type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub from: Option<Jid>,
    #[prost(message, optional, tag = "3")]
    pub to: Option<Jid>,
    #[prost(message, repeated, tag = "4")]
    pub contents: Vec<Content>,
    #[prost(message, repeated, tag = "5")]
    pub ext: Vec<KeyValue>,
    #[prost(uint64, optional, tag = "6")]
    pub ack_message_id: Option<u64>,
    #[prost(string, optional, tag = "8")]
    pub ack_content: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub meta: Option<String>,
}

/// Builds the client's frames and reads the server's.
pub mod client {
    use super::*;

    pub fn provision(app_key: &str, user: &str, token: &str, device: &str) -> Vec<u8> {
        let uuid = format!("random_web_{device}");
        let resource = format!("webim_{uuid}");
        let p = Provision {
            os_type: Some(16),
            version: Some("1.4.0".into()),
            compress_type: vec![0],
            encrypt_type: vec![0],
            device_uuid: Some(uuid),
            device_name: Some("webim".into()),
            resource: Some(resource.clone()),
            auth_token: Some(format!("{{\"token\":\"$t${token}\"}}")),
            action_version: Some("v5.1".into()),
            session_id: Some(format!("{}:", crate::now_ns() / 1_000_000)),
            ..Default::default()
        };
        let m = MSync {
            version: Some(0),
            guid: Some(Jid {
                app_key: Some(app_key.into()),
                name: Some(user.into()),
                domain: Some("easemob.com".into()),
                client_resource: Some(resource),
            }),
            auth: Some(format!("$t${token}")),
            command: Some(CMD_PROVISION),
            encrypt_type: vec![0],
            payload: Some(p.encode_to_vec().into()),
            ..Default::default()
        };
        m.encode_to_vec()
    }

    pub fn unread() -> Vec<u8> {
        MSync { version: Some(0), encrypt_type: vec![0], command: Some(CMD_UNREAD), ..Default::default() }
            .encode_to_vec()
    }

    /// A pull of a queue (`key` none) or the acknowledgement of a batch.
    pub fn sync(queue: Jid, key: Option<u64>) -> Vec<u8> {
        let ul = CommSyncUl { queue: Some(queue), key, ..Default::default() };
        MSync {
            version: Some(0),
            encrypt_type: vec![0],
            command: Some(CMD_SYNC),
            payload: Some(ul.encode_to_vec().into()),
            ..Default::default()
        }
        .encode_to_vec()
    }

    /// What a frame asks of the session.
    pub enum Action {
        None,
        Provisioned(bool),
        Reply(Vec<u8>),
    }

    /// Decodes one frame fully (down to each message's text) and calls
    /// `on_text` for each text message.
    pub fn on_frame(frame: Bytes, mut on_text: impl FnMut(&MessageBody, &str)) -> Action {
        let m = match MSync::decode(frame) {
            Ok(m) => m,
            Err(_) => return Action::None,
        };
        let payload = m.payload.unwrap_or_default();
        match m.command.unwrap_or(0) {
            CMD_SYNC => {
                let dl = match CommSyncDl::decode(payload) {
                    Ok(d) => d,
                    Err(_) => return Action::None,
                };
                for meta in dl.metas {
                    if meta.ns == Some(NS_CHAT) {
                        if let Some(p) = meta.payload {
                            if let Ok(body) = MessageBody::decode(p) {
                                if let Some(t) = body.contents.first().and_then(|c| c.text.as_deref()) {
                                    on_text(&body, t);
                                }
                            }
                        }
                    }
                }
                if dl.is_last.unwrap_or(false) {
                    return Action::None;
                }
                match (dl.next_key, dl.queue) {
                    (Some(k), Some(q)) => Action::Reply(sync(q, Some(k))),
                    _ => Action::None,
                }
            }
            CMD_NOTICE => match CommNotice::decode(payload) {
                Ok(CommNotice { queue: Some(q) }) => Action::Reply(sync(q, None)),
                _ => Action::None,
            },
            CMD_PROVISION => match Provision::decode(payload) {
                Ok(p) => Action::Provisioned(p.status.and_then(|s| s.error_code).unwrap_or(0) == 0),
                Err(_) => Action::Provisioned(false),
            },
            CMD_UNREAD => {
                let _ = CommUnreadDl::decode(payload);
                Action::None
            }
            _ => Action::None,
        }
    }
}

/// A hand-written decoder that borrows from the frame: no allocation at all.
/// It is the lower limit of what decoding a batch costs.
pub mod borrowed {
    #[derive(Default, Clone, Copy, Debug, PartialEq)]
    pub struct JidRef<'a> {
        pub app_key: &'a str,
        pub name: &'a str,
        pub domain: &'a str,
        pub client_resource: &'a str,
    }

    #[derive(Default, Clone, Copy, Debug, PartialEq)]
    pub struct TextRef<'a> {
        pub id: u64,
        pub timestamp: u64,
        pub from: JidRef<'a>,
        pub to: JidRef<'a>,
        pub kind: u64,
        pub text: &'a str,
    }

    #[derive(Default, Clone, Copy, Debug)]
    pub struct Sync<'a> {
        pub command: u64,
        pub is_last: bool,
        pub next_key: Option<u64>,
        /// The queue JID's raw bytes, to be echoed in the acknowledgement.
        pub queue: &'a [u8],
        pub error_code: u64,
    }

    #[inline(always)]
    fn varint(b: &[u8], i: &mut usize) -> Option<u64> {
        let first = *b.get(*i)?;
        *i += 1;
        if first < 0x80 {
            return Some(first as u64);
        }
        let mut v = (first & 0x7f) as u64;
        let mut shift = 7;
        loop {
            let c = *b.get(*i)?;
            *i += 1;
            v |= ((c & 0x7f) as u64) << shift;
            if c < 0x80 {
                return Some(v);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    pub enum Val<'a> {
        V(u64),
        B(&'a [u8]),
    }

    #[inline(always)]
    pub fn field<'a>(b: &'a [u8], i: &mut usize) -> Option<(u64, Val<'a>)> {
        let key = varint(b, i)?;
        let v = match key & 7 {
            0 => Val::V(varint(b, i)?),
            1 => {
                let s = b.get(*i..*i + 8)?;
                *i += 8;
                Val::B(s)
            }
            2 => {
                let n = varint(b, i)? as usize;
                let s = b.get(*i..i.checked_add(n)?)?;
                *i += n;
                Val::B(s)
            }
            5 => {
                let s = b.get(*i..*i + 4)?;
                *i += 4;
                Val::B(s)
            }
            _ => return None,
        };
        Some((key >> 3, v))
    }

    #[inline(always)]
    fn text(b: &[u8]) -> Option<&str> {
        std::str::from_utf8(b).ok()
    }

    fn jid(b: &[u8]) -> Option<JidRef<'_>> {
        let mut j = JidRef::default();
        let mut i = 0;
        while i < b.len() {
            match field(b, &mut i)? {
                (1, Val::B(s)) => j.app_key = text(s)?,
                (2, Val::B(s)) => j.name = text(s)?,
                (3, Val::B(s)) => j.domain = text(s)?,
                (4, Val::B(s)) => j.client_resource = text(s)?,
                _ => {}
            }
        }
        Some(j)
    }

    fn body<'a>(b: &'a [u8], t: &mut TextRef<'a>) -> Option<()> {
        let mut i = 0;
        while i < b.len() {
            match field(b, &mut i)? {
                (1, Val::V(v)) => t.kind = v,
                (2, Val::B(s)) => {
                    jid(s)?;
                }
                (3, Val::B(s)) => {
                    jid(s)?;
                }
                (4, Val::B(s)) => {
                    let mut k = 0;
                    while k < s.len() {
                        if let (2, Val::B(x)) = field(s, &mut k)? {
                            t.text = text(x)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    fn meta(b: &[u8]) -> Option<TextRef<'_>> {
        let mut t = TextRef::default();
        let mut i = 0;
        let mut ns = 0;
        let mut payload: &[u8] = &[];
        while i < b.len() {
            match field(b, &mut i)? {
                (1, Val::V(v)) => t.id = v,
                (2, Val::B(s)) => t.from = jid(s)?,
                (3, Val::B(s)) => t.to = jid(s)?,
                (4, Val::V(v)) => t.timestamp = v,
                (5, Val::V(v)) => ns = v,
                (6, Val::B(s)) => payload = s,
                _ => {}
            }
        }
        if ns == 1 {
            body(payload, &mut t)?;
        }
        Some(t)
    }

    /// Walks one MSYNC frame; calls `on_text` for each chat meta.
    pub fn frame<'a>(b: &'a [u8], mut on_text: impl FnMut(&TextRef<'a>)) -> Option<Sync<'a>> {
        let mut out = Sync::default();
        let mut payload: &[u8] = &[];
        let mut i = 0;
        while i < b.len() {
            match field(b, &mut i)? {
                (8, Val::V(v)) => out.command = v,
                (9, Val::B(s)) => payload = s,
                _ => {}
            }
        }
        if out.command != 0 {
            return Some(out);
        }
        let mut i = 0;
        while i < payload.len() {
            match field(payload, &mut i)? {
                (4, Val::B(s)) => on_text(&meta(s)?),
                (5, Val::V(v)) => out.next_key = Some(v),
                (6, Val::B(s)) => out.queue = s,
                (7, Val::V(v)) => out.is_last = v != 0,
                _ => {}
            }
        }
        Some(out)
    }

    fn put_varint(out: &mut Vec<u8>, mut v: u64) {
        while v >= 0x80 {
            out.push(v as u8 | 0x80);
            v >>= 7;
        }
        out.push(v as u8);
    }

    /// The acknowledgement of a batch, without building any message struct.
    pub fn ack(out: &mut Vec<u8>, key: u64, queue: &[u8]) {
        let mut ul = [0u8; 11];
        let mut n = 0;
        ul[n] = 0x10;
        n += 1;
        let mut v = key;
        while v >= 0x80 {
            ul[n] = v as u8 | 0x80;
            n += 1;
            v >>= 7;
        }
        ul[n] = v as u8;
        n += 1;
        let mut qh = Vec::new();
        qh.push(0x1a);
        put_varint(&mut qh, queue.len() as u64);
        let len = n + qh.len() + queue.len();
        out.extend_from_slice(&[0x08, 0, 0x40, 0, 0x4a]);
        put_varint(out, len as u64);
        out.extend_from_slice(&ul[..n]);
        out.extend_from_slice(&qh);
        out.extend_from_slice(queue);
        out.extend_from_slice(&[0x58, 0]);
    }
}

/// A realistic text message's parts, as the server builds them.
pub fn text_meta(app_key: &str, id: u64, from: &str, to: &str, ts_ms: u64, text: &str) -> Meta {
    let body = MessageBody {
        r#type: Some(1),
        from: Some(Jid { name: Some(from.into()), ..Default::default() }),
        to: Some(Jid { name: Some(to.into()), ..Default::default() }),
        contents: vec![Content { r#type: Some(0), text: Some(text.into()), ..Default::default() }],
        ..Default::default()
    };
    Meta {
        id: Some(id),
        from: Some(Jid {
            app_key: Some(app_key.into()),
            name: Some(from.into()),
            domain: Some("easemob.com".into()),
            client_resource: Some("webim_random_web_1700000000000".into()),
        }),
        to: Some(Jid {
            app_key: Some(app_key.into()),
            name: Some(to.into()),
            domain: Some("easemob.com".into()),
            client_resource: None,
        }),
        timestamp: Some(ts_ms),
        ns: Some(NS_CHAT),
        payload: Some(body.encode_to_vec().into()),
        ..Default::default()
    }
}

/// One SYNC downlink frame carrying `metas`.
pub fn sync_dl(metas: Vec<Meta>, next_key: Option<u64>, queue: Jid, is_last: bool, ts: u64) -> Vec<u8> {
    let dl = CommSyncDl {
        status: Some(Status { error_code: Some(0), reason: None }),
        metas,
        next_key,
        queue: Some(queue),
        is_last: Some(is_last),
        timestamp: Some(ts),
        ..Default::default()
    };
    MSync { version: Some(0), command: Some(CMD_SYNC), payload: Some(dl.encode_to_vec().into()), ..Default::default() }
        .encode_to_vec()
}
