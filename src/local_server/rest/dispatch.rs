//! Dispatch of REST calls (connection spec §2, §3).

use serde_json::json;

use crate::{
    local_server::{
        data::{Owner, Token},
        error_body::error_body,
        rates::Activity,
        rest::answer::{Answer, Answered, Call, Refused, decoded, not_found, object, query, text, unauthorized},
        state::State,
    },
    util::unix_time::now_ms,
};

impl State {
    /// Answers one call and remembers it.
    pub(crate) fn rest(&mut self, call: &Call<'_>) -> Answer {
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        let for_token = matches!((call.method, parts.as_slice()), ("POST", [_, _, "token"]));
        if for_token {
            self.rates.count(Activity::TokenCalls);
        }
        self.recognise(call.bearer.unwrap_or_default());
        let injected = self.injected(call, for_token, &parts);
        if for_token && injected.is_some() {
            self.rates.count(Activity::Probes);
        }
        let early = injected.or_else(|| self.download(call));
        let answer = early.unwrap_or_else(|| match self.answer(call) {
            Ok(body) => Answer { status: 200, headers: Vec::new(), body: body.to_string().into() },
            Err(Refused(status, error, description)) => {
                Answer { status, headers: Vec::new(), body: error_body(error, &description).into() }
            }
        });
        self.log_call(call.method, call.path, answer.status);
        answer
    }

    fn injected(&mut self, call: &Call<'_>, for_token: bool, parts: &[&str]) -> Option<Answer> {
        let user = if self.faults.wants_user() { self.user_of(call, for_token, parts) } else { None };
        let fault = self.faults.next_rest(call.path, user.as_deref())?;
        Some(Answer { status: fault.status, headers: fault.headers.clone(), body: fault.body.clone().into() })
    }

    /// Returns the user whose call it is, in lower case: that of its token, else the one it wants a token for, else the one in
    /// its path.
    fn user_of(&self, call: &Call<'_>, for_token: bool, parts: &[&str]) -> Option<String> {
        if let Some(Token { owner: Owner::User(name), .. }) = call.bearer.and_then(|text| self.tokens.get(text)) {
            return Some(name.clone());
        }
        if for_token {
            return text(&object(call.body).ok()?, "username").map(str::to_lowercase);
        }
        let after = parts.iter().skip_while(|part| !matches!(**part, "users" | "user")).nth(1)?;
        Some(decoded(after).to_lowercase())
    }

    fn answer(&mut self, call: &Call<'_>) -> Answered {
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match (call.method, parts.as_slice()) {
            ("GET", ["easemob", "server.json"]) => self.discover(call.query),
            (method, [org, app, rest @ ..]) => {
                if decoded(org) != self.app.key.org() || decoded(app) != self.app.key.app() {
                    let uri = format!("{}{}", self.app.rest_url, call.path);
                    let description = format!("Could not find application for {org}/{app} from URI: {uri}");
                    return Err(Refused(404, "organization_application_not_found", description));
                }
                match (method, rest) {
                    ("POST", ["users"]) => self.register(call),
                    ("POST", ["token"]) => self.grant_token(call),
                    ("GET", ["sdk", "users", user, "token", "expires"]) => self.expiry(&decoded(user), call.bearer),
                    _ => match self.user_token_call(call, rest) {
                        Some(answered) => answered,
                        None => match rest {
                            ["users", user, rest @ ..] => self.user_call(call, user, rest),
                            _ => Err(not_found()),
                        },
                    },
                }
            }
            _ => Err(not_found()),
        }
    }

    /// Answers a call that a user's token allows; `None` for another call.
    fn user_token_call(&mut self, call: &Call<'_>, path: &[&str]) -> Option<Answered> {
        // A path with a user name in it is for that user alone.
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

    /// Returns the user whose token a call carries.
    fn caller(&self, call: &Call<'_>) -> Result<String, Refused> {
        match self.tokens.valid(call.bearer.unwrap_or_default()) {
            Some(Token { owner: Owner::User(name), .. }) => Ok(name.clone()),
            _ => Err(unauthorized()),
        }
    }

    fn discover(&self, raw: &str) -> Answered {
        let parameter = |name: &str| query(raw, name);
        let known = match parameter("app_key") {
            Some(app_key) => app_key == self.app.key.as_str(),
            // Discovery by app id: this server has one application, so any id is its own.
            None => parameter("app_id").is_some(),
        };
        if !known {
            let description = format!("Could not find application for {}", parameter("app_key").unwrap_or_default());
            return Err(Refused(404, "organization_application_not_found", description));
        }
        let hosts = json!({"hosts": [{
            "protocol": "http", "domain": "127.0.0.1", "port": self.app.port.to_string(), "channel": "direct", "priority": "1",
        }]});
        Ok(json!({
            "file_version": "1",
            "deploy_name": "local",
            "valid_before": (now_ms() + 86_400_000).to_string(),
            "app_key": self.app.key.as_str(),
            "rest": hosts,
            "msync-wx": hosts,
            "enableReportLogs": "false",
            "enableDataReport": "false",
            "reportInterval": "300000",
        }))
    }

    /// Returns a valid token of this owner.
    pub(crate) fn require_token(&self, token: &str, owner: &Owner) -> Result<&Token, Refused> {
        self.tokens.valid(token).filter(|token| token.owner == *owner).ok_or_else(unauthorized)
    }
}
