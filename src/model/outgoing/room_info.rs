/// A chat room as the service shows it to an account that has joined it (messages spec §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomInfo {
    /// The number of members, where the service said so.
    pub member_count: Option<u64>,
    /// When it was made, in milliseconds since 1970, where the service said so.
    pub created_at: Option<u64>,
    /// Set if all are muted there but those on the allow list.
    pub all_muted: bool,
    /// Set if this account is on the allow list.
    pub in_allow_list: bool,
    /// The remaining mute of this account, in the service's count (the vendor names no unit); `None` for none.
    pub muted_for: Option<u64>,
}
