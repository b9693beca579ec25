//! Registration and tokens (connection spec §3).

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    local_server::{
        data::{Owner, Token},
        error::LocalServerError,
        ids::uuid,
        limits,
        rest::answer::{Answered, Call, Refused, entity, enveloped, illegal, object, text, unauthorized},
        state::State,
    },
    model::account::{Nickname, UserId},
    util::unix_time::now_ms,
};

impl State {
    /// Registers a user, or several with an app token.
    pub(crate) fn register(&mut self, call: &Call<'_>) -> Answered {
        let authorised = match call.bearer {
            None if self.settings.open_registration => false,
            None => {
                let description = "Open registration doesn't allow, so register user need token,";
                return Err(Refused(401, "unauthorized", description.to_owned()));
            }
            Some(token) => self.require_token(token, &Owner::App).map(|_| true)?,
        };
        let body = object(call.body)?;
        let wanted: Vec<&Value> = match &body {
            Value::Array(users) if authorised => users.iter().collect(),
            Value::Array(_) => return Err(unauthorized()),
            one => vec![one],
        };
        if wanted.is_empty() || wanted.len() > limits::BATCH {
            return Err(illegal(format!("the number of users must be from 1 to {}", limits::BATCH)));
        }
        // Nobody is registered unless all can be.
        let mut checked: Vec<(UserId, &str, Option<String>)> = Vec::with_capacity(wanted.len());
        for one in wanted {
            let entry = self.parse_user(one)?;
            if checked.iter().any(|(user, ..)| *user == entry.0) {
                return Err(duplicate_user(entry.0.as_str()));
            }
            checked.push(entry);
        }
        let mut entities = Vec::with_capacity(checked.len());
        for (user, password, nickname) in checked {
            let made = self.create_user(&user, password, nickname).map_err(|error| match error {
                LocalServerError::Full { .. } => {
                    Refused(429, "resource_limited", "You have exceeded the limit of the local edition".to_owned())
                }
                error => illegal(error.to_string()),
            })?;
            entities.push(entity(user.as_str(), made, true));
        }
        Ok(enveloped(&self.app, "post", "users", json!({"path": "/users", "entities": entities})))
    }

    fn parse_user<'a>(&self, one: &'a Value) -> Result<(UserId, &'a str, Option<String>), Refused> {
        let Some(name) = text(one, "username").filter(|name| !name.is_empty()) else {
            return Err(illegal("Entity user requires a property named username"));
        };
        if name.len() > UserId::MAX_BYTES {
            return Err(illegal("USERNAME_TOO_LONG"));
        }
        let user: UserId = name.parse().map_err(|_| illegal(format!("username [{name}] is not legal")))?;
        let Some(password) = text(one, "password").filter(|password| !password.is_empty()) else {
            return Err(illegal("password or pin must provided"));
        };
        let nickname = text(one, "nickname").unwrap_or_default();
        if nickname.chars().count() > Nickname::MAX_CHARS {
            return Err(illegal("NICKNAME_TOO_LONG"));
        }
        if self.users.contains(user.as_str()) {
            return Err(duplicate_user(name));
        }
        Ok((user, password, Some(nickname.to_owned()).filter(|nickname| !nickname.is_empty())))
    }

    /// Answers a request for a token.
    pub(crate) fn grant_token(&mut self, call: &Call<'_>) -> Answered {
        let body = object(call.body)?;
        let life = match body.get("ttl").and_then(Value::as_u64) {
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => self.settings.token_life,
        };
        match text(&body, "grant_type") {
            Some("password") => {
                let name = text(&body, "username").unwrap_or_default().to_lowercase();
                let Some(user) = self.users.get(&name) else {
                    return Err(Refused(400, "invalid_grant", "user not found".to_owned()));
                };
                if user.password_rejected || text(&body, "password") != Some(user.password.as_str()) {
                    return Err(Refused(400, "invalid_grant", "invalid password".to_owned()));
                }
                if !user.activated {
                    return Err(deactivated());
                }
                Ok(self.token_answer(&name, life, false))
            }
            Some("agora") => {
                let token = self.tokens.valid(call.bearer.unwrap_or_default());
                let Some(Token { owner: Owner::User(name), .. }) = token.cloned() else {
                    return Err(unauthorized());
                };
                Ok(self.token_answer(&name, life, true))
            }
            Some("client_credentials") => {
                let given = (text(&body, "client_id"), text(&body, "client_secret"));
                let known = self.settings.client.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
                if !matches!((given, known), ((Some(id), Some(secret)), Some(known)) if (id, secret) == known) {
                    return Err(unauthorized());
                }
                let application = self.app.uuid.clone();
                let (token, issued) = self.tokens.issue(Owner::App, life);
                Ok(json!({
                    "access_token": token, "expires_in": seconds_left(&issued), "application": application,
                }))
            }
            Some("inherit") => {
                self.require_token(call.bearer.unwrap_or_default(), &Owner::App)?;
                let name = text(&body, "username").unwrap_or_default().to_lowercase();
                if !self.users.contains(&name) {
                    let create = body.get("autoCreateUser").and_then(Value::as_bool).unwrap_or_default();
                    let user = name.parse::<UserId>().ok().filter(|_| create);
                    let made = user.and_then(|user| self.create_user(&user, &uuid(), None).ok().map(|_| ()));
                    made.ok_or_else(|| Refused(404, "service_resource_not_found", "user not found".to_owned()))?;
                }
                Ok(self.token_answer(&name, life, false))
            }
            _ => Err(Refused(400, "invalid_grant", "unsupported grant_type".to_owned())),
        }
    }

    fn token_answer(&mut self, name: &str, life: Option<Duration>, with_expiry: bool) -> Value {
        let (token, issued) = self.tokens.issue(Owner::User(name.to_owned()), life);
        let user = self.users.get(name).map(|user| entity(name, user, false));
        let mut answer = json!({"access_token": token, "expires_in": seconds_left(&issued), "user": user});
        if with_expiry && let Some(answer) = answer.as_object_mut() {
            answer.insert("expire_timestamp".to_owned(), json!(expiry_ms(&issued)));
        }
        answer
    }

    /// Answers a token's end.
    pub(crate) fn expiry(&self, user: &str, bearer: Option<&str>) -> Answered {
        let token = self.require_token(bearer.unwrap_or_default(), &Owner::User(user.to_lowercase()))?;
        Ok(json!({"expire_timestamp": expiry_ms(token)}))
    }
}

fn duplicate_user(name: &str) -> Refused {
    let description =
        format!("Application null Entity user requires that property named username be unique, value of {name} exists");
    Refused(400, "duplicate_unique_property_exists", description)
}

/// Returns the seconds a token still lives. A token without end gets the largest number of the service's 64-bit integers.
fn seconds_left(token: &Token) -> u64 {
    token.expires_ms.map_or(i64::MAX.unsigned_abs(), |at| at.saturating_sub(now_ms()).div_ceil(1000))
}

fn expiry_ms(token: &Token) -> u64 {
    token.expires_ms.unwrap_or(i64::MAX.unsigned_abs())
}

/// Returns the refusal of a token for a deactivated user. The service's text is not known.
fn deactivated() -> Refused {
    Refused(400, "invalid_grant", "user not activated".to_owned())
}
