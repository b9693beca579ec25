use std::sync::Arc;

use crate::{
    model::message::{Claims, Json},
    util::weight::weigh,
};

/// A change of a group or chat room (messages spec §4.1).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MucEvent {
    /// The notice's id; 0 where the server gave none.
    pub id: u64,
    /// The group or room.
    pub muc: Arc<str>,
    /// Its name, where the server said.
    pub name: Option<String>,
    /// The user who did it; empty where the server gave nobody.
    pub from: Arc<str>,
    /// Whom it was done to; in most notices this account alone.
    pub users: Vec<String>,
    /// The reason given; for [`MucOperation::AnnouncementUpdated`] the announcement.
    pub reason: Option<String>,
    /// When the server took it, in milliseconds since 1970; 0 where it did not say.
    pub timestamp: u64,
    /// The change.
    pub operation: MucOperation,
    /// The sender's claims about sender or conversation, where the service disagrees.
    pub claims: Option<Box<Claims>>,
}

impl MucEvent {
    /// Returns the user it was done to, where it is about one: the new administrator, the muted member.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.users.first().map(String::as_str)
    }
}

/// Kind of change of a group or chat room. The vendor's name of the operation stands in brackets.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MucOperation {
    /// It was created, by this account on another device (`create`).
    Created,
    /// It was destroyed (`destroy`).
    Destroyed,
    /// Somebody asks to join, with a reason (`requestToJoin`).
    JoinRequested,
    /// The request to join was granted (`acceptRequest`).
    JoinRequestAccepted,
    /// The request to join was declined (`joinPublicGroupDeclined`).
    JoinRequestDeclined,
    /// This account is invited (`inviteToJoin`).
    Invited,
    /// An invitation was accepted (`acceptInvite`).
    InvitationAccepted,
    /// An invitation was declined (`rejectInvite`).
    InvitationDeclined,
    /// A member was removed (`removeMember`).
    MemberRemoved,
    /// A member was taken off the block list (`unblockMember`).
    MemberUnblocked,
    /// Its settings changed (`updateInfo`).
    Updated(Box<MucSettings>),
    /// Members came (`memberPresence`, `membersPresence`).
    MembersJoined {
        /// The new members.
        members: Vec<String>,
        /// The number of members now, where the service says so.
        count: Option<u32>,
        /// The text a member came into a chat room with.
        ext: Option<String>,
    },
    /// Members left (`memberAbsence`, `membersAbsence`).
    MembersLeft {
        /// The members who left.
        members: Vec<String>,
        /// The number of members now, where the service says so.
        count: Option<u32>,
        /// The text that came with it.
        ext: Option<String>,
    },
    /// This account was added without being asked (`directJoined`).
    DirectlyJoined,
    /// It has another owner (`changeOwner`).
    OwnerChanged,
    /// A member became an administrator (`setAdmin`).
    AdminAdded,
    /// A member is an administrator no more (`removeAdmin`).
    AdminRemoved,
    /// A member was muted (`muteMember`).
    MemberMuted {
        /// Until when members are muted, by their id, in the service's milliseconds; empty where it does not say.
        until: Vec<(String, u64)>,
    },
    /// A member may speak again (`unmuteMember`).
    MemberUnmuted,
    /// There is a new announcement (`updateAnnouncement`): [`MucEvent::reason`].
    AnnouncementUpdated,
    /// The announcement was deleted (`deleteAnnouncement`).
    AnnouncementDeleted,
    /// A file was shared (`uploadFile`).
    FileUploaded,
    /// A shared file was deleted (`deleteFile`).
    FileDeleted,
    /// A member was put on the allow list (`addUserToAllowlist`).
    AllowlistAdded,
    /// A member was taken off the allow list (`removeAllowlistMember`).
    AllowlistRemoved,
    /// All members were muted (`muteAllMembers`).
    AllMuted,
    /// All members may speak again (`unmuteAllMembers`).
    AllUnmuted,
    /// Attributes of a chat room were set (`updateChatRoomAttributes`).
    AttributesSet {
        /// Those that were set, with their new values.
        attributes: Vec<(String, String)>,
    },
    /// Attributes of a chat room were removed (`removeChatRoomAttributes`).
    AttributesRemoved {
        /// Their names.
        keys: Vec<String>,
    },
    /// A member of a group has new attributes (`memberAttributesUpdate`).
    MemberAttributesUpdated {
        /// The member.
        user: String,
        /// The attributes.
        attributes: Vec<(String, String)>,
    },
}

/// The settings of a group that changed; those that did not are absent.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MucSettings {
    /// The name.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// Set if anybody can find it.
    pub public: Option<bool>,
    /// Set if joining needs to be granted.
    pub approval: Option<bool>,
    /// Set if members may invite.
    pub members_invite: Option<bool>,
    /// Set if invited users are asked first.
    pub invitations_need_consent: Option<bool>,
    /// The most members.
    pub max_members: Option<u64>,
    /// The application's own text about it.
    pub custom: Option<String>,
    /// The address of its picture.
    pub avatar: Option<String>,
    /// When it last changed, in milliseconds since 1970.
    pub modified_at: Option<u64>,
    /// Settings that this release does not take apart, a JSON object; `None` where there are none.
    pub other: Option<Json>,
}

weigh! {
    MucEvent { id, muc, name, from, users, reason, timestamp, operation, claims }
    MucSettings {
        name, description, public, approval, members_invite, invitations_need_consent, max_members, custom, avatar,
        modified_at, other,
    }
}

weigh! {
    enum MucOperation {
        Created, Destroyed, JoinRequested, JoinRequestAccepted, JoinRequestDeclined, Invited, InvitationAccepted,
        InvitationDeclined, MemberRemoved, MemberUnblocked, Updated(value), MembersJoined { members, count, ext },
        MembersLeft { members, count, ext }, DirectlyJoined, OwnerChanged, AdminAdded, AdminRemoved, MemberMuted { until
        }, MemberUnmuted, AnnouncementUpdated, AnnouncementDeleted, FileUploaded, FileDeleted, AllowlistAdded,
        AllowlistRemoved, AllMuted, AllUnmuted, AttributesSet { attributes }, AttributesRemoved { keys },
        MemberAttributesUpdated { user, attributes }
    }
}
