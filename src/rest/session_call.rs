//! Common parts of a logged-in user's calls: token, path, lists.

use awc::http::Method;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::{answer::odd, client::RestClient, device::Resource};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Operation, RestError, RestErrorKind},
    },
    rest::http_call::Call,
};

#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) token: &'a Token,
    pub(super) user: &'a UserId,
}

impl RestClient {
    /// Makes a user's call; `path` is below the application.
    pub(super) fn session_call<'a>(
        &'a self,
        operation: Operation,
        method: Method,
        caller: Caller<'a>,
        path: &str,
    ) -> Call<'a> {
        self.request(operation, method, Some(caller.user), Some(caller.token), path)
    }
}

pub(crate) fn resource_of(operation: Operation, user: &UserId, resource: &str) -> Result<Resource, RestError> {
    resource.parse().map_err(|_| {
        let unfit = RestErrorKind::Parameter("the device's resource cannot stand in an address");
        RestError::local(operation, unfit).about(Some(user), None)
    })
}

pub(super) fn json(body: &impl Serialize) -> Option<Bytes> {
    Some(serde_json::to_vec(body).map(Bytes::from).unwrap_or_default())
}

/// Refuses a list that is empty or longer than the service takes.
pub(super) fn sized(operation: Operation, user: &UserId, given: usize, most: usize) -> Result<(), RestError> {
    if (1..=most).contains(&given) {
        return Ok(());
    }
    Err(RestError::local(operation, RestErrorKind::ListSize { given, most }).about(Some(user), None))
}

pub(super) fn bounded(operation: Operation, user: &UserId, fits: bool, which: &'static str) -> Result<(), RestError> {
    if fits {
        return Ok(());
    }
    Err(RestError::local(operation, RestErrorKind::Parameter(which)).about(Some(user), None))
}

/// Accepts any object: only the status matters.
pub(super) fn done(body: &Value) -> Result<(), RestErrorKind> {
    if body.is_object() { Ok(()) } else { Err(odd("it is no object")) }
}
