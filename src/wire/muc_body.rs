//! The body of a `MUC` meta: groups, chat rooms and threads (messages spec §4.1).

use super::enumeration::enumeration;
use super::jid::Jid;

/// An operation on a group, chat room or thread, or a notice of one.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MucBody {
    /// `mucId`.
    #[prost(message, optional, tag = "1")]
    pub muc_id: Option<Jid>,
    /// `operation`.
    #[prost(enumeration = "Operation", optional, tag = "2")]
    pub operation: Option<i32>,
    /// `from`.
    #[prost(message, optional, tag = "3")]
    pub from: Option<Jid>,
    /// `to`.
    #[prost(message, repeated, tag = "4")]
    pub to: Vec<Jid>,
    /// `setting`.
    #[prost(message, optional, tag = "5")]
    pub setting: Option<Setting>,
    /// `reason`.
    #[prost(string, optional, tag = "6")]
    pub reason: Option<String>,
    /// `isChatroom`.
    #[prost(bool, optional, tag = "7")]
    pub is_chatroom: Option<bool>,
    /// `status`.
    #[prost(message, optional, tag = "8")]
    pub status: Option<Status>,
    /// `isThread`.
    #[prost(bool, optional, tag = "9")]
    pub is_thread: Option<bool>,
    /// `mucParentId`.
    #[prost(message, optional, tag = "10")]
    pub muc_parent_id: Option<Jid>,
    /// `mucName`.
    #[prost(string, optional, tag = "11")]
    pub muc_name: Option<String>,
    /// `eventInfo`.
    #[prost(message, optional, tag = "12")]
    pub event_info: Option<EventInfo>,
    /// `mucMemberCount`.
    #[prost(int32, optional, tag = "13")]
    pub muc_member_count: Option<i32>,
    /// `ext`.
    #[prost(string, optional, tag = "14")]
    pub ext: Option<String>,
    /// `leaveOtherRooms`.
    #[prost(bool, optional, tag = "15")]
    pub leave_other_rooms: Option<bool>,
    /// `members`.
    #[prost(string, repeated, tag = "16")]
    pub members: Vec<String>,
}

enumeration! {
    /// Operation on a group, chat room or thread.
    pub enum Operation {
        Create = 0 => "CREATE",
        Destroy = 1 => "DESTROY",
        Join = 2 => "JOIN",
        Leave = 3 => "LEAVE",
        Apply = 4 => "APPLY",
        ApplyAccept = 5 => "APPLY_ACCEPT",
        ApplyDecline = 6 => "APPLY_DECLINE",
        Invite = 7 => "INVITE",
        InviteAccept = 8 => "INVITE_ACCEPT",
        InviteDecline = 9 => "INVITE_DECLINE",
        Kick = 10 => "KICK",
        GetBlacklist = 11 => "GET_BLACKLIST",
        Ban = 12 => "BAN",
        Allow = 13 => "ALLOW",
        Update = 14 => "UPDATE",
        Block = 15 => "BLOCK",
        Unblock = 16 => "UNBLOCK",
        Presence = 17 => "PRESENCE",
        Absence = 18 => "ABSENCE",
        DirectJoined = 19 => "DIRECT_JOINED",
        AssignOwner = 20 => "ASSIGN_OWNER",
        AddAdmin = 21 => "ADD_ADMIN",
        RemoveAdmin = 22 => "REMOVE_ADMIN",
        AddMute = 23 => "ADD_MUTE",
        RemoveMute = 24 => "REMOVE_MUTE",
        UpdateAnnouncement = 25 => "UPDATE_ANNOUNCEMENT",
        DeleteAnnouncement = 26 => "DELETE_ANNOUNCEMENT",
        UploadFile = 27 => "UPLOAD_FILE",
        DeleteFile = 28 => "DELETE_FILE",
        AddUserWhiteList = 29 => "ADD_USER_WHITE_LIST",
        RemoveUserWhiteList = 30 => "REMOVE_USER_WHITE_LIST",
        BanGroup = 31 => "BAN_GROUP",
        RemoveBanGroup = 32 => "REMOVE_BAN_GROUP",
        ThreadCreate = 33 => "THREAD_CREATE",
        ThreadDestroy = 34 => "THREAD_DESTROY",
        ThreadJoin = 35 => "THREAD_JOIN",
        ThreadLeave = 36 => "THREAD_LEAVE",
        ThreadKick = 37 => "THREAD_KICK",
        ThreadUpdate = 38 => "THREAD_UPDATE",
        ThreadPresence = 39 => "THREAD_PRESENCE",
        ThreadAbsence = 40 => "THREAD_ABSENCE",
        DisableGroup = 41 => "DISABLE_GROUP",
        AbleGroup = 42 => "ABLE_GROUP",
        SetMetadata = 43 => "SET_METADATA",
        DeleteMetadata = 44 => "DELETE_METADATA",
        GroupMemberMetadataUpdate = 45 => "GROUP_MEMBER_METADATA_UPDATE",
    }
}

/// The settings of a group.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Setting {
    /// `name`.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// `desc`.
    #[prost(string, optional, tag = "2")]
    pub desc: Option<String>,
    /// `type`.
    #[prost(enumeration = "SettingType", optional, tag = "3")]
    pub r#type: Option<i32>,
    /// `maxUsers`.
    #[prost(int32, optional, tag = "4")]
    pub max_users: Option<i32>,
    /// `owner`.
    #[prost(string, optional, tag = "5")]
    pub owner: Option<String>,
}

enumeration! {
    /// Rules for joining a group.
    pub enum SettingType {
        PrivateOwnerInvite = 0 => "PRIVATE_OWNER_INVITE",
        PrivateMemberInvite = 1 => "PRIVATE_MEMBER_INVITE",
        PublicJoinApproval = 2 => "PUBLIC_JOIN_APPROVAL",
        PublicJoinOpen = 3 => "PUBLIC_JOIN_OPEN",
        PublicAnonymous = 4 => "PUBLIC_ANONYMOUS",
    }
}

/// The outcome of a group operation.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Status {
    /// `errorCode`.
    #[prost(enumeration = "ErrorCode", optional, tag = "1")]
    pub error_code: Option<i32>,
    /// `description`.
    #[prost(string, optional, tag = "2")]
    pub description: Option<String>,
    /// `chatroomInfo`.
    #[prost(string, optional, tag = "3")]
    pub chatroom_info: Option<String>,
}

enumeration! {
    /// Outcome of a group operation.
    pub enum ErrorCode {
        Ok = 0 => "OK",
        PermissionDenied = 1 => "PERMISSION_DENIED",
        WrongParameter = 2 => "WRONG_PARAMETER",
        MucNotExist = 3 => "MUC_NOT_EXIST",
        UserNotExist = 4 => "USER_NOT_EXIST",
        Unknown = 5 => "UNKNOWN",
    }
}

/// Larger event that a group event is part of.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct EventInfo {
    /// `eventType`.
    #[prost(enumeration = "EventType", optional, tag = "1")]
    pub event_type: Option<i32>,
    /// `ext`.
    #[prost(string, optional, tag = "2")]
    pub ext: Option<String>,
}

enumeration! {
    /// Larger event that a group event is part of.
    pub enum EventType {
        EventNone = 0 => "EVENT_NONE",
        CircleChannel = 1 => "CIRCLE_CHANNEL",
    }
}
