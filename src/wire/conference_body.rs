//! The body of a `CONFERENCE` meta: call signalling.

use super::enumeration::enumeration;

/// A step of call signalling.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ConferenceBody {
    /// `sessionId`.
    #[prost(string, optional, tag = "1")]
    pub session_id: Option<String>,
    /// `operation`.
    #[prost(enumeration = "Operation", optional, tag = "2")]
    pub operation: Option<i32>,
    /// `conferenceId`.
    #[prost(string, optional, tag = "3")]
    pub conference_id: Option<String>,
    /// `type`.
    #[prost(enumeration = "Type", optional, tag = "4")]
    pub r#type: Option<i32>,
    /// `content`.
    #[prost(string, optional, tag = "5")]
    pub content: Option<String>,
    /// `network`.
    #[prost(string, optional, tag = "6")]
    pub network: Option<String>,
    /// `version`.
    #[prost(string, optional, tag = "7")]
    pub version: Option<String>,
    /// `identity`.
    #[prost(enumeration = "Identity", optional, tag = "8")]
    pub identity: Option<i32>,
    /// `duration`.
    #[prost(string, optional, tag = "9")]
    pub duration: Option<String>,
    /// `peerName`.
    #[prost(string, optional, tag = "10")]
    pub peer_name: Option<String>,
    /// `endReason`.
    #[prost(enumeration = "EndReason", optional, tag = "11")]
    pub end_reason: Option<i32>,
    /// `status`.
    #[prost(message, optional, tag = "12")]
    pub status: Option<Status>,
    /// `isDirect`.
    #[prost(bool, optional, tag = "13")]
    pub is_direct: Option<bool>,
    /// `controlType`.
    #[prost(enumeration = "StreamControlType", optional, tag = "14")]
    pub control_type: Option<i32>,
    /// `routeFlag`.
    #[prost(int32, optional, tag = "15")]
    pub route_flag: Option<i32>,
    /// `routeKey`.
    #[prost(string, optional, tag = "16")]
    pub route_key: Option<String>,
}

enumeration! {
    /// Step of call signalling.
    pub enum Operation {
        Join = 0 => "JOIN",
        Initiate = 1 => "INITIATE",
        AcceptInitiate = 2 => "ACCEPT_INITIATE",
        Answer = 3 => "ANSWER",
        Terminate = 4 => "TERMINATE",
        Remove = 5 => "REMOVE",
        StreamControl = 6 => "STREAM_CONTROL",
        MediaRequest = 7 => "MEDIA_REQUEST",
    }
}

enumeration! {
    /// Kind of a call.
    pub enum Type {
        Voice = 0 => "VOICE",
        Video = 1 => "VIDEO",
    }
}

enumeration! {
    /// Side of a call.
    pub enum Identity {
        Caller = 0 => "CALLER",
        Callee = 1 => "CALLEE",
    }
}

enumeration! {
    /// Reason that a call ended.
    pub enum EndReason {
        Hangup = 0 => "HANGUP",
        Noresponse = 1 => "NORESPONSE",
        Reject = 2 => "REJECT",
        Busy = 3 => "BUSY",
        Fail = 4 => "FAIL",
        Unsupported = 5 => "UNSUPPORTED",
        Offline = 6 => "OFFLINE",
    }
}

enumeration! {
    /// Change to a running call.
    pub enum StreamControlType {
        PauseVoice = 0 => "PAUSE_VOICE",
        ResumeVoice = 1 => "RESUME_VOICE",
        PauseVideo = 2 => "PAUSE_VIDEO",
        ResumeVideo = 3 => "RESUME_VIDEO",
    }
}

/// The outcome of a call operation.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Status {
    /// `errorCode`.
    #[prost(int32, optional, tag = "1")]
    pub error_code: Option<i32>,
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::{ConferenceBody, Status};

    /// No recorded frame carries a call, so the numbers of the schema are spelt out here.
    #[test]
    fn every_field_has_the_number_of_the_schema() {
        let text = |number: u8| Some(number.to_string());
        let body = ConferenceBody {
            session_id: text(1),
            operation: Some(2),
            conference_id: text(3),
            r#type: Some(4),
            content: text(5),
            network: text(6),
            version: text(7),
            identity: Some(8),
            duration: text(9),
            peer_name: text(1),
            end_reason: Some(11),
            status: Some(Status { error_code: Some(12) }),
            is_direct: Some(true),
            control_type: Some(14),
            route_flag: Some(15),
            route_key: text(6),
        };
        let expected = [
            &[0x0a, 1, b'1', 0x10, 2, 0x1a, 1, b'3', 0x20, 4, 0x2a, 1, b'5', 0x32, 1, b'6', 0x3a, 1, b'7'][..],
            &[0x40, 8, 0x4a, 1, b'9', 0x52, 1, b'1', 0x58, 11, 0x62, 2, 0x08, 12, 0x68, 1, 0x70, 14, 0x78, 15],
            &[0x82, 1, 1, b'6'],
        ]
        .concat();
        assert_eq!(body.encode_to_vec(), expected);
        assert_eq!(ConferenceBody::decode(&expected[..]), Ok(body));
    }
}
