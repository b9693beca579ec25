//! Presence over REST (messages spec §5.2).

use serde_json::{Value, json};

use crate::local_server::{
    data::now_s,
    limits,
    rest::answer::{Answered, Call, Refused, decoded, illegal, not_found, object, query, strings, text},
    state::State,
};

impl State {
    /// Answers a call below `/users/{me}/presence`.
    pub(crate) fn presence(&mut self, call: &Call<'_>, me: &str, rest: &[&str]) -> Answered {
        match (call.method, rest) {
            ("POST", []) => {
                let users = self.presence_users(&object(call.body)?)?;
                Ok(json!({"result": users.iter().map(|user| self.presence_json(user, 0)).collect::<Vec<_>>()}))
            }
            ("DELETE", []) => self.unwatch(call, me),
            ("GET", ["sublist"]) => Ok(self.watched(call, me)),
            ("POST", [seconds]) => self.watch(call, me, seconds),
            ("POST", [resource, state]) => self.publish(call, me, &decoded(resource), state),
            _ => Err(not_found()),
        }
    }

    fn publish(&mut self, call: &Call<'_>, me: &str, resource: &str, state: &str) -> Answered {
        let state: i64 = state.parse().map_err(|_| illegal("the presence state must be a number"))?;
        let body = object(call.body)?;
        let text = text(&body, "ext").unwrap_or_default();
        if text.len() > limits::PRESENCE_TEXT {
            return Err(Refused(400, "illegal_argument", "ext is too big ".to_owned()));
        }
        self.presences.publish(me, text, resource, state);
        self.publish_presence(me);
        Ok(json!({"result": "ok"}))
    }

    fn presence_users(&self, body: &Value) -> Result<Vec<String>, Refused> {
        let users = strings(body, "usernames");
        if users.is_empty() || users.len() > limits::WATCHED_AT_ONCE {
            return Err(illegal(format!("the number of users must be from 1 to {}", limits::WATCHED_AT_ONCE)));
        }
        match users.iter().find(|user| !self.users.contains(user)) {
            Some(unknown) => Err(Refused(404, "service_resource_not_found", format!("user not found: {unknown}"))),
            None => Ok(users),
        }
    }

    fn watch(&mut self, call: &Call<'_>, me: &str, seconds: &str) -> Answered {
        let seconds: u64 = seconds.parse().map_err(|_| illegal("the expiry must be a number of seconds"))?;
        if !(1..=30 * 86_400).contains(&seconds) {
            return Err(illegal("the expiry must be from a second to 30 days"));
        }
        let users = self.presence_users(&object(call.body)?)?;
        let until = now_s() + seconds;
        if !self.presences.watch(me, &users, until) {
            return Err(illegal(format!("at most {} users may be subscribed to", limits::WATCHED)));
        }
        Ok(json!({"result": users.iter().map(|user| self.presence_json(user, until)).collect::<Vec<_>>()}))
    }

    fn unwatch(&mut self, call: &Call<'_>, me: &str) -> Answered {
        let body = object(call.body)?;
        let users: Vec<String> =
            body.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect();
        for user in users.iter().take(limits::WATCHED) {
            self.presences.unwatch(me, user);
        }
        Ok(json!({"result": "ok"}))
    }

    fn watched(&self, call: &Call<'_>, me: &str) -> Value {
        let number = |name| query(call.query, name).and_then(|value| value.parse::<usize>().ok());
        let (page, size) = (number("pageNum").unwrap_or(1).max(1), number("pageSize").unwrap_or(20).min(500));
        let live = self.presences.watched_by(me);
        let shown = live.iter().skip((page - 1).saturating_mul(size)).take(size);
        let sublist: Vec<_> = shown.map(|(user, until)| json!({"uid": user, "expiry": until.to_string()})).collect();
        json!({"result": {"totalnum": live.len(), "sublist": sublist}})
    }
}
