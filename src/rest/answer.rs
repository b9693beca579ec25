use std::time::Duration;

use serde_json::Value;

use crate::{
    model::{
        account::{Nickname, Password, Token, UserId},
        auth::{Expiry, TokenGrant},
        error::RestErrorKind,
    },
    util::lenient,
};

/// A user to be registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewUser {
    /// The user id.
    pub user: UserId,
    /// The password.
    pub password: Password,
    /// The nickname; sent empty where absent.
    pub nickname: Option<Nickname>,
}

impl NewUser {
    /// Makes a user without a nickname.
    #[must_use]
    pub fn new(user: UserId, password: Password) -> Self {
        NewUser { user, password, nickname: None }
    }

    /// Gives the user a nickname.
    #[must_use]
    pub fn nickname(mut self, nickname: Nickname) -> Self {
        self.nickname = Some(nickname);
        self
    }
}

/// A user as the service registered it (connection spec §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisteredUser {
    /// The user id as the service keeps it, in lower case.
    pub user: UserId,
    /// The service's own id of the account, if it gave one.
    pub uuid: Option<String>,
    /// The nickname, if there is one.
    pub nickname: Option<String>,
    /// When it was registered, in Unix milliseconds, if the service said so.
    pub created: Option<u64>,
}

/// A token that lives longer has no end: nobody waits for it, and no clock arithmetic can overflow.
pub(super) const NO_END: u64 = 100 * 365 * 24 * 60 * 60;

/// Reads a granted token (connection spec §3.2, §3.3). No end where no time is named, none above zero, or over 100
/// years. An Agora exchange's moment counts more than a life.
pub(super) fn parse_grant(body: &Value) -> Result<TokenGrant, RestErrorKind> {
    let token = text(body, "access_token").ok_or_else(|| odd("it has no access_token"))?;
    let token = Token::new(token).map_err(|error| odd(format!("its access_token cannot be one: {error}")))?;
    let life = whole(body, "expires_in").filter(|seconds| (1..=NO_END).contains(seconds));
    let end = whole(body, "expire_timestamp").filter(|end| *end != 0);
    let mut grant = TokenGrant::of(token, end.map(Expiry::At).or(life.map(Duration::from_secs).map(Expiry::In)));
    grant.user = body.get("user").and_then(|user| text(user, "username")).map(str::to_owned);
    Ok(grant)
}

impl RegisteredUser {
    pub(super) fn parse_all(body: &Value) -> Result<Vec<Self>, RestErrorKind> {
        let entities = body.get("entities").and_then(Value::as_array).ok_or_else(|| odd("it has no entities"))?;
        entities.iter().map(Self::parse).collect()
    }

    fn parse(entity: &Value) -> Result<Self, RestErrorKind> {
        let user = text(entity, "username").ok_or_else(|| odd("an entity has no username"))?;
        Ok(RegisteredUser {
            user: user.parse().map_err(|_| odd("an entity's username is no user id"))?,
            uuid: text(entity, "uuid").map(str::to_owned),
            nickname: text(entity, "nickname").filter(|name| !name.is_empty()).map(str::to_owned),
            created: whole(entity, "created"),
        })
    }
}

/// `expire_timestamp` of connection spec §3.4, in Unix milliseconds; [`u64::MAX`] for a token without an end, which the
/// service writes as 0 (connection spec §3.2) and others as a number below it.
pub(super) fn parse_expiry(body: &Value) -> Result<u64, RestErrorKind> {
    match body.get("expire_timestamp").map(|end| (end.as_i64(), whole(body, "expire_timestamp"))) {
        Some((Some(..=0), _)) => Ok(u64::MAX),
        Some((_, Some(end))) => Ok(if end == 0 { u64::MAX } else { end }),
        _ => Err(odd("it has no expire_timestamp")),
    }
}

/// The most memory of a parsed answer, in bytes. The service's longest takes less than one of the 8 MiB.
const MOST: usize = 8 << 20;

/// Parses the service's JSON. Takes at most 8 MiB, and nine times its length while mending a broken text.
pub(super) fn read(text: &[u8]) -> Result<Value, RestErrorKind> {
    lenient::bounded::read(text, MOST)
        .map_err(|error| odd(if error.is_data() { error.to_string() } else { format!("it is not JSON: {error}") }))
}

pub(super) fn odd(detail: impl Into<String>) -> RestErrorKind {
    RestErrorKind::UnexpectedAnswer(detail.into())
}

pub(super) fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

/// Returns a member that is a number not below zero, or a text of one; a fraction is cut, and so is more than 64 bits.
pub(super) fn whole(body: &Value, name: &str) -> Option<u64> {
    match body.get(name)? {
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64().filter(|number| *number >= 0.0)?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; not below zero")]
            Some(number as u64)
        }),
        Value::String(digits) => digits.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Expiry, RegisteredUser, parse_expiry, parse_grant, whole};

    fn life(expires_in: serde_json::Value) -> Option<Duration> {
        match parse_grant(&json!({"access_token": "t", "expires_in": expires_in})).unwrap().expires_at? {
            Expiry::In(life) => Some(life),
            Expiry::At(at) => panic!("{at}"),
        }
    }

    #[test]
    fn a_life_of_60_days_is_kept_and_one_without_end_is_none() {
        assert_eq!(life(json!(60 * 86_400)), Some(Duration::from_secs(60 * 86_400)));
        assert_eq!(life(json!("86400")), Some(Duration::from_secs(86_400)));
        assert_eq!(life(json!(1.9)), Some(Duration::from_secs(1)));
        for endless in [json!(0), json!(-1), json!(i64::MIN), json!(u64::MAX), json!(1e300), json!(null), json!([])] {
            assert_eq!(life(endless.clone()), None, "{endless}");
        }
        assert_eq!(parse_grant(&json!({"access_token": "t"})).unwrap().expires_at, None);
    }

    #[test]
    fn a_grant_without_a_usable_token_is_refused() {
        for bad in [json!({}), json!({"access_token": 7}), json!({"access_token": ""}), json!({"access_token": "a b"})]
        {
            assert!(parse_grant(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_registered_user_is_read_with_what_is_there() {
        let body =
            json!({"entities": [{"username": "Dave", "uuid": "u", "nickname": "", "created": 5}, {"username": "e"}]});
        let users = RegisteredUser::parse_all(&body).unwrap();
        assert_eq!((users[0].user.as_str(), users[0].uuid.as_deref(), users[0].created), ("dave", Some("u"), Some(5)));
        assert_eq!((users[0].nickname.as_deref(), users[1].uuid.as_deref(), users[1].created), (None, None, None));
        for bad in
            [json!({}), json!({"entities": {}}), json!({"entities": [{}]}), json!({"entities": [{"username": "a b"}]})]
        {
            assert!(RegisteredUser::parse_all(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_is_read_as_number_or_text() {
        assert_eq!(parse_expiry(&json!({"expire_timestamp": 1_795_385_472_521_u64})), Ok(1_795_385_472_521));
        assert_eq!(whole(&json!({"n": " 12 "}), "n"), Some(12));
        for no_end in [json!(0), json!(-1), json!("0")] {
            assert_eq!(parse_expiry(&json!({"expire_timestamp": no_end})), Ok(u64::MAX), "{no_end}");
        }
        for bad in [json!({}), json!({"expire_timestamp": null}), json!({"expire_timestamp": "soon"})] {
            assert!(parse_expiry(&bad).is_err(), "{bad}");
        }
    }
}
