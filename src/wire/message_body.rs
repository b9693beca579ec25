//! The body of a `CHAT` meta (messages spec §1).

use super::content::Content;
use super::enumeration::enumeration;
use super::jid::Jid;
use super::key_value::KeyValue;

/// A chat message, a receipt, a recall or an edit.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MessageBody {
    /// `type`.
    #[prost(enumeration = "Type", optional, tag = "1")]
    pub r#type: Option<i32>,
    /// `from`.
    #[prost(message, optional, tag = "2")]
    pub from: Option<Jid>,
    /// `to`.
    #[prost(message, optional, tag = "3")]
    pub to: Option<Jid>,
    /// `contents`.
    #[prost(message, repeated, tag = "4")]
    pub contents: Vec<Content>,
    /// `ext`.
    #[prost(message, repeated, tag = "5")]
    pub ext: Vec<KeyValue>,
    /// `ackMessageId`: the message a receipt or recall is about.
    #[prost(uint64, optional, tag = "6")]
    pub ack_message_id: Option<u64>,
    /// `msgConfig`.
    #[prost(message, optional, tag = "7")]
    pub msg_config: Option<MessageConfig>,
    /// `ackContent`.
    #[prost(string, optional, tag = "8")]
    pub ack_content: Option<String>,
    /// `meta`.
    #[prost(string, optional, tag = "9")]
    pub meta: Option<String>,
    /// `editMessageId`.
    #[prost(uint64, optional, tag = "11")]
    pub edit_message_id: Option<u64>,
    /// `editScope`.
    #[prost(enumeration = "EditScope", optional, tag = "12")]
    pub edit_scope: Option<i32>,
    /// `stream`.
    #[prost(message, optional, tag = "13")]
    pub stream: Option<Stream>,
    /// `ackMessageIds`: the messages a receipt of a newer client is about.
    #[prost(uint64, repeated, packed = "false", tag = "17")]
    pub ack_message_ids: Vec<u64>,
}

enumeration! {
    /// Conversation kind of a chat message, or the kind of receipt or change.
    pub enum Type {
        Normal = 0 => "NORMAL",
        Chat = 1 => "CHAT",
        Groupchat = 2 => "GROUPCHAT",
        Chatroom = 3 => "CHATROOM",
        ReadAck = 4 => "READ_ACK",
        DeliverAck = 5 => "DELIVER_ACK",
        Recall = 6 => "RECALL",
        ChannelAck = 7 => "CHANNEL_ACK",
        Edit = 8 => "EDIT",
    }
}

enumeration! {
    /// Part of a message that an edit replaces.
    pub enum EditScope {
        Body = 1 => "BODY",
        BodyAndExt = 2 => "BODY_AND_EXT",
    }
}

/// Options of a group message.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MessageConfig {
    /// `allowGroupAck`.
    #[prost(bool, optional, tag = "1")]
    pub allow_group_ack: Option<bool>,
}

/// Position of a message in a stream of partial messages.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Stream {
    /// `streamType`.
    #[prost(string, optional, tag = "1")]
    pub stream_type: Option<String>,
    /// `streamSeq`.
    #[prost(uint64, optional, tag = "2")]
    pub stream_seq: Option<u64>,
    /// `streamStatus`.
    #[prost(enumeration = "StreamStatus", optional, tag = "3")]
    pub stream_status: Option<i32>,
    /// `streamError`.
    #[prost(uint32, optional, tag = "4")]
    pub stream_error: Option<u32>,
    /// `streamFinishReason`.
    #[prost(int32, optional, tag = "5")]
    pub stream_finish_reason: Option<i32>,
}

enumeration! {
    /// Progress of a stream (messages spec §2.8).
    pub enum StreamStatus {
        StreamStart = 0 => "STREAM_START",
        /// The first piece and the last.
        StreamStartAndCompleted = 1 => "STREAM_START_AND_COMPLETED",
        StreamInProgress = 2 => "STREAM_IN_PROGRESS",
        StreamCompleted = 3 => "STREAM_COMPLETED",
        /// The whole text, for receivers that missed pieces.
        StreamFull = 4 => "STREAM_FULL",
    }
}
