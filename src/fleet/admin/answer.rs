//! What goes back: JSON, and typed errors.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{StatusCode, header},
};
use serde_json::json;

use crate::{
    fleet::error::FleetError,
    model::error::{Code, SendError},
};

/// A call that was not done, as its answer says it.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

pub(super) type Answer = Result<HttpResponse, Refused>;

impl Refused {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl fmt::Display) -> Self {
        Refused { status, code, message: message.to_string() }
    }

    pub(super) fn bad_query(message: impl fmt::Display) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, "bad_query", message)
    }

    pub(super) fn bad_body(message: impl fmt::Display) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, "bad_body", message)
    }

    pub(super) const fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut answer = HttpResponse::build(self.status);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                answer.insert_header((header::RETRY_AFTER, "5"));
            }
            _ => {}
        }
        answer.json(json!({"error": {"code": self.code, "message": self.message}}))
    }
}

impl From<FleetError> for Refused {
    fn from(error: FleetError) -> Self {
        let status = match &error {
            FleetError::Unknown { .. } => StatusCode::NOT_FOUND,
            FleetError::Stopped | FleetError::Draining | FleetError::NotOnline { .. } | FleetError::Full { .. } => {
                StatusCode::CONFLICT
            }
            FleetError::OtherUser { .. } | FleetError::Credentials(_) | FleetError::Config(_) => {
                StatusCode::BAD_REQUEST
            }
            FleetError::Send { error, .. } => status_of(error),
            FleetError::NoSystem | FleetError::Connection(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refused::new(status, error.name(), error)
    }
}

fn status_of(error: &SendError) -> StatusCode {
    match error {
        SendError::Invalid(_) => StatusCode::BAD_REQUEST,
        SendError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        SendError::InUse { .. } => StatusCode::CONFLICT,
        SendError::OutcomeUnknown { .. } => StatusCode::GATEWAY_TIMEOUT,
        // What was asked for does not fit: the recipient is wrong, not the path.
        SendError::Refused { code: Code::USER_NOT_FOUND, .. } => StatusCode::UNPROCESSABLE_ENTITY,
        SendError::Refused { .. } => StatusCode::BAD_GATEWAY,
        SendError::Backlog { .. } => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
