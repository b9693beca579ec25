//! The body of a `CONFERENCE` meta: call signalling.

use super::schema::schema;

schema! {
    /// A step of call signalling.
    #[derive(Eq, Hash)]
    pub struct ConferenceBody {
        session_id: Option<String> => (string, optional, tag = "1"),
        operation: Option<i32> => (enumeration = "Operation", optional, tag = "2"),
        conference_id: Option<String> => (string, optional, tag = "3"),
        r#type: Option<i32> => (enumeration = "Type", optional, tag = "4"),
        content: Option<String> => (string, optional, tag = "5"),
        network: Option<String> => (string, optional, tag = "6"),
        version: Option<String> => (string, optional, tag = "7"),
        identity: Option<i32> => (enumeration = "Identity", optional, tag = "8"),
        duration: Option<String> => (string, optional, tag = "9"),
        peer_name: Option<String> => (string, optional, tag = "10"),
        end_reason: Option<i32> => (enumeration = "EndReason", optional, tag = "11"),
        status: Option<Status> => (message, optional, tag = "12"),
        is_direct: Option<bool> => (bool, optional, tag = "13"),
        control_type: Option<i32> => (enumeration = "StreamControlType", optional, tag = "14"),
        route_flag: Option<i32> => (int32, optional, tag = "15"),
        route_key: Option<String> => (string, optional, tag = "16"),
    }

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

    /// Kind of a call.
    pub enum Type {
        Voice = 0 => "VOICE",
        Video = 1 => "VIDEO",
    }

    /// Side of a call.
    pub enum Identity {
        Caller = 0 => "CALLER",
        Callee = 1 => "CALLEE",
    }

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

    /// Change to a running call.
    pub enum StreamControlType {
        PauseVoice = 0 => "PAUSE_VOICE",
        ResumeVoice = 1 => "RESUME_VOICE",
        PauseVideo = 2 => "PAUSE_VIDEO",
        ResumeVideo = 3 => "RESUME_VIDEO",
    }

    /// The outcome of a call operation.
    #[derive(Eq, Hash)]
    pub struct Status {
        error_code: Option<i32> => (int32, optional, tag = "1"),
    }
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
