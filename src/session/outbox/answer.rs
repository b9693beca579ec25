//! Send acks as typed results (connection spec §8.2, messages spec §1.9).

use crate::{
    model::error::{Code, SendError},
    wire::Status,
};

/// Classifies a send ack by `Status.errorCode` and `Status.reason`.
///
/// Texts are compared whole unless the spec says "contains"; those come last, in the spec's order.
pub(super) fn classify(status: &Status) -> Result<(), SendError> {
    let number = status.error_code.unwrap_or(0);
    let reason = status.reason.as_deref().unwrap_or_default();
    let code = match number {
        0 => return Ok(()),
        1 => failure(reason),
        7 => match reason {
            "sensitive words" | "blocked by mod_antispam" => Code::ILLEGAL_CONTENT,
            "user is mute" => Code::USER_MUTED_BY_ADMIN,
            "traffic limit" => Code::RATE_LIMITED,
            "Sorry, data is too large" => Code::MESSAGE_TOO_LARGE,
            _ => Code::PERMISSION_DENIED,
        },
        15 => Code::MUTED,
        19 => Code::EXTERNAL_LOGIC_BLOCKED,
        _ => Code::LOAD_MESSAGE_ERROR,
    };
    Err(SendError::Refused { code, status: number, reason: reason.to_owned() })
}

fn failure(reason: &str) -> Code {
    const CONTAINS: [(&[&str], Code); 8] = [
        (&["grpID", "does not exist!"], Code::CHATROOM_NOT_EXIST),
        (&["username", "doesn't exist!"], Code::USER_NOT_FOUND),
        (&["can not join this group", "is in the blacklist"], Code::PERMISSION_DENIED),
        (&["moderation"], Code::MODERATION_BLOCKED),
        (&["group ID illegal, please check it"], Code::REQUEST_PARAMETER_ERROR),
        (&["has create too many chatrooms"], Code::MAX_LIMIT),
        (&["has joined too many chatrooms"], Code::MAX_LIMIT),
        (&["auto create failed"], Code::SERVER_BUSY),
    ];
    match reason {
        "blocked" | "Sorry, You do not have permission" => Code::PERMISSION_DENIED,
        "group not found" => Code::GROUP_NOT_EXIST,
        "not in group or chatroom" => Code::GROUP_NOT_JOINED,
        "exceed recall time limit" => Code::RECALL_TIME_LIMIT,
        "message recall disabled" | "Sorry, edit is not available" => Code::SERVICE_NOT_ENABLED,
        "not in group or chatroom white list" => Code::NOT_IN_ALLOW_LIST,
        "nonroster" => Code::USER_NOT_FRIEND,
        "group is disabled" | "can not operate this group, reason: group is disabled" => Code::GROUP_IS_DISABLED,
        "limit directed users" | "Sorry, edit limit reached" => Code::MAX_LIMIT,
        "Sorry, message does not exist" => Code::EDIT_NOT_EXIST,
        "Sorry, format is incorrect" => Code::EDIT_FORMAT_ERROR,
        "Sorry, edit fail" => Code::EDIT_FAILED,
        "group member list is full!" => Code::CHATROOM_MEMBERS_FULL,
        _ => CONTAINS
            .iter()
            .find(|(parts, _)| parts.iter().all(|part| reason.contains(part)))
            .map_or(Code::SERVER_UNKNOWN_ERROR, |(_, code)| *code),
    }
}

#[cfg(test)]
mod tests {
    use super::classify;
    use crate::{model::error::SendError, wire::Status};

    /// Rows of connection spec §8.2.
    const ROWS: &[(i32, &str, i32)] = &[
        (1, "blocked", 603),
        (1, "group not found", 605),
        (1, "not in group or chatroom", 602),
        (1, "exceed recall time limit", 504),
        (1, "message recall disabled", 505),
        (1, "not in group or chatroom white list", 506),
        (1, "nonroster", 221),
        (1, "group is disabled", 608),
        (1, "limit directed users", 50),
        (1, "Sorry, edit limit reached", 50),
        (1, "bob has create too many chatrooms", 50),
        (1, "bob has joined too many chatrooms", 50),
        (1, "Sorry, message does not exist", 1302),
        (1, "Sorry, You do not have permission", 603),
        (1, "Sorry, format is incorrect", 1303),
        (1, "Sorry, edit is not available", 505),
        (1, "Sorry, edit fail", 1304),
        (1, "grpID 17 does not exist!", 705),
        (1, "username bob doesn't exist!", 204),
        (1, "group member list is full!", 704),
        (1, "bob can not join this group, bob is in the blacklist", 603),
        (1, "can not operate this group, reason: group is disabled", 608),
        (1, "refused by moderation", 508),
        (1, "group ID illegal, please check it", -3),
        (1, "auto create failed: x", 500),
        (1, "", 503),
        (1, "something new", 503),
        (7, "sensitive words", 501),
        (7, "blocked by mod_antispam", 501),
        (7, "user is mute", 219),
        (7, "traffic limit", 509),
        (7, "Sorry, data is too large", 511),
        (7, "anything else", 603),
        (15, "any", 507),
        (19, "any", 502),
        (2, "any", 604),
        (3, "any", 604),
        (20, "any", 604),
        (4242, "any", 604),
    ];

    #[test]
    fn of_the_texts_that_are_contained_the_first_of_the_table_counts() {
        let all = [
            ("grpID does not exist!", 705),
            ("username doesn't exist!", 204),
            ("can not join this group is in the blacklist", 603),
            ("moderation", 508),
            ("group ID illegal, please check it", -3),
            ("has create too many chatrooms", 50),
            ("auto create failed", 500),
        ];
        for first in 0..all.len() {
            let reason = all[first..].iter().rev().map(|(text, _)| *text).collect::<Vec<_>>().join(", ");
            let wire = Status { error_code: Some(1), reason: Some(reason.clone()), ..Status::default() };
            let Err(error) = classify(&wire) else { panic!("{reason}") };
            assert_eq!(error.code().number(), all[first].1, "{reason}");
        }
        // Whole texts come first: they must match exactly.
        for (reason, code) in [("blocked", 603), ("blocked by moderation", 508), ("not blocked", 503)] {
            let wire = Status { error_code: Some(1), reason: Some(reason.to_owned()), ..Status::default() };
            assert_eq!(classify(&wire).unwrap_err().code().number(), code, "{reason}");
        }
    }

    #[test]
    fn every_row_of_the_answer_table_has_its_code() {
        for (status, reason, code) in ROWS {
            let wire = Status { error_code: Some(*status), reason: Some((*reason).to_owned()), ..Status::default() };
            match classify(&wire) {
                Err(SendError::Refused { code: got, status: number, reason: text }) => {
                    assert_eq!((got.number(), number, text.as_str()), (*code, *status, *reason));
                }
                other => panic!("{status} {reason}: {other:?}"),
            }
        }
        assert_eq!(classify(&Status::default()), Ok(()));
        assert_eq!(classify(&Status { error_code: Some(0), ..Status::default() }), Ok(()));
    }
}
