//! The body of a `CHAT` meta (messages spec §1).

use super::content::Content;
use super::jid::Jid;
use super::key_value::KeyValue;
use super::schema::schema;

schema! {
    /// A chat message, a receipt, a recall or an edit.
    pub struct MessageBody {
        r#type: Option<i32> => (enumeration = "Type", optional, tag = "1"),
        from: Option<Jid> => (message, optional, tag = "2"),
        to: Option<Jid> => (message, optional, tag = "3"),
        contents: Vec<Content> => (message, repeated, tag = "4"),
        ext: Vec<KeyValue> => (message, repeated, tag = "5"),
        /// The message a receipt or recall is about.
        ack_message_id: Option<u64> => (uint64, optional, tag = "6"),
        msg_config: Option<MessageConfig> => (message, optional, tag = "7"),
        ack_content: Option<String> => (string, optional, tag = "8"),
        meta: Option<String> => (string, optional, tag = "9"),
        edit_message_id: Option<u64> => (uint64, optional, tag = "11"),
        edit_scope: Option<i32> => (enumeration = "EditScope", optional, tag = "12"),
        stream: Option<Stream> => (message, optional, tag = "13"),
        /// The messages a receipt of a newer client is about.
        ack_message_ids: Vec<u64> => (uint64, repeated, packed = "false", tag = "17"),
    }

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

    /// Part of a message that an edit replaces.
    pub enum EditScope {
        Body = 1 => "BODY",
        BodyAndExt = 2 => "BODY_AND_EXT",
    }

    /// Options of a group message.
    #[derive(Eq, Hash)]
    pub struct MessageConfig {
        allow_group_ack: Option<bool> => (bool, optional, tag = "1"),
    }

    /// Position of a message in a stream of partial messages.
    #[derive(Eq, Hash)]
    pub struct Stream {
        stream_type: Option<String> => (string, optional, tag = "1"),
        stream_seq: Option<u64> => (uint64, optional, tag = "2"),
        stream_status: Option<i32> => (enumeration = "StreamStatus", optional, tag = "3"),
        stream_error: Option<u32> => (uint32, optional, tag = "4"),
        stream_finish_reason: Option<i32> => (int32, optional, tag = "5"),
    }

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
