//! Addresses of users, groups and rooms (connection spec §1).

/// An address; every part is optional on the wire.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Jid {
    /// `appKey`: `org#app`.
    #[prost(string, optional, tag = "1")]
    pub app_key: Option<String>,
    /// `name`: user id, or group or room id.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// `domain`: tells users from groups and rooms.
    #[prost(string, optional, tag = "3")]
    pub domain: Option<String>,
    /// `clientResource`: one device of a user.
    #[prost(string, optional, tag = "4")]
    pub client_resource: Option<String>,
}
