//! The body of a `MUC` meta: groups, chat rooms and threads (messages spec §4.1).

use super::jid::Jid;
use super::schema::schema;

schema! {
    /// An operation on a group, chat room or thread, or a notice of one.
    #[derive(Eq, Hash)]
    pub struct MucBody {
        muc_id: Option<Jid> => (message, optional, tag = "1"),
        operation: Option<i32> => (enumeration = "Operation", optional, tag = "2"),
        from: Option<Jid> => (message, optional, tag = "3"),
        to: Vec<Jid> => (message, repeated, tag = "4"),
        setting: Option<Setting> => (message, optional, tag = "5"),
        reason: Option<String> => (string, optional, tag = "6"),
        is_chatroom: Option<bool> => (bool, optional, tag = "7"),
        status: Option<Status> => (message, optional, tag = "8"),
        is_thread: Option<bool> => (bool, optional, tag = "9"),
        muc_parent_id: Option<Jid> => (message, optional, tag = "10"),
        muc_name: Option<String> => (string, optional, tag = "11"),
        event_info: Option<EventInfo> => (message, optional, tag = "12"),
        muc_member_count: Option<i32> => (int32, optional, tag = "13"),
        ext: Option<String> => (string, optional, tag = "14"),
        leave_other_rooms: Option<bool> => (bool, optional, tag = "15"),
        members: Vec<String> => (string, repeated, tag = "16"),
    }

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

    /// The settings of a group.
    #[derive(Eq, Hash)]
    pub struct Setting {
        name: Option<String> => (string, optional, tag = "1"),
        desc: Option<String> => (string, optional, tag = "2"),
        r#type: Option<i32> => (enumeration = "SettingType", optional, tag = "3"),
        max_users: Option<i32> => (int32, optional, tag = "4"),
        owner: Option<String> => (string, optional, tag = "5"),
    }

    /// Rules for joining a group.
    pub enum SettingType {
        PrivateOwnerInvite = 0 => "PRIVATE_OWNER_INVITE",
        PrivateMemberInvite = 1 => "PRIVATE_MEMBER_INVITE",
        PublicJoinApproval = 2 => "PUBLIC_JOIN_APPROVAL",
        PublicJoinOpen = 3 => "PUBLIC_JOIN_OPEN",
        PublicAnonymous = 4 => "PUBLIC_ANONYMOUS",
    }

    /// The outcome of a group operation.
    #[derive(Eq, Hash)]
    pub struct Status {
        error_code: Option<i32> => (enumeration = "ErrorCode", optional, tag = "1"),
        description: Option<String> => (string, optional, tag = "2"),
        chatroom_info: Option<String> => (string, optional, tag = "3"),
    }

    /// Outcome of a group operation.
    pub enum ErrorCode {
        Ok = 0 => "OK",
        PermissionDenied = 1 => "PERMISSION_DENIED",
        WrongParameter = 2 => "WRONG_PARAMETER",
        MucNotExist = 3 => "MUC_NOT_EXIST",
        UserNotExist = 4 => "USER_NOT_EXIST",
        Unknown = 5 => "UNKNOWN",
    }

    /// Larger event that a group event is part of.
    #[derive(Eq, Hash)]
    pub struct EventInfo {
        event_type: Option<i32> => (enumeration = "EventType", optional, tag = "1"),
        ext: Option<String> => (string, optional, tag = "2"),
    }

    /// Larger event that a group event is part of.
    pub enum EventType {
        EventNone = 0 => "EVENT_NONE",
        CircleChannel = 1 => "CIRCLE_CHANNEL",
    }
}
