//! What any HTTP answer may be taken for.
//!
//! Input: the status (16 bits, little-endian), the call, the length of `Retry-After` and its text, the time in seconds
//! since 1970 (32 bits), and the rest is the body.

use std::time::{Duration, UNIX_EPOCH};

use arbitrary::{Result, Unstructured};
use awc::http::Uri;
use serde_json::Value;

use super::{
    Attribute, ConversationPage, DeviceInfo, HistoryPage, PresenceState, PresenceSubscriptions, RegisteredUser,
    Resource, UserAttributes,
    answer::{NO_END, parse_expiry, parse_grant},
    classify::classify,
    device::parse_result,
    discovery,
};
use crate::{
    model::error::{MAX_TEXT, Operation, RestError},
    net::{MAX_PAUSE, parse_retry_after},
};
use crate::{
    model::{account::UserId, auth::Expiry, redactor::Redactor},
    net::{Network, Target},
};

/// What must not stand in an error, one inside the other.
const SECRETS: [&str; 2] = ["CANARY", "CANARY-2"];

pub(crate) fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let status: u16 = u.arbitrary()?;
    let operation = *u.choose(Operation::ALL)?;
    let header = usize::from(u.arbitrary::<u8>()?);
    let header = u.bytes(header.min(u.len()))?;
    let now = UNIX_EPOCH + Duration::from_secs(u64::from(u.arbitrary::<u32>()?));
    let body = u.take_rest();

    let pause = std::str::from_utf8(header).ok().and_then(|header| parse_retry_after(header, now));
    assert!(pause.is_none_or(|pause| pause <= MAX_PAUSE), "{pause:?}");
    refused(operation, status, pause, body);
    if let Ok(value) = super::answer::read(body) {
        taken(&value);
        discovered(&value);
    }
    Ok(())
}

/// The answer as an error.
fn refused(operation: Operation, status: u16, pause: Option<Duration>, body: &[u8]) {
    let error = classify(operation, status, body, pause, &redactor());
    assert_eq!(error.status(), Some(status));
    assert!(error.retry_after().is_none_or(|asked| matches!(status, 429 | 503) && Some(asked) == pause));
    for text in [error.error(), error.description()].into_iter().flatten() {
        assert!(text.chars().count() <= MAX_TEXT + 1, "with its mark");
    }
    let shown = format!("{error} {error:?} {:?} {}", error.code(), error.is_final());
    assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "a secret is shown: {shown}");
}

/// The answer as a success.
fn taken(body: &Value) {
    if let Ok(grant) = parse_grant(body) {
        assert!(!matches!(grant.expires_at, Some(Expiry::In(life)) if !(1..=NO_END).contains(&life.as_secs())));
        assert!(!grant.token.expose().is_empty());
    }
    if let Ok(users) = RegisteredUser::parse_all(body) {
        assert!(users.iter().all(|user| !user.user.as_str().is_empty()));
    }
    let _ = (parse_expiry(body), parse_result(body));
    if let Ok(devices) = DeviceInfo::parse_all(body) {
        assert!(devices.iter().all(|device| (1..=Resource::MAX_BYTES).contains(&device.resource.as_str().len())));
    }
    session_answer(body);
}

/// The answer as one to a logged-in user's own call.
fn session_answer(body: &Value) {
    let Ok(me) = "me".parse::<UserId>() else { return };
    if let Ok(page) = HistoryPage::parse(body, &me) {
        assert!(page.next.is_none_or(|next| !next.to_string().is_empty()));
    }
    if let Ok(page) = ConversationPage::parse(body, &me) {
        assert!(page.conversations.iter().all(|one| !one.conversation.id().is_empty()));
        assert!(page.next.is_none_or(|next| !next.is_empty()));
    }
    let _ = (PresenceState::parse_all(body), PresenceSubscriptions::parse(body));
    if let Ok(users) = UserAttributes::parse_all(body) {
        assert!(users.values().all(|attributes| attributes.iter().count() <= Attribute::ALL.len()));
    }
}

/// The answer as `server.json`: only addresses that can be called, never less secure than the host that named them.
fn discovered(body: &Value) {
    for (bootstrap, rest, socket) in [("http://boot", "http://", "ws://"), ("https://boot", "https://", "wss://")] {
        let Ok(addresses) = discovery::read(bootstrap, body, &Network::default().with_plaintext()) else { continue };
        for (list, scheme) in [(&addresses.rest, rest), (&addresses.socket, socket)] {
            assert!((1..=discovery::MAX_HOSTS).contains(&list.len()));
            for address in list {
                assert!(address.starts_with(scheme), "{address}");
                let host = address.parse::<Uri>().map(|uri| uri.host().is_some_and(|host| !host.is_empty()));
                assert!(matches!(host, Ok(true)), "{address:?} cannot be called");
            }
        }
        for address in &addresses.socket {
            assert!(Target::parse(address).is_some(), "{address:?} cannot be dialled");
        }
    }
}

/// An error as a server causes it, for the engine's inputs.
pub(crate) fn error(operation: Operation, status: u16, retry_after: Option<Duration>, body: &[u8]) -> RestError {
    classify(operation, status, body, retry_after, &redactor())
}

fn redactor() -> Redactor {
    let redactor = Redactor::default();
    SECRETS.iter().for_each(|secret| redactor.learn(secrecy::SecretString::from(*secret)));
    redactor
}
