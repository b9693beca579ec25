//! Classifies answers other than success (connection spec §3.1, §3.2, §3.5).

use super::answer::{self, text};
use crate::{
    model::{
        error::{Code, Operation, RestError, RestErrorKind},
        redactor::Redactor,
    },
    net::{MAX_PAUSE, parse_retry_after},
    rest::session_errors,
};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const OAUTH: &str = "Unable to authenticate (OAuth)";

/// Returns the error that an answer stands for. A body that is not the service's JSON is taken as an empty one.
pub(super) fn classify(
    operation: Operation,
    status: u16,
    body: &[u8],
    retry_after: Option<Duration>,
    redactor: &Redactor,
) -> RestError {
    let body = answer::read(body).unwrap_or_default();
    // Some calls say why under another name (messages spec §5.7).
    let other = if operation.spec().session { text(&body, "result") } else { None };
    let description = text(&body, "error_description").or(other);
    let answer = Answer {
        names_user: operation.spec().names_user,
        status,
        error: text(&body, "error").unwrap_or_default(),
        description: description.unwrap_or_default(),
        exception: text(&body, "exception").unwrap_or_default(),
        error_code: body.get("error_code"),
    };
    let pause = retry_after.filter(|_| matches!(status, 429 | 503)).map(|pause| pause.min(MAX_PAUSE));
    let (mut kind, mut code) = (answer.kind(), answer.code());
    if operation.spec().session {
        let number = answer.number();
        let said = session_errors::ErrorBody { status, number, error: answer.error, description: answer.description };
        (kind, code) = session_errors::refine(operation, &said, kind, code);
    }
    RestError::answered(operation, status, kind, code).with_retry_after(pause).with_texts(
        text(&body, "error"),
        description,
        redactor,
    )
}

struct Answer<'a> {
    names_user: bool,
    status: u16,
    error: &'a str,
    description: &'a str,
    exception: &'a str,
    error_code: Option<&'a Value>,
}

impl Answer<'_> {
    /// Returns the vendor's number, row by row of connection spec §3.5.
    fn code(&self) -> Code {
        match self.status {
            401 if self.is_oauth() => Code::NO_PERMISSION,
            403 => Code::PERMISSION_DENIED,
            404 if self.is_unknown_user() => Code::USER_NOT_FOUND,
            429 | 503 if self.is_at_maximum() => Code::MAX_LIMIT,
            429 | 503 => Code::SERVER_BUSY,
            _ => Code::REST_ERROR,
        }
    }

    /// Decided by `error` and `error_description`; the texts of connection spec §3.1 and §3.2.
    fn kind(&self) -> RestErrorKind {
        use RestErrorKind as K;
        let says = |known: &str| self.description.contains(known);
        match self.status {
            400 if says("username be unique") || self.error == "duplicate_unique_property_exists" => K::UsernameTaken,
            400 if says("USERNAME_TOO_LONG") => K::UsernameTooLong,
            400 if says("NICKNAME_TOO_LONG") => K::NicknameTooLong,
            400 if says("password or pin must provided") => K::PasswordMissing,
            400 if says("requires a property named username") => K::UsernameMissing,
            400 if says("is not legal") => K::IllegalUsername,
            400 if self.error == "json_parse" => K::MalformedJson,
            400 | 401 if self.is_wrong_password() => K::InvalidPassword,
            400 | 401 if self.is_unknown_user() => K::UserNotFound,
            404 if self.is_unknown_user() => K::UserNotFound,
            401 if says("Open registration doesn't allow") || says("registration is not open") => K::RegistrationClosed,
            401 => K::Unauthorized,
            403 => K::Forbidden,
            404 if self.error == "organization_application_not_found" || says("Could not find application") => {
                K::AppNotFound
            }
            // Without the service's own body it is some other server that says so, and that may pass.
            400 if !self.error.is_empty() => K::BadRequest,
            404 if !self.error.is_empty() => K::NotFound,
            429 if self.error == "resource_limited" => K::PlanLimit,
            429 => K::RateLimited,
            503 if self.is_at_maximum() => K::RateLimited,
            503 => K::ServerBusy,
            500..=599 => K::ServerError,
            _ => K::Other,
        }
    }

    fn number(&self) -> Option<u64> {
        match self.error_code {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(digits)) => digits.parse().ok(),
            _ => None,
        }
    }

    fn is_oauth(&self) -> bool {
        self.description == OAUTH || matches!(self.number(), Some(40001 | 60001))
    }

    fn is_wrong_password(&self) -> bool {
        matches!(self.description, "invalid password" | "invalid username or password")
    }

    fn is_unknown_user(&self) -> bool {
        self.description.contains("user not found")
            || (self.description == "Service resource not found" && self.exception.ends_with("UserNotFoundException"))
            || (self.names_user && self.status == 404 && self.error == "service_resource_not_found")
    }

    fn is_at_maximum(&self) -> bool {
        self.description.contains("The request has reached the maximum limit")
    }
}

/// Returns the longest pause of several `Retry-After` lines, or of several values in one; there should be one only.
pub(super) fn longest_pause<'a>(lines: impl Iterator<Item = &'a str>, now: SystemTime) -> Option<Duration> {
    let pauses = lines.filter_map(|line| {
        // A date has a comma of its own.
        let alone = parse_retry_after(line, now);
        alone.or_else(|| line.split(',').filter_map(|value| parse_retry_after(value, now)).max())
    });
    pauses.max()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::{classify, longest_pause};
    use crate::model::error::{Operation, RestErrorKind};
    use crate::model::redactor::Redactor;
    use crate::net::{MAX_PAUSE, answered_at, parse_retry_after};

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(784_111_770)
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_bounded() {
        assert_eq!(parse_retry_after("7", now()), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after(" 0 ", now()), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now()), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now()), Some(Duration::ZERO), "in the past");
        for long in ["86401", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(parse_retry_after(long, now()), Some(MAX_PAUSE), "{long}");
        }
        for none in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994", "\u{fc}"] {
            assert_eq!(parse_retry_after(none, now()), None, "{none}");
        }
    }

    #[test]
    fn a_date_is_read_against_the_answers_own_clock_however_wrong_that_or_ours_is() {
        let pause = |until: &str, date: Option<&str>| parse_retry_after(until, answered_at(date));
        assert_eq!(
            pause("Sun, 06 Nov 1994 08:49:37 GMT", Some(" Sun, 06 Nov 1994 08:49:30 GMT ")),
            Some(Duration::from_secs(7))
        );
        assert_eq!(
            pause("Fri, 31 Dec 9999 23:59:59 GMT", Some("Fri, 31 Dec 9999 23:59:50 GMT")),
            Some(Duration::from_secs(9))
        );
        for unusable in [None, Some(""), Some("today")] {
            assert_eq!(pause("Sun, 06 Nov 1994 08:49:37 GMT", unusable), Some(Duration::ZERO), "by our own clock");
        }
    }

    #[test]
    fn the_longest_of_several_pauses_counts() {
        let pause = |lines: &[&str]| longest_pause(lines.iter().copied(), now()).map(|pause| pause.as_secs());
        assert_eq!(pause(&[]), None);
        assert_eq!(pause(&["5", "7"]), Some(7));
        assert_eq!(pause(&["soon", "7, 5", "6"]), Some(7));
        assert_eq!(pause(&["Sun, 06 Nov 1994 08:49:37 GMT", "2"]), Some(7));
    }

    #[test]
    fn an_answer_that_is_not_the_services_own_is_not_final() {
        for status in [400, 404] {
            let foreign = classify(Operation::PasswordToken, status, b"<html>", None, &Redactor::default());
            assert_eq!((foreign.kind(), foreign.is_final()), (&RestErrorKind::Other, false), "{status}");
        }
    }

    const TEXTS: &[&str] = &[
        "error",
        "error_description",
        "exception",
        "error_code",
        "user not found",
        "username be unique",
        "is not legal",
        "invalid password",
        "unauthorized",
        "reach_limit",
        "Unable to authenticate (OAuth)",
        "CANARY",
    ];

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let text = prop::sample::select(TEXTS);
        let value = prop_oneof![
            text.clone().prop_map(|text| format!("{text:?}")),
            any::<i64>().prop_map(|number| number.to_string()),
            Just("null".to_owned()),
            Just("[]".to_owned()),
        ];
        let object = prop::collection::vec((text, value), 0..5).prop_map(|members| {
            let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        });
        prop_oneof![object, prop::collection::vec(any::<u8>(), 0..200)]
    }

    proptest! {
        #[test]
        fn any_status_and_body_is_an_error_that_keeps_its_status_and_no_secret(
            status: u16, body in body(), pause in prop::option::of(any::<Duration>()),
        ) {
            let redactor = Redactor::default();
            redactor.learn_token(&crate::model::account::Token::new("CANARY").unwrap());
            let error = classify(Operation::PasswordToken, status, &body, pause, &redactor);
            prop_assert_eq!(error.status(), Some(status));
            prop_assert!(error.retry_after().is_none_or(|pause| pause <= MAX_PAUSE));
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("CANARY"), "{}", shown);
            if (500..600).contains(&status) {
                prop_assert!(!error.is_final());
            }
        }

        #[test]
        fn any_retry_after_is_read_or_ignored(value in ".{0,40}") {
            prop_assert!(parse_retry_after(&value, now()).is_none_or(|pause| pause <= MAX_PAUSE));
        }
    }
}
