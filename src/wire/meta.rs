//! One message in a queue, with its body still encoded (connection spec §8.1).

use bytes::Bytes;

use super::enumeration::enumeration;
use super::jid::Jid;
use super::key_value::KeyValue;

/// One message in a queue; [`Meta::body`] decodes its payload by name space.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub struct Meta {
    /// `id`: 64 bits; set by the client in a send, by the server in a queue.
    #[prost(uint64, optional, tag = "1")]
    pub id: Option<u64>,
    /// `from`.
    #[prost(message, optional, tag = "2")]
    pub from: Option<Jid>,
    /// `to`.
    #[prost(message, optional, tag = "3")]
    pub to: Option<Jid>,
    /// `timestamp`: milliseconds since 1970; set by the server.
    #[prost(uint64, optional, tag = "4")]
    pub timestamp: Option<u64>,
    /// `ns`: the kind of `payload`.
    #[prost(enumeration = "NameSpace", optional, tag = "5")]
    pub ns: Option<i32>,
    /// `payload`: the encoded body.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub payload: Option<Bytes>,
    /// `routetype`.
    #[prost(enumeration = "RouteType", optional, tag = "7")]
    pub routetype: Option<i32>,
    /// `ext`.
    #[prost(message, repeated, tag = "8")]
    pub ext: Vec<KeyValue>,
    /// `meta`: JSON text added by the server.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub meta: Option<Bytes>,
    /// `directedUsers`: with `ROUTE_DIRECT`, the members to deliver to.
    #[prost(string, repeated, tag = "10")]
    pub directed_users: Vec<String>,
}

enumeration! {
    /// Kind of the payload of a meta.
    pub enum NameSpace {
        Statistic = 0 => "STATISTIC",
        Chat = 1 => "CHAT",
        Muc = 2 => "MUC",
        Roster = 3 => "ROSTER",
        Conference = 4 => "CONFERENCE",
        Notify = 5 => "NOTIFY",
        Query = 6 => "QUERY",
    }
}

enumeration! {
    /// Recipients of a meta.
    pub enum RouteType {
        RouteAll = 0 => "ROUTE_ALL",
        /// To those online only.
        RouteOnline = 1 => "ROUTE_ONLINE",
        /// To the `directed_users` only.
        RouteDirect = 2 => "ROUTE_DIRECT",
    }
}
