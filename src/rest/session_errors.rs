//! Errors of a logged-in user's own calls, beyond those of every call (messages spec §5.1, §5.7).

use crate::model::error::{Code, Operation, RestErrorKind as Kind};

pub(super) struct ErrorBody<'a> {
    pub(super) status: u16,
    pub(super) number: Option<u64>,
    pub(super) error: &'a str,
    pub(super) description: &'a str,
}

/// By status and `error_code`; a row without a kind keeps the one that the status has.
static NUMBERS: &[(u16, &[u64], Code, Option<Kind>)] = &[
    (400, &[40002], Code::THREAD_ALREADY_EXIST, None),
    (400, &[40009], Code::OPERATION_UNSUPPORTED, Some(Kind::Unsupported)),
    (400, &[60005], Code::MEMBER_ATTRIBUTES_FAILED, None),
    (400, &[60011], Code::CHATROOM_NOT_JOINED, Some(Kind::NotAMember)),
    (400, &[14403], Code::UPLOAD_FAILED, None),
    (400, &[91104, 60010], Code::NO_PERMISSION, Some(Kind::Forbidden)),
    (400, &[60006, 60007, 60009, 60012], Code::MAX_LIMIT, Some(Kind::LimitReached)),
    (403, &[40000, 60004, 15002], Code::SERVICE_NOT_ENABLED, Some(Kind::ServiceDisabled)),
    (403, &[40003, 40004], Code::THREAD_ALREADY_EXIST, None),
    (403, &[40005, 40007, 91002, 91101], Code::MAX_LIMIT, Some(Kind::LimitReached)),
    (403, &[60002], Code::PERMISSION_DENIED, None),
    (403, &[91102], Code::REQUEST_PARAMETER_ERROR, None),
    (404, &[40011], Code::THREAD_NOT_EXIST, None),
    (404, &[40012], Code::NO_PERMISSION, Some(Kind::Forbidden)),
    (404, &[60003, 20004], Code::GROUP_NOT_JOINED, Some(Kind::NotAMember)),
    (404, &[91001], Code::CONVERSATION_NOT_EXIST, Some(Kind::NotFound)),
    (406, &[90004], Code::OPERATION_NOT_ALLOWED, Some(Kind::Forbidden)),
    (500, &[40006, 40008, 40010], Code::SERVER_UNKNOWN_ERROR, None),
    (500, &[90005, 99999], Code::REQUEST_UNKNOWN, None),
];

/// By status and words in the description, in lower case.
static WORDS: &[(u16, &str, Code, Option<Kind>)] = &[
    (400, "not members of this group", Code::GROUP_NOT_JOINED, Some(Kind::NotAMember)),
    (400, "not open", Code::SERVICE_NOT_ENABLED, Some(Kind::ServiceDisabled)),
    (400, "ext is too big", Code::PRESENCE_TOO_LONG, Some(Kind::PresenceTooLong)),
    (403, "not open", Code::SERVICE_NOT_ENABLED, Some(Kind::ServiceDisabled)),
    (403, "group is disabled", Code::GROUP_IS_DISABLED, None),
    (404, "no such group", Code::GROUP_NOT_EXIST, Some(Kind::GroupNotFound)),
    (404, "pinned message", Code::MESSAGE_NOT_FOUND, Some(Kind::MessageNotFound)),
    (500, "translation failed", Code::TRANSLATION_FAILED, None),
];

/// Returns the kind and number of an answer other than success, from those that the status alone gives.
pub(super) fn refine(operation: Operation, said: &ErrorBody<'_>, kind: Kind, code: Code) -> (Kind, Code) {
    if operation == Operation::Download {
        return download(said, kind);
    }
    let words = said.description.to_lowercase();
    // The one number whose text decides.
    if (said.status, said.number) == (400, Some(60010)) && words.contains("limit") {
        return (Kind::LimitReached, Code::MAX_LIMIT);
    }
    let by_number = NUMBERS.iter().find(|(status, numbers, ..)| {
        *status == said.status && said.number.is_some_and(|number| numbers.contains(&number))
    });
    let by_words = || WORDS.iter().find(|(status, known, ..)| *status == said.status && words.contains(known));
    let row =
        by_number.map(|(_, _, code, kind)| (code, kind)).or_else(|| by_words().map(|(_, _, code, kind)| (code, kind)));
    match row {
        Some((code, Some(kind))) => (kind.clone(), *code),
        Some((code, None)) => (kind, *code),
        None if operation == Operation::Upload && said.status == 400 => (kind, Code::UPLOAD_FAILED),
        None => (kind, code),
    }
}

/// Messages spec §5.1.
fn download(said: &ErrorBody<'_>, kind: Kind) -> (Kind, Code) {
    match said.status {
        403 if [said.error, said.description].iter().any(|text| text.contains("chatfile no permission")) => {
            (Kind::FileForbidden, Code::FILE_FORBIDDEN)
        }
        403 => (kind, Code::PERMISSION_DENIED),
        404 if said.error == "file_expired" => (Kind::FileExpired, Code::FILE_EXPIRED),
        500 => (kind, Code::SERVER_UNKNOWN_ERROR),
        _ => (kind, Code::DOWNLOAD_FAILED),
    }
}
