//! The REST side (connection spec §2, §3): one call in, one answer out.

use std::time::Duration;

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    LocalServerError, limits,
    state::{Owner, State, Token, User, now_ms},
};
use crate::model::account::{Nickname, UserId};

/// A call as it came in.
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// The bearer token; empty when there is an `Authorization` of another kind.
    pub(super) bearer: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a Bytes,
}

impl Call<'_> {
    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// An error answer on its way out.
pub(super) struct Refused(pub(super) u16, pub(super) &'static str, pub(super) String);

pub(super) type Answered = Result<Value, Refused>;

/// An error body of the service's shape.
pub(super) fn error_body(error: &str, description: &str) -> String {
    let exception = match error {
        "duplicate_unique_property_exists" => {
            "org.apache.usergrid.persistence.exceptions.DuplicateUniquePropertyExistsException"
        }
        "illegal_argument" => "java.lang.IllegalArgumentException",
        "organization_application_not_found" => "OrganizationApplicationNotFoundException",
        "service_resource_not_found" => "ServiceResourceNotFoundException",
        "json_parse" => "JsonParseException",
        _ => "EasemobSecurityException",
    };
    json!({
        "error": error, "exception": exception, "timestamp": now_ms(), "duration": 0, "error_description": description,
    })
    .to_string()
}

pub(super) fn illegal(description: impl Into<String>) -> Refused {
    Refused(400, "illegal_argument", description.into())
}

pub(super) fn unauthorized() -> Refused {
    Refused(401, "unauthorized", "Unable to authenticate (OAuth)".to_owned())
}

pub(super) fn object(body: &[u8]) -> Answered {
    crate::util::lenient::json::read(body).map_err(|error| Refused(400, "json_parse", error.to_string()))
}

pub(super) fn text<'a>(body: &'a Value, member: &str) -> Option<&'a str> {
    body.get(member).and_then(Value::as_str)
}

impl State {
    /// Answers one call and remembers it.
    pub(super) fn rest(&mut self, call: &Call<'_>) -> Answer {
        let fault = self.fault(call.path).or_else(|| self.download(call));
        let answer = fault.unwrap_or_else(|| match self.answer(call) {
            Ok(body) => Answer { status: 200, headers: Vec::new(), body: body.to_string().into() },
            Err(Refused(status, error, description)) => {
                Answer { status, headers: Vec::new(), body: error_body(error, &description).into() }
            }
        });
        self.remember_call(call.method, call.path, answer.status);
        answer
    }

    fn fault(&mut self, path: &str) -> Option<Answer> {
        self.rest_faults.retain(|fault| fault.left != Some(0));
        let fault = self.rest_faults.iter_mut().find(|fault| path.contains(&fault.path_part))?;
        fault.left = fault.left.map(|left| left - 1);
        Some(Answer { status: fault.status, headers: fault.headers.clone(), body: fault.body.clone().into() })
    }

    fn answer(&mut self, call: &Call<'_>) -> Answered {
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match (call.method, parts.as_slice()) {
            ("GET", ["easemob", "server.json"]) => self.discover(call.query),
            (method, [org, app, rest @ ..]) => {
                if decoded(org) != self.app_key.org() || decoded(app) != self.app_key.app() {
                    let uri = format!("{}{}", self.rest_url, call.path);
                    let description = format!("Could not find application for {org}/{app} from URI: {uri}");
                    return Err(Refused(404, "organization_application_not_found", description));
                }
                match (method, rest) {
                    ("POST", ["users"]) => self.register(call),
                    ("POST", ["token"]) => self.grant(call),
                    ("GET", ["sdk", "users", user, "token", "expires"]) => self.expiry(&decoded(user), call.bearer),
                    _ => match self.of_user(call, rest) {
                        Some(answered) => answered,
                        None => match rest {
                            ["users", user, rest @ ..] => self.managed(call, user, rest),
                            _ => Err(not_found()),
                        },
                    },
                }
            }
            _ => Err(not_found()),
        }
    }

    /// Answers what a user's token is for; `None` if it is no such call.
    fn of_user(&mut self, call: &Call<'_>, path: &[&str]) -> Option<Answered> {
        // Who calls, and below whose name: only one's own is allowed.
        let caller = self.caller(call);
        let as_self = |user: &str| {
            let caller = self.caller(call)?;
            if caller == decoded(user).to_lowercase() { Ok(caller) } else { Err(unauthorized()) }
        };
        Some(match (call.method, path) {
            ("POST", ["chatfiles"]) => caller.and_then(|_| self.upload(call)),
            (_, ["chatgroups", rest @ ..]) => caller.and_then(|me| self.group_call(call, &me, rest)),
            ("GET", ["publicchatgroups"]) => caller.map(|_| self.public_groups(call)),
            ("GET", ["users", user, "joined_chatgroups"]) => as_self(user).map(|me| self.joined_groups(call, &me)),
            (_, ["thread", rest @ ..]) => caller.and_then(|me| self.thread_call(call, &me, rest)),
            ("GET", ["chatrooms", rest @ ..]) => caller.and_then(|_| self.room_call(call, rest)),
            (_, ["users", user, "presence", rest @ ..]) => as_self(user).and_then(|me| self.presence(call, &me, rest)),
            ("POST", ["users", user, "messageroaming"]) => as_self(user).and_then(|me| self.roaming(call, &me)),
            ("DELETE", ["sdk", "message", "roaming", kind, "user", user, rest @ ..]) => {
                as_self(user).and_then(|me| self.delete_roaming(call, &me, kind, rest))
            }
            ("GET", ["sdk", "user", user, "user_channels", "list"]) => {
                as_self(user).map(|me| self.list_channels(call, &me))
            }
            ("DELETE", ["user", user, "user_channel"]) => as_self(user).and_then(|me| self.delete_channel(call, &me)),
            ("PUT", ["metadata", "user", user]) => as_self(user).and_then(|me| self.set_attributes(call, &me)),
            ("POST", ["metadata", "user", "get"]) => caller.and_then(|_| self.attributes(call)),
            _ => return None,
        })
    }

    /// Whose token a call carries.
    fn caller(&self, call: &Call<'_>) -> Result<String, Refused> {
        match self.token(call.bearer.unwrap_or_default()).filter(|token| !token.is_expired()) {
            Some(Token { owner: Owner::User(name), .. }) => Ok(name.clone()),
            _ => Err(unauthorized()),
        }
    }

    fn discover(&self, query: &str) -> Answered {
        let asked = |name: &str| self::query(query, name);
        let known = match asked("app_key") {
            Some(app_key) => app_key == self.app_key.as_str(),
            // Discovery by app id: this server has one application, so any id is its own.
            None => asked("app_id").is_some(),
        };
        if !known {
            let description = format!("Could not find application for {}", asked("app_key").unwrap_or_default());
            return Err(Refused(404, "organization_application_not_found", description));
        }
        let hosts = json!({"hosts": [{
            "protocol": "http", "domain": "127.0.0.1", "port": self.port.to_string(), "channel": "direct", "priority": "1",
        }]});
        Ok(json!({
            "file_version": "1",
            "deploy_name": "local",
            "valid_before": (now_ms() + 86_400_000).to_string(),
            "app_key": self.app_key.as_str(),
            "rest": hosts,
            "msync-wx": hosts,
            "enableReportLogs": "false",
            "enableDataReport": "false",
            "reportInterval": "300000",
        }))
    }

    fn register(&mut self, call: &Call<'_>) -> Answered {
        let authorised = match call.bearer {
            None if self.open_registration => false,
            None => {
                let description = "Open registration doesn't allow, so register user need token,";
                return Err(Refused(401, "unauthorized", description.to_owned()));
            }
            Some(token) => self.checked(token, &Owner::App).map(|_| true)?,
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
            let entry = self.checked_user(one)?;
            if checked.iter().any(|(user, ..)| *user == entry.0) {
                return Err(taken(entry.0.as_str()));
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
        Ok(json!({
            "action": "post",
            "application": self.app_uuid,
            "path": "/users",
            "uri": format!("{}/{}/{}/users", self.rest_url, self.app_key.org(), self.app_key.app()),
            "entities": entities,
            "timestamp": now_ms(),
            "duration": 0,
            "organization": self.app_key.org(),
            "applicationName": self.app_key.app(),
        }))
    }

    fn checked_user<'a>(&self, one: &'a Value) -> Result<(UserId, &'a str, Option<String>), Refused> {
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
        if self.users.contains_key(user.as_str()) {
            return Err(taken(name));
        }
        Ok((user, password, Some(nickname.to_owned()).filter(|nickname| !nickname.is_empty())))
    }

    fn grant(&mut self, call: &Call<'_>) -> Answered {
        let body = object(call.body)?;
        let life = match body.get("ttl").and_then(Value::as_u64) {
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => self.token_life,
        };
        match text(&body, "grant_type") {
            Some("password") => {
                let name = text(&body, "username").unwrap_or_default().to_lowercase();
                let Some(user) = self.users.get(&name) else {
                    return Err(Refused(400, "invalid_grant", "user not found".to_owned()));
                };
                if text(&body, "password") != Some(user.password.as_str()) {
                    return Err(Refused(400, "invalid_grant", "invalid password".to_owned()));
                }
                if !user.activated {
                    return Err(super::users::deactivated());
                }
                Ok(self.granted(&name, life, false))
            }
            Some("agora") => {
                let token = self.token(call.bearer.unwrap_or_default()).filter(|token| !token.is_expired());
                let Some(Token { owner: Owner::User(name), .. }) = token.cloned() else {
                    return Err(unauthorized());
                };
                Ok(self.granted(&name, life, true))
            }
            Some("client_credentials") => {
                let given = (text(&body, "client_id"), text(&body, "client_secret"));
                let known = self.client.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
                if !matches!((given, known), ((Some(id), Some(secret)), Some(known)) if (id, secret) == known) {
                    return Err(unauthorized());
                }
                let application = self.app_uuid.clone();
                let (token, issued) = self.issue(Owner::App, life);
                Ok(json!({
                    "access_token": token, "expires_in": seconds_left(&issued), "application": application,
                }))
            }
            Some("inherit") => {
                self.checked(call.bearer.unwrap_or_default(), &Owner::App)?;
                let name = text(&body, "username").unwrap_or_default().to_lowercase();
                if !self.users.contains_key(&name) {
                    let create = body.get("autoCreateUser").and_then(Value::as_bool).unwrap_or_default();
                    let user = name.parse::<UserId>().ok().filter(|_| create);
                    let made =
                        user.and_then(|user| self.create_user(&user, &super::state::uuid(), None).ok().map(|_| ()));
                    made.ok_or_else(|| Refused(404, "service_resource_not_found", "user not found".to_owned()))?;
                }
                Ok(self.granted(&name, life, false))
            }
            _ => Err(Refused(400, "invalid_grant", "unsupported grant_type".to_owned())),
        }
    }

    fn granted(&mut self, name: &str, life: Option<Duration>, with_expiry: bool) -> Value {
        let (token, issued) = self.issue(Owner::User(name.to_owned()), life);
        let user = self.users.get(name).map(|user| entity(name, user, false));
        let mut answer = json!({"access_token": token, "expires_in": seconds_left(&issued), "user": user});
        if with_expiry && let Some(answer) = answer.as_object_mut() {
            answer.insert("expire_timestamp".to_owned(), json!(expiry_ms(&issued)));
        }
        answer
    }

    fn expiry(&self, user: &str, bearer: Option<&str>) -> Answered {
        let token = self.checked(bearer.unwrap_or_default(), &Owner::User(user.to_lowercase()))?;
        Ok(json!({"expire_timestamp": expiry_ms(token)}))
    }

    pub(super) fn checked(&self, token: &str, owner: &Owner) -> Result<&Token, Refused> {
        self.token(token).filter(|token| token.owner == *owner && !token.is_expired()).ok_or_else(unauthorized)
    }
}

pub(super) fn not_found() -> Refused {
    Refused(404, "service_resource_not_found", "Service resource not found".to_owned())
}

fn taken(name: &str) -> Refused {
    let description =
        format!("Application null Entity user requires that property named username be unique, value of {name} exists");
    Refused(400, "duplicate_unique_property_exists", description)
}

/// Seconds a token still lives. A token without end is given the largest number of the service's 64-bit integers.
fn seconds_left(token: &Token) -> u64 {
    token.expires_ms.map_or(i64::MAX.unsigned_abs(), |at| at.saturating_sub(now_ms()).div_ceil(1000))
}

fn expiry_ms(token: &Token) -> u64 {
    token.expires_ms.unwrap_or(i64::MAX.unsigned_abs())
}

pub(super) fn entity(name: &str, user: &User, with_nickname: bool) -> Value {
    let mut entity = json!({
        "uuid": user.uuid, "type": "user", "created": user.created_ms, "modified": user.modified_ms,
        "username": name, "activated": user.activated,
    });
    if with_nickname && let (Some(nickname), Some(entity)) = (&user.nickname, entity.as_object_mut()) {
        entity.insert("nickname".to_owned(), json!(nickname));
    }
    entity
}

/// A value of a query.
pub(super) fn query(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

/// A member that is a list of user names, in lower case.
pub(super) fn strings(body: &Value, member: &str) -> Vec<String> {
    let list = body.get(member).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_lowercase).collect()
}

/// Undoes percent encoding; what is not well encoded stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        bytes.push(escape.unwrap_or(*first));
        rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
