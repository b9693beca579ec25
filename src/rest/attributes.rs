//! User attributes (messages spec §5.5).

use std::collections::BTreeMap;

use awc::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    answer::odd,
    client::{RestClient, percent_encoded},
};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Operation, RestError, RestErrorKind},
    },
    rest::session_call::{Caller, done, json as body, sized},
    util::impls::impl_display,
};

/// One of the attributes that the service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Attribute {
    /// The name shown to others.
    Nickname,
    /// The address of a picture.
    AvatarUrl,
    /// The e-mail address.
    Mail,
    /// The phone number.
    Phone,
    /// The gender; clients of the vendor use 0 for unknown, 1 for male, 2 for female.
    Gender,
    /// A motto.
    Sign,
    /// The birthday.
    Birth,
    /// Whatever else the application keeps there.
    Ext,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Attribute; 8] = [
        Attribute::Nickname,
        Attribute::AvatarUrl,
        Attribute::Mail,
        Attribute::Phone,
        Attribute::Gender,
        Attribute::Sign,
        Attribute::Birth,
        Attribute::Ext,
    ];

    /// Returns its name in the service.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Attribute::Nickname => "nickname",
            Attribute::AvatarUrl => "avatarurl",
            Attribute::Mail => "mail",
            Attribute::Phone => "phone",
            Attribute::Gender => "gender",
            Attribute::Sign => "sign",
            Attribute::Birth => "birth",
            Attribute::Ext => "ext",
        }
    }
}

impl_display!(|this: Attribute| "{}", this.name());

/// A user's attributes; the service keeps 2 KB of them for each user.
///
/// ```
/// use agora_chat::rest::{Attribute, UserAttributes};
/// let own = UserAttributes::new().with(Attribute::Nickname, "Echo").with(Attribute::Sign, "I repeat");
/// assert_eq!(own.get(Attribute::Nickname), Some("Echo"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserAttributes(BTreeMap<Attribute, String>);

impl UserAttributes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        UserAttributes(BTreeMap::new())
    }

    /// Sets one.
    #[must_use]
    pub fn with(mut self, attribute: Attribute, value: impl Into<String>) -> Self {
        self.0.insert(attribute, value.into());
        self
    }

    /// Returns one of them, where the user has it.
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Option<&str> {
        self.0.get(&attribute).map(String::as_str)
    }

    /// Returns those there are.
    pub fn iter(&self) -> impl Iterator<Item = (Attribute, &str)> {
        self.0.iter().map(|(attribute, value)| (*attribute, value.as_str()))
    }

    fn form(&self) -> Bytes {
        let pairs = self.iter().map(|(attribute, value)| format!("{attribute}={}", percent_encoded(value)));
        pairs.collect::<Vec<_>>().join("&").into()
    }

    pub(super) fn parse_all(answer: &Value) -> Result<BTreeMap<String, Self>, RestErrorKind> {
        let users = answer.get("data").and_then(Value::as_object).ok_or_else(|| odd("it has no data"))?;
        Ok(users.iter().map(|(user, attributes)| (user.clone(), Self::parse(attributes))).collect())
    }

    fn parse(attributes: &Value) -> Self {
        let value = |attribute: Attribute| match attributes.get(attribute.name())? {
            Value::String(text) => Some((attribute, text.clone())),
            Value::Number(number) => Some((attribute, number.to_string())),
            _ => None,
        };
        UserAttributes(Attribute::ALL.into_iter().filter_map(value).collect())
    }
}

/// Attributes, by a user's own token.
impl RestClient {
    /// The most users whose attributes one call may ask for.
    pub const MAX_ATTRIBUTE_USERS: usize = 100;

    /// Sets the user's own attributes; those not named stay as they are.
    ///
    /// # Errors
    /// [`RestErrorKind::ListSize`] where none is named, before anything is sent; otherwise any [`RestError`].
    pub async fn set_attributes(
        &self,
        token: &Token,
        user: &UserId,
        attributes: &UserAttributes,
    ) -> Result<(), RestError> {
        let operation = Operation::SetAttributes;
        sized(operation, user, attributes.0.len(), Attribute::ALL.len())?;
        let path = format!("metadata/user/{}", percent_encoded(user.as_str()));
        let mut call = self.session_call(operation, Method::PUT, Caller { token, user }, &path);
        call.body = Some(attributes.form());
        self.call(call, done).await
    }

    /// Returns the attributes of up to [`RestClient::MAX_ATTRIBUTE_USERS`] users, by user id: those named, or all where
    /// none is. A user that is missing has none.
    ///
    /// # Errors
    /// [`RestErrorKind::ListSize`] before anything is sent; otherwise any [`RestError`].
    pub async fn attributes_of(
        &self,
        token: &Token,
        user: &UserId,
        users: &[UserId],
        attributes: &[Attribute],
    ) -> Result<BTreeMap<String, UserAttributes>, RestError> {
        let operation = Operation::Attributes;
        sized(operation, user, users.len(), Self::MAX_ATTRIBUTE_USERS)?;
        let attributes = if attributes.is_empty() { &Attribute::ALL[..] } else { attributes };
        let targets: Vec<_> = users.iter().map(UserId::as_str).collect();
        let properties: Vec<_> = attributes.iter().map(|attribute| attribute.name()).collect();
        let mut call = self.session_call(operation, Method::POST, Caller { token, user }, "metadata/user/get");
        call.body = body(&json!({ "targets": targets, "properties": properties }));
        self.call(call, UserAttributes::parse_all).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Attribute, UserAttributes};

    #[test]
    fn a_form_cannot_be_left_by_a_value() {
        let own = UserAttributes::new().with(Attribute::Nickname, "A&b=ü +").with(Attribute::Ext, "");
        assert_eq!(own.form(), "nickname=A%26b%3D%C3%BC%20%2B&ext=");
    }

    #[test]
    fn attributes_are_read_by_user_and_odd_ones_left_out() {
        let answer = json!({"data": {"bob": {"nickname": "Bob", "gender": 1, "sign": null, "new": "x"}, "carol": {}}});
        let users = UserAttributes::parse_all(&answer).unwrap();
        assert_eq!(users["bob"].iter().collect::<Vec<_>>(), [(Attribute::Nickname, "Bob"), (Attribute::Gender, "1")]);
        assert_eq!(users["carol"], UserAttributes::new());
        assert!(UserAttributes::parse_all(&json!({"data": []})).is_err());
    }
}
