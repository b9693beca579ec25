//! History, user attributes and the list of conversations over REST (messages spec §5.3 to §5.5).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::{
    local_server::{
        data::{Chat, HistoryRange, QueueName},
        limits,
        rest::{
            answer::{Answered, Call, Refused, decoded, illegal, not_found, object, query, strings, text},
            bodies,
        },
        state::State,
    },
    wire::{GROUP_DOMAIN, USER_DOMAIN, content::ContentType},
};

/// Attributes a user may have.
const ATTRIBUTES: [&str; 8] = ["nickname", "avatarurl", "mail", "phone", "gender", "sign", "birth", "ext"];

fn kinds(list: &str) -> Vec<ContentType> {
    let kind = |name: &str| {
        Some(match name.trim() {
            "txt" => ContentType::Text,
            "img" => ContentType::Image,
            "video" => ContentType::Video,
            "loc" => ContentType::Location,
            "audio" => ContentType::Voice,
            "file" => ContentType::File,
            "cmd" => ContentType::Command,
            "custom" => ContentType::Custom,
            "combine" => ContentType::Combine,
            _ => return None,
        })
    };
    list.split(',').filter_map(kind).collect()
}

impl State {
    /// Returns the conversation a user means, if it may see it.
    fn chat_seen_by(&self, me: &str, other: &str, is_muc: bool) -> Result<Chat, Refused> {
        let other = other.to_lowercase();
        if !is_muc {
            return Ok(Chat::pair(me, &other));
        }
        let in_group = self.groups.get(&other).map(|group| group.members.contains_key(me));
        let in_room = self.rooms.get(&other).map(|room| room.holds(me));
        match in_group.or(in_room) {
            Some(true) => Ok(Chat::Muc(other)),
            Some(false) => Err(Refused(403, "forbidden_op", format!("{me} is not members of this group"))),
            None => Err(Refused(404, "resource_not_found", format!("grpID {other} does not exist!"))),
        }
    }

    pub(crate) fn roaming(&self, call: &Call<'_>, me: &str) -> Answered {
        let body = object(call.body)?;
        let queue = text(&body, "queue").unwrap_or_default();
        let (other, domain) = queue.rsplit_once('@').ok_or_else(|| illegal("queue must be an address"))?;
        if ![USER_DOMAIN, GROUP_DOMAIN].contains(&domain) {
            return Err(illegal("queue must be an address"));
        }
        let chat = self.chat_seen_by(me, other, domain == GROUP_DOMAIN)?;
        let number = |member: &str| match body.get(member) {
            Some(Value::String(text)) => text.parse::<u64>().ok(),
            Some(value) => value.as_u64(),
            None => None,
        };
        let range = HistoryRange {
            viewer: me,
            start: number("start"),
            forward: body.get("is_positive").and_then(Value::as_bool).unwrap_or_default(),
            limit: number("pull_number").map_or(20, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            kinds: kinds(text(&body, "msgType").unwrap_or_default()),
            sender: text(&body, "userId").filter(|name| !name.is_empty()).map(str::to_lowercase),
            from_ms: number("startTime").unwrap_or(0),
            to_ms: number("endTime").unwrap_or(u64::MAX),
        };
        if !(1..=limits::HISTORY_PAGE).contains(&range.limit) {
            return Err(illegal(format!("pull_number must be from 1 to {}", limits::HISTORY_PAGE)));
        }
        let (page, is_last) = self.history.page(&chat, &range);
        let next_key = page.last().map(|(id, _)| id.to_string()).unwrap_or_default();
        let msgs: Vec<_> = page.iter().map(|(_, meta)| json!({"msg": STANDARD.encode(meta.encode_to_vec())})).collect();
        Ok(json!({"data": {"msgs": msgs, "next_key": next_key, "is_last": is_last}}))
    }

    pub(crate) fn delete_roaming(&mut self, call: &Call<'_>, me: &str, kind: &str, rest: &[&str]) -> Answered {
        let (member, is_muc) = match kind {
            "chat" => ("userId", false),
            "group" => ("groupId", true),
            _ => return Err(not_found()),
        };
        let other = query(call.query, member).ok_or_else(|| illegal(format!("{member} must be given")))?;
        let chat = self.chat_seen_by(me, &other, is_muc)?;
        let number = |name| query(call.query, name).and_then(|value| value.parse::<u64>().ok());
        let ids: Vec<u64> = match rest {
            [] => {
                let ids = query(call.query, "msgIdList").unwrap_or_default();
                ids.split(',').filter_map(|id| id.trim().parse().ok()).take(limits::HISTORY_PAGE).collect()
            }
            ["time"] => {
                let until = number("delTime").ok_or_else(|| illegal("delTime must be a number"))?;
                self.history
                    .all(&chat)
                    .filter(|(_, entry)| entry.meta().timestamp() <= until)
                    .map(|(id, _)| id)
                    .collect()
            }
            _ => return Err(not_found()),
        };
        self.history.hide(&chat, &ids, me);
        Ok(json!({"status": "OK", "data": {"result": "ok"}}))
    }

    pub(crate) fn list_channels(&self, call: &Call<'_>, me: &str) -> Value {
        let limit = query(call.query, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).clamp(1, 50);
        let before = query(call.query, "cursor").and_then(|cursor| cursor.parse().ok());
        let channels = self.users.get(me).map(|user| &user.channels);
        let mut latest = channels.into_iter().flat_map(|channels| channels.latest(before)).peekable();
        let mut infos = Vec::new();
        let mut cursor = String::new();
        while let Some((queue, channel)) = latest.next_if(|_| infos.len() < limit) {
            let stored = &channel.last;
            let shown = self.history.get(stored.id).map_or(&stored.meta, |entry| entry.meta());
            cursor = stored.id.to_string();
            infos.push(json!({
                "session_to": queue.name,
                "session_type": if queue.domain == GROUP_DOMAIN { "group" } else { "chat" },
                "unread_num": channel.unread,
                "is_top": false,
                "update_top_status_time": 0,
                "marks": [],
                "meta": bodies::message_json(shown),
            }));
        }
        if latest.peek().is_none() {
            cursor.clear();
        }
        json!({"data": {"cursor": cursor, "channel_infos": infos}})
    }

    pub(crate) fn delete_channel(&mut self, call: &Call<'_>, me: &str) -> Answered {
        let body = object(call.body)?;
        let name = text(&body, "channel").ok_or_else(|| illegal("channel must be given"))?;
        let is_muc = text(&body, "type") != Some("chat");
        let queue = if is_muc { QueueName::muc(name) } else { QueueName::user(name) };
        if let Some(user) = self.users.get_mut(me) {
            user.channels.remove(&queue);
        }
        if body.get("delete_roam").and_then(Value::as_bool).unwrap_or_default() {
            let chat = self.chat_seen_by(me, name, is_muc)?;
            let ids: Vec<u64> = self.history.all(&chat).map(|(id, _)| id).collect();
            self.history.hide(&chat, &ids, me);
        }
        Ok(json!({"data": {"result": "ok"}}))
    }

    pub(crate) fn set_attributes(&mut self, call: &Call<'_>, me: &str) -> Answered {
        let form = String::from_utf8_lossy(call.body);
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        let field = |text: &str| decoded(&text.replace('+', " "));
        let given: Vec<_> = pairs.map(|(key, value)| (field(key), field(value))).collect();
        if let Some((unknown, _)) = given.iter().find(|(key, _)| !ATTRIBUTES.contains(&key.as_str())) {
            return Err(illegal(format!("unknown attribute {unknown}")));
        }
        let user = self.users.get_mut(me).ok_or_else(not_found)?;
        let mut after = user.attributes.clone();
        after.extend(given);
        if after.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > limits::ATTRIBUTES {
            return Err(illegal("the attributes of a user are at limit 2 KB"));
        }
        user.attributes = after;
        Ok(json!({"data": user.attributes}))
    }

    pub(crate) fn attributes(&self, call: &Call<'_>) -> Answered {
        let body = object(call.body)?;
        let targets = strings(&body, "targets");
        if targets.is_empty() || targets.len() > 100 {
            return Err(illegal("the number of targets must be from 1 to 100"));
        }
        let wanted = strings(&body, "properties");
        let shown = |user: &String| {
            let known = self.users.get(user).map(|user| &user.attributes).into_iter().flatten();
            let members = known.filter(|(key, _)| wanted.is_empty() || wanted.contains(key));
            members.map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>()
        };
        let data: Map<_, _> = targets.iter().map(|user| (user.clone(), Value::Object(shown(user)))).collect();
        Ok(json!({"data": data}))
    }
}
