//! One message in a queue, with its body still encoded (connection spec §8.1).

use bytes::Bytes;

use super::jid::Jid;
use super::key_value::KeyValue;
use super::schema::schema;

schema! {
    /// One message in a queue; [`Meta::body`] decodes its payload by name space.
    pub redacted struct Meta {
        /// 64 bits; set by the client in a send, by the server in a queue.
        id: Option<u64> => (uint64, optional, tag = "1"),
        from: Option<Jid> => (message, optional, tag = "2"),
        to: Option<Jid> => (message, optional, tag = "3"),
        /// Milliseconds since 1970; set by the server.
        timestamp: Option<u64> => (uint64, optional, tag = "4"),
        /// The kind of `payload`.
        ns: Option<i32> => (enumeration = "NameSpace", optional, tag = "5") as named(NameSpace),
        /// The encoded body.
        payload: Option<Bytes> => (bytes = "bytes", optional, tag = "6") as length,
        routetype: Option<i32> => (enumeration = "RouteType", optional, tag = "7") as named(RouteType),
        ext: Vec<KeyValue> => (message, repeated, tag = "8") as list,
        /// JSON text added by the server.
        meta: Option<Bytes> => (bytes = "bytes", optional, tag = "9") as length,
        /// With `ROUTE_DIRECT`, the members to deliver to.
        directed_users: Vec<String> => (string, repeated, tag = "10") as list,
    }

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

    /// Recipients of a meta.
    pub enum RouteType {
        RouteAll = 0 => "ROUTE_ALL",
        /// To those online only.
        RouteOnline = 1 => "ROUTE_ONLINE",
        /// To the `directed_users` only.
        RouteDirect = 2 => "ROUTE_DIRECT",
    }
}
